"""The state of a run's load on disk, written before and after everything that must happen only once.

One file of JSON lines per run, in a folder per account, host and target project:

    <base>/.neptune-exporter-pluto/<target>/<run>.jsonl

The first line identifies the run. If a kill has truncated the last line, it is ignored. The file is locked
during a load.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from neptune_exporter.contract import SinkError
from neptune_exporter.model import RunKey
from neptune_exporter.sinks.names import digest, printable
from neptune_exporter.toolkit.file_lock import lock_file
from neptune_exporter_pluto.state import progress
from neptune_exporter_pluto.state.addresses import Addresses
from neptune_exporter_pluto.state.progress import Progress

FOLDER = ".neptune-exporter-pluto"
_MOST_READABLE = 60
_BLOCK = 4096
"""Bytes of a disk block, of which a shorter file takes as many."""


@dataclass(frozen=True)
class Target:
    """Where runs are loaded to: what tells one account, Pluto and project from another."""

    account: str
    host: str
    project: str

    def folder(self, base: Path) -> Path:
        return base / FOLDER / readable_name(self.project, self.account, self.host, self.project)


def readable_name(name: str, *identity: str) -> str:
    """A file name that a person recognises and that no other identity has."""
    clean = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in printable(name))
    return f"{clean[:_MOST_READABLE]}-{digest(*identity)}"


class Journal:
    """The file of one run. Several threads may write events, which survive the end of the process.

    A loss of power may lose the last events, except `durable` ones: what is about to be sent and must not be
    sent twice.
    """

    def __init__(self, path: Path, identity: Mapping[str, str]) -> None:
        self._path = path
        self._identity = dict(identity)
        self._file: BinaryIO | None = None
        self._lock = threading.Lock()
        self.addresses = Addresses(path.with_suffix(".addresses"))
        self.current: Progress | None = None

    @classmethod
    def of(cls, base: Path, target: Target, run: RunKey) -> Journal:
        name = readable_name(run.run_id, run.project_id, run.kind.value, run.run_id)
        identity = {
            "account": target.account,
            "host": target.host,
            "target_project": target.project,
            "project": run.project_id,
            "run": run.run_id,
            "kind": run.kind.value,
        }
        return cls(target.folder(base) / f"{name}.jsonl", identity)

    @property
    def begun(self) -> Progress:
        """The state of the load that has begun."""
        assert self.current is not None
        return self.current

    @property
    def work_folder(self) -> Path:
        """The folder for temporary files of this load. No other process uses it while the journal is open."""
        return self._path.with_suffix(".work")

    def open(self) -> Journal:
        """Read the state, and lock the file. Raises SinkError if another process is loading this run."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        self._file = os.fdopen(descriptor, "r+b", buffering=0)
        if not lock_file(self._file):
            self.close()
            raise SinkError("another process is loading this run into Pluto; wait for it or end it")
        content = self._file.read()
        whole = content.rfind(b"\n") + 1
        self._file.truncate(whole)
        self._file.seek(whole)
        self._read(content[:whole])
        if not whole:
            self._write(self._identity)
        return self

    def peek(self) -> Progress | None:
        """The state, read without a lock and without creating anything."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return None
        self._read(content[: content.rfind(b"\n") + 1])
        return self.current

    def _read(self, content: bytes) -> None:
        for number, line in enumerate(content.splitlines()[1:], 2):
            try:
                self.current = progress.after(self.current, orjson.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
                raise SinkError(
                    f"{self._path} is damaged in line {number}: it is unknown what of the run is in Pluto; "
                    "move that file away to look for the run there"
                ) from None

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def note(self, event: str, durable: bool = False, **values: Any) -> None:
        """Record an event and apply it. `durable` events also survive a loss of power."""
        record = {"e": event, **values}
        with self._lock:
            self._write(record)
            if durable and self._file is not None:
                os.fsync(self._file.fileno())
            self.current = progress.after(self.current, record)

    def _write(self, record: Mapping[str, Any]) -> None:
        if self._file is None:
            raise ValueError("the journal is not open")
        line = orjson.dumps(record) + b"\n"
        end = self._file.tell()
        try:
            written = self._file.write(line)
        except OSError as error:
            error.filename = str(self._path)
            raise
        if written != len(line):  # a truncated line would damage the next one
            self._file.truncate(end)
            self._file.seek(end)
            raise OSError(errno.ENOSPC, "the disk is full", str(self._path))

    def compact(self) -> None:
        """Drop the details of a finished load, if they take room."""
        now = self.current
        if now is None or now.loaded is None or self._file is None or self._file.tell() <= _BLOCK:
            return
        records = [self._identity, *progress.of_finished(now)]
        fresh = self._path.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(b"".join(orjson.dumps(record) + b"\n" for record in records))
            file.flush()
            os.fsync(file.fileno())
        self.close()
        fresh.replace(self._path)
