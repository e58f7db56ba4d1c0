"""Tells what each folder that a client left says of itself.

Looking reads only names, small files, the first records of a log and single rows of a database.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path
from typing import Any

from neptune_exporter.contract import SourceError
from neptune_exporter.model import RunKind, SysAttribute
from neptune_exporter.toolkit import clean
from neptune_exporter_offline import oplog, wire
from neptune_exporter_offline.problems import Problems
from neptune_exporter_offline.sqlite import database_files, open_database
from neptune_exporter_offline.times import from_seconds, parse_iso, to_datetime

_PEEKED_RECORDS = 50
_BYTES_PER_POINT = 180
_CONTAINER_NAME = re.compile(r"(?:(run|model|model_version|project)__)?([^_].*?)(?:__.*)?")
_TIME_IN_NAME = re.compile(r".*_(\d{19})")
DATABASE = "run_operations.sqlite3"
_TABLES = {"run_operations", "metadata"}


@dataclass(frozen=True)
class Folder:
    """What one process of one run left: a folder (2.x) or a database (3.x)."""

    path: Path
    """The folder of a 2.x log, or the database file of neptune-scale."""
    client: int
    """2 or 3, the generation of Neptune."""
    container_id: str
    """2.x: the uuid of the run, model …; 3.x: the run id."""
    kind: RunKind = RunKind.RUN
    is_project: bool = False
    """A 2.x folder with project-level metadata."""
    project_id: str | None = None
    """3.x only."""
    name: str | None = None
    started_at: datetime | None = None
    first_operation: int = 1
    """Those before it were sent to a server and deleted."""
    offline: bool = False
    """A 2.x folder of the offline mode: the run was never on a server."""
    modified_ns: int = 0
    size_hint: int = 0
    notes: tuple[str, ...] = ()

    @property
    def directory(self) -> Path:
        return self.path if self.client == 2 else self.path.parent

    @property
    def working_directory(self) -> Path:
        """Where the process ran, as far as can be told: 2.x keeps its data in `.neptune` below it."""
        around = (self.directory, *self.directory.parents)
        data = next((p for p in around if p.name == ".neptune"), self.directory.parent)
        return data.parent

    @property
    def label(self) -> str:
        """What messages call it."""
        return self.path.name if self.path.name != DATABASE else self.directory.name


def describe_log(path: Path) -> Folder:
    """A folder of the 2.x client, from its name, `metadata.json` and the start of its log.

    One that cannot be read is still listed: reading it then says what is wrong.
    """
    metadata = _metadata(path)
    # Until 0.16 the log lies in `exec-…` below the container's folder.
    named = path.parent if path.name.startswith("exec-") else path
    match = _CONTAINER_NAME.fullmatch(named.name)
    kind_name, container_id = (match[1], match[2]) if match else (None, named.name)
    kind_name = str(metadata.get("containerType") or kind_name or "run")
    mode = metadata.get("mode") or named.parent.name
    files = oplog.log_files(path)
    versions = [path / n for n in ("last_put_version", "last_ack_version", "metadata.json")]
    stats = _stats([*(p for _, p in files), *versions]) or _stats([path])
    return Folder(
        path,
        client=2,
        container_id=clean(str(metadata.get("containerId") or container_id)),
        kind=RunKind(kind_name) if kind_name in set(RunKind) else RunKind.RUN,
        is_project=kind_name == "project",
        name=_peek_name(path),
        started_at=parse_iso(metadata.get("createdAt")) or _first_time(path),
        first_operation=files[0][0],
        offline=mode == "offline",
        modified_ns=max((s.st_mtime_ns for s in stats), default=0),
        size_hint=sum(s.st_size for s in stats) // _BYTES_PER_POINT,
        notes=() if mode == "offline" else (_leftover(path, files[0][0]),),
    )


def describe_database(path: Path) -> Folder | None:
    """A database of neptune-scale, from its metadata and the first operation; None if it is not one.

    One that cannot be read is still listed, by the name of its folder: reading it then
    says what is wrong, and the other runs are not held up.
    """
    named = path.parent if path.name == DATABASE else path.with_suffix("")
    started = _TIME_IN_NAME.fullmatch(named.name)
    stats = _stats(p for p in database_files(path) if not p.name.endswith("-shm")) or _stats([path.parent])
    folder = Folder(
        path,
        client=3,
        container_id=clean(named.name),
        started_at=datetime.fromtimestamp(int(started[1]) / 1e9, timezone.utc) if started else None,
        modified_ns=max((s.st_mtime_ns for s in stats), default=0),
    )
    try:
        with open_database(path) as database:
            names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            tables = {name for (name,) in names}
            if not tables >= _TABLES:
                return folder if path.name == DATABASE else None
            row = database.execute("SELECT project, run_id FROM metadata").fetchone()
            if row is not None:
                folder = replace(folder, project_id=str(row[0]), container_id=str(row[1]))
            name, first, last = _peek_run(database)
            return replace(folder, name=name, size_hint=last, notes=_database_notes(database, tables, first))
    except (sqlite3.DatabaseError, SourceError, OSError):
        return folder


def _stats(paths: Iterable[Path]) -> list[os.stat_result]:
    """Of those that are there and may be looked at."""
    found = []
    for path in paths:
        with suppress(OSError):
            found.append(path.stat())
    return found


def _metadata(path: Path) -> dict[str, Any]:
    try:
        content = json.loads((path / "metadata.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _peek_name(path: Path) -> str | None:
    """`sys/name`, which the client logs first."""
    for record in islice(oplog.records(path, Problems()), _PEEKED_RECORDS):
        operation = record.operation
        if operation.get("type") == "AssignString" and operation.get("path") == SysAttribute.NAME.split("/"):
            return clean(str(operation.get("value")))
    return None


def _first_time(path: Path) -> datetime | None:
    record = next(oplog.records(path, Problems()), None)
    milliseconds = from_seconds(record.at) if record is not None and record.at else None
    return None if milliseconds is None else to_datetime(milliseconds)


def _sent_before(first: int) -> str:
    return (
        f"Left over from a process that sent to a server: its operations 1 to {first - 1:,} were sent, "
        "then deleted, and are not here"
    )


def _leftover(path: Path, first: int) -> str:
    if first > 1:
        return _sent_before(first)
    acknowledged = oplog.read_version(path, "last_ack_version")
    sent = f" ({acknowledged:,} of its operations had been sent)" if acknowledged else ""
    return (
        f"Left over from a process that sent to a server{sent}: its own log is here from the start, "
        "but what other processes of the run sent is not"
    )


def _peek_run(database: sqlite3.Connection) -> tuple[str | None, int, int]:
    """Experiment name, first and last sequence number."""
    first, last = database.execute("SELECT min(sequence_id), max(sequence_id) FROM run_operations").fetchone()
    if first is None:
        return None, 0, 0
    query = "SELECT operation_type, operation FROM run_operations WHERE sequence_id = ?"
    operation_type, blob = database.execute(query, (first,)).fetchone()
    name = None
    if operation_type == 1:
        try:
            name = wire.Run.FromString(blob).experiment_id or None
        except wire.DecodeError:
            name = None
    return name, first, last


def _database_notes(database: sqlite3.Connection, tables: set[str], first: int) -> tuple[str, ...]:
    notes = []
    if first > 1:
        notes.append(_sent_before(first))
    # The errors themselves are pickles, which are never loaded.
    if "operation_errors" in tables:
        (errors,) = database.execute("SELECT count(*) FROM operation_errors").fetchone()
        if errors:
            notes.append(f"The client recorded {errors:,} errors; a server may have refused values")
    return tuple(notes)
