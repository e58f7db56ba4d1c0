"""The folder of runs, which shows for each whether it is complete.

A run is written in a folder `unfinished-…`, which `wandb sync` ignores. When it is complete, the folder gets
the name of an offline run of wandb. So an incomplete run is never sent.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

from neptune_exporter.contract import SinkError
from neptune_exporter.sinks.found import Found
from neptune_exporter_wandb.arrival import WrittenRun
from neptune_exporter_wandb.naming import is_wandbs, mark_in

_MARK = "neptune-exporter.json"
_UNFINISHED, _WHOLE, _UNSENT = "unfinished-", "offline-run-", "unsent-"
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class RunFolders:
    """All runs below one folder `wandb`.

    Target ids are `<run id>.<token>`: each load of a run has another token.
    """

    def __init__(self, path: Path) -> None:
        self.path = path / "wandb"

    def find(self, mark: str) -> list[Found]:
        """All runs with a mark, in the order in which they were begun."""
        found = []
        for name in [p.name for p in self.path.iterdir()] if self.path.is_dir() else []:
            if mark not in name:
                continue
            if name.startswith(_UNFINISHED):
                target_id = name[len(_UNFINISHED) :]
                if mark_in(run_id_in(target_id)) == mark:
                    found.append(Found(target_id))
            elif name.startswith(_WHOLE) and mark_in(name.rpartition("-")[2]) == mark:
                found += self._whole(self.path / name)
        return sorted(found, key=lambda f: f.target_id.rpartition(".")[2])

    @staticmethod
    def _whole(folder: Path) -> list[Found]:
        """The run of a folder; empty if this loader did not write it, or if it was removed meanwhile."""
        try:
            mark = json.loads((folder / _MARK).read_bytes())
            return [Found(mark["target_id"], mark["record"])]
        except (OSError, ValueError, KeyError):
            return []

    def begin(self, run_id: str) -> str:
        target_id = f"{run_id}.{time.time_ns():016x}{os.urandom(3).hex()}"
        folder = self._unfinished(target_id)
        folder.mkdir(parents=True)
        self._write_mark(folder, target_id, "")
        return target_id

    def finish(self, target_id: str, created: int | None, record: str, rows: int) -> None:
        """Give a run its record, and its folder the name of a complete run. Raises SinkError if another load
        has removed the run, or finished it first."""
        folder, whole = self._unfinished(target_id), self._whole_path(target_id, created)
        self._write_mark(folder, target_id, record, rows)
        for other in self._whole(whole):
            if other.is_same_load(record):
                shutil.rmtree(folder)
                raise SinkError(f"{whole}: another load has finished this run at the same time")
            self.discard(other.target_id)
        folder.rename(whole)
        _sync(self.path)

    def replace_record(self, target_id: str, record: str) -> None:
        """Give a whole run another record. Raises SinkError if the run is gone."""
        folder = self.folder(target_id)
        try:
            self._write_mark(folder, target_id, record, self.rows(target_id))
        except FileNotFoundError as error:
            raise SinkError(f"{folder}: another load has replaced this run") from error

    def discard(self, target_id: str) -> None:
        folder = self._unfinished(target_id)
        for whole in self._named_as_whole(target_id):
            whole.rename(folder)
        with contextlib.suppress(FileNotFoundError):  # not there, or another load removes it, too
            shutil.rmtree(folder)

    def has_lost(self, path: str | None) -> bool:
        """Whether a path lies in an unfinished run that was removed: two loads of a run may cross."""
        above = [] if path is None else [Path(path), *Path(path).parents]
        runs = [p for p in above if p.parent == self.path and p.name.startswith(_UNFINISHED)]
        return any(not run.exists() for run in runs)

    def folder(self, target_id: str) -> Path:
        """Where a run is. Raises SinkError if it is not there."""
        for whole in self._named_as_whole(target_id):
            return whole
        folder = self._unfinished(target_id)
        if not folder.is_dir():
            raise SinkError(f"{folder}: the folder of the run is gone")
        return folder

    def rows(self, target_id: str) -> int:
        """How many rows the history of a whole run has."""
        return int(json.loads((self.folder(target_id) / _MARK).read_bytes())["rows"])

    def written(self, target_id: str) -> WrittenRun:
        """What W&B is to have of a whole run."""
        files = self.folder(target_id) / "files"
        paths = {path.relative_to(files).as_posix(): path for path in files.rglob("*") if path.is_file()}
        own = {name: path for name, path in paths.items() if not is_wandbs(name)}
        return WrittenRun(self.rows(target_id), own)

    # --- what must be sent, whatever the server has

    def note_unsent(self, run_id: str) -> None:
        """Remember it, also if the folder of the run is replaced: the server may have other rows or files
        under this id, as many as the right ones."""
        self._unsent(run_id).touch()
        _sync(self.path)

    def is_unsent(self, run_id: str) -> bool:
        return self._unsent(run_id).exists()

    def note_sent(self, run_id: str) -> None:
        self._unsent(run_id).unlink(missing_ok=True)

    def _unsent(self, run_id: str) -> Path:
        return self.path / f"{_UNSENT}{run_id}"

    def _named_as_whole(self, target_id: str) -> Iterator[Path]:
        for folder in self.path.glob(f"{_WHOLE}*-{run_id_in(target_id)}"):
            if any(found.target_id == target_id for found in self._whole(folder)):
                yield folder

    def _unfinished(self, target_id: str) -> Path:
        return self.path / f"{_UNFINISHED}{target_id}"

    def _whole_path(self, target_id: str, created: int | None) -> Path:
        """As wandb names it: by second of the start (UTC) and run id."""
        moment = _EPOCH + timedelta(milliseconds=created or 0)
        return self.path / f"{_WHOLE}{moment.year:04}{moment:%m%d_%H%M%S}-{run_id_in(target_id)}"

    def _write_mark(self, folder: Path, target_id: str, record: str, rows: int = 0) -> None:
        beside = folder / f"{_MARK}.new"
        with beside.open("w") as file:
            json.dump({"target_id": target_id, "record": record, "rows": rows}, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(folder / _MARK)


def run_id_in(target_id: str) -> str:
    return target_id.partition(".")[0]


def _sync(folder: Path) -> None:
    """Write the names in a folder to the disk, where the system can do that."""
    if hasattr(os, "O_DIRECTORY"):
        number = os.open(folder, os.O_DIRECTORY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
