"""Checksums of what another tool exported, written beside its parts by `verify --record`.

Exports of the public neptune-exporter have no checksums (18 of 18 flipped bytes in files, and most in pages,
went unnoticed). Each folder of runs gets one file: a digest of the rest, then a line of JSON for each run.
The export itself is not changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeAlias

from neptune_exporter.contract import DatasetError
from neptune_exporter.dataset.format import rowless
from neptune_exporter.dataset.format.layout import Place, checksums, temporary
from neptune_exporter.dataset.format.storage import Storage
from neptune_exporter.schema import SCHEMA


@dataclass(frozen=True)
class Checksum:
    """The checksum of one part or file."""

    bytes: int
    sha256: str
    changed_ns: int = 0
    """For a part: when it was last changed, in ns since 1970."""
    facts: Mapping[str, Any] | None = None
    """For a part: what it holds (`PartFacts.to_json`), so that it need not be probed again. None if it is
    damaged."""


@dataclass(frozen=True)
class RunChecksums:
    """The checksums of one run: those that its receipt and its rows do not have."""

    project_id: str
    run_id: str
    recorded_at: datetime
    """When the first of them were recorded."""
    parts: Mapping[str, Checksum]
    """The parts by name, in the folder of the run."""
    files: Mapping[str, Checksum]
    """The files by the path that rows give."""
    missing: tuple[str, ...] = ()
    """Files that rows name and that were not there, or could not be read."""

    @property
    def day(self) -> str:
        """The time of recording, for people."""
        return f"{self.recorded_at:%Y-%m-%d}"

    def with_more(self, later: RunChecksums) -> RunChecksums:
        """With those of a later recording, which took only what has none here."""
        parts, files = {**self.parts, **later.parts}, {**self.files, **later.files}
        return replace(self, parts=parts, files=files, missing=later.missing)


Recorded: TypeAlias = "Mapping[str, bytes]"
"""What was recorded of the runs in a folder, by the stem of each run: `of_run` reads one.

They stay as they are stored, because those of 10,000 runs as objects would take 30 MB.
"""


def of_run(recorded: Recorded, stem: str) -> RunChecksums | None:
    """What was recorded of a run."""
    return from_json(recorded[stem])[1] if stem in recorded else None


def at(data: Storage, place: Place) -> RunChecksums | None:
    """What was recorded of the run at a place. Raises DatasetError as `read`."""
    return of_run(read(data, place.folder), place.stem)


def read(data: Storage, folder: str) -> Recorded:
    """The recorded checksums of a folder; empty if there are none. Raises DatasetError if their file is
    damaged."""
    path = checksums(folder)
    stamp = data.stamp(path)
    return {} if stamp is None else _read(data, path, stamp)


@lru_cache(maxsize=1)
def _read(data: Storage, path: str, stamp: tuple[int, int]) -> Recorded:
    try:
        lines = map(bytes, rowless.unsealed_lines(data.read(path)))
        return {from_json(line)[0]: line for line in lines}
    except (ValueError, KeyError, TypeError) as error:
        where = data.describe(path)
        raise DatasetError(
            f"{where} is damaged: {error}; restore it, or delete it and record the checksums again"
        ) from error


def write(data: Storage, folder: str, runs: Recorded) -> None:
    """Replace the recorded checksums of a folder atomically."""
    path = checksums(folder)
    data.create_whole(temporary(path), rowless.sealed_lines(list(runs.values()), SCHEMA))
    data.sync([temporary(path)])
    data.move(temporary(path), path)


def to_json(stem: str, run: RunChecksums) -> bytes:
    """A run as it is stored."""
    plain = {"parts": _plain(run.parts.items()), "files": _plain(run.files.items())}
    value = {"stem": stem, **vars(run), "recorded_at": run.recorded_at.isoformat(), **plain}
    return json.dumps(value, separators=(",", ":")).encode()


def _plain(items: Iterable[tuple[str, Checksum]]) -> dict[str, list[object]]:
    return {name: [each.bytes, each.sha256, each.changed_ns, each.facts] for name, each in items}


@lru_cache(maxsize=1)  # of a run it is asked for several times
def from_json(line: bytes) -> tuple[str, RunChecksums]:
    """The stem of a run, and what was recorded of it, from what `to_json` gave."""
    value = json.loads(line)
    run = RunChecksums(
        project_id=value["project_id"],
        run_id=value["run_id"],
        recorded_at=datetime.fromisoformat(value["recorded_at"]),
        parts={name: Checksum(*each) for name, each in value["parts"].items()},
        files={name: Checksum(*each) for name, each in value["files"].items()},
        missing=tuple(value["missing"]),
    )
    return value["stem"], run
