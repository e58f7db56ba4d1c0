"""A loader that writes every run as JSON lines: `<path>/<id>/run.jsonl`, and `files/` beside it.

The first line tells what the run is, every other line is one row. Steps that the
dataset holds as decimals and numbers that JSON lacks (NaN, infinities) are strings.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from neptune_exporter.contract import (
    Comparison,
    DatasetError,
    ExportedRun,
    FileEntry,
    LoadedRun,
    LoadOptions,
    Loss,
    Row,
    Sink,
    SinkCapabilities,
    SinkError,
    SinkSpec,
    Verdict,
    hookimpl,
    setting,
)
from neptune_exporter.model import FILE_TYPES


@dataclass(frozen=True)
class JsonlSettings:
    path: Path = setting(default=Path("runs"), help="Folder for the JSON lines.")


class JsonlSink(Sink):
    def __init__(self, settings: JsonlSettings, options: LoadOptions) -> None:
        self._path, self._prefix = settings.path, options.name_prefix

    def load(self, run: ExportedRun, parent: LoadedRun | None) -> LoadedRun:
        folder = self._folder(run)
        done = folder / "run.jsonl"
        if done.exists() and json.loads(_lines(done)[0])["fingerprint"] == run.fingerprint:
            return LoadedRun(folder.name, already_loaded=True)
        (folder / "files").mkdir(parents=True, exist_ok=True)
        counts, losses = Counter[str](), []
        with (partial := done.with_suffix(".partial")).open("w", encoding="utf-8") as lines:
            print(json.dumps(self._head(run, parent), default=str), file=lines)
            for row in run.rows():
                line = _line(row)
                try:
                    if isinstance(row, FileEntry):
                        with run.open_file(row.file) as source, _copy_of(folder, row).open("wb") as copy:
                            shutil.copyfileobj(source, copy)
                    counts[type(row).__name__] += 1
                except DatasetError as error:  # the file is missing, or outside of the dataset
                    losses.append(Loss(run.key, "missing-file", str(error), 1, row.path))
                    line = json.dumps({"row": "Lost", "path": row.path})
                print(line, file=lines)
        partial.replace(done)  # there as a whole or not at all: a load that was killed begins again
        return LoadedRun(folder.name, done.absolute().as_uri(), counts=counts, losses=losses)

    def verify(self, run: ExportedRun, *, full: bool = False) -> Iterator[Comparison]:
        done = self._folder(run) / "run.jsonl"
        if not done.exists():
            raise SinkError(f"{run.key} is not in {self._path}: load it first")
        expected, found = Counter(map(_line, run.rows())), Counter(_lines(done)[1:])
        different = [json.loads(line) for line in (expected - found) + (found - expected)]
        lost = {row["path"] for row in different if row["row"] == "Lost"}
        changed = {row["path"] for row in different}
        changed |= {row.path for row in run.rows(FILE_TYPES) if not _is_whole(done.parent, row)}
        for path in sorted({json.loads(line)["path"] for line in expected + found}):
            verdict = Verdict.LOST if path in lost else Verdict.DIFFERENT
            yield Comparison(run.key, path, verdict if path in changed else Verdict.EQUAL)

    def _folder(self, run: ExportedRun) -> Path:
        return self._path / hashlib.sha256(repr(run.key).encode()).hexdigest()[:24]

    def _head(self, run: ExportedRun, parent: LoadedRun | None) -> dict[str, Any]:
        name = run.parameters().get("sys/name")
        return {
            **asdict(run.key),
            "name": self._prefix + (str(name.value) if name else run.key.run_id),
            "parent": parent.target_id if parent else None,
            "fork_step": run.fork_step(),
            "fingerprint": run.fingerprint,
        }


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def _copy_of(folder: Path, row: FileEntry) -> Path:
    return folder / "files" / hashlib.sha256(row.file.encode()).hexdigest()[:24]


def _is_whole(folder: Path, row: Row) -> bool:
    copy = _copy_of(folder, row) if isinstance(row, FileEntry) else folder
    return copy.exists() and getattr(row, "size", None) in (None, copy.stat().st_size)


def _line(row: Row) -> str:
    return json.dumps({"row": type(row).__name__, **_plain(asdict(row))}, default=str, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


@hookimpl
def neptune_exporter_sinks() -> list[SinkSpec]:
    return [
        SinkSpec("jsonl", "JSON lines in a folder", JsonlSink, JsonlSettings, SinkCapabilities(verifies=True))
    ]
