"""What each folder that a client left says of itself.

Looking reads only names, small files, the first records of a log and single rows of a database.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from neptune_exporter.contract import SourceError
from neptune_exporter.model import RunKind, SysAttribute
from neptune_exporter.toolkit import clean
from neptune_exporter_offline import oplog, wire
from neptune_exporter_offline.sqlite import database_files, is_database, open_database
from neptune_exporter_offline.times import from_seconds, parse_iso, to_datetime

_PEEKED_RECORDS = 50
"""Records at the start of a log among which the name of the run is looked for: the client logs it first."""
_BYTES_PER_POINT = 180
"""Roughly what a point takes in a 2.x log; only estimates use it."""
_SAMPLED_OPERATIONS = 16
"""Operations of a database that are read for an estimate."""
_ROWS_OF_A_RUN = 3
"""Rows that the first operation of a database makes: `sys/custom_run_id`, times."""
_CONTAINER_NAME = re.compile(
    r"(run|model|model_version|project)__([^_].*?)(?:__.*)?|([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
)
"""The kind and the id of a run; clients before 0.10 name the folder by the uuid alone."""
_EXECUTION, _PARTITION = "exec-", "partition-"
_BESIDE_LOGS = ("last_put_version", "last_ack_version", "metadata.json")
_MODES = {"offline", "async", "sync"}
_DEPTH = 4
"""Folders that are looked at, from that of the log upwards: `partition-…` and `exec-…` may lie in between."""
_TIME_IN_NAME = re.compile(r".*_(\d{19})")
DATABASE = "run_operations.sqlite3"
_TABLES = {"run_operations", "metadata"}
_KINDS = {kind.value: kind for kind in RunKind}


Container = tuple[int, RunKind, str]
"""Generation of the client, kind and id of a run."""


class Start(NamedTuple):
    """What distinguishes a record, mostly the first of a log, from the records of other processes."""

    number: int
    at: float
    """When it was logged: seconds (2.x) or milliseconds (3.x); 0 where that is not known."""
    digest: str
    """A digest of the operation."""


@dataclass(frozen=True)
class Folder:
    """What one process of one run left: a folder (2.x) or a database (3.x)."""

    path: Path
    """The folder of a 2.x log, or the database file of neptune-scale."""
    client: int
    """2 or 3, the generation of Neptune."""
    container_id: str
    """2.x: the uuid of the run, model …; 3.x: the run id."""
    process: tuple[str, str] = ("", "")
    """The client's name for the process that wrote it, and which log of that process this is."""
    start: Start | None = None
    """None where it cannot be read."""
    kind: RunKind = RunKind.RUN
    is_project: bool = False
    """A 2.x folder with project-level metadata."""
    project_id: str | None = None
    """3.x only."""
    name: str | None = None
    started_at: datetime | None = None
    first_operation: int = 1
    """Operations before this one were sent to a server and deleted."""
    offline: bool = False
    """A 2.x folder of the offline mode: the run was never on a server."""
    extent: int = 0
    """How far the log goes: its bytes (2.x), or the number of its last operation (3.x)."""
    modified_ns: int = 0
    size_hint: int = 0
    notes: tuple[str, ...] = ()

    @property
    def container(self) -> Container:
        """The run that it belongs to, by what the folder says. Options may change its project and run id."""
        return self.client, self.kind, self.container_id

    @property
    def log_name(self) -> str:
        """The same for all copies of a log, whatever their folders are called."""
        sign = (*self.process,) if self.start is None or not self.start.at else (*self.start,)
        return hashlib.sha256(json.dumps(sign).encode()).hexdigest()[:32]

    @property
    def is_anonymous(self) -> bool:
        """Whether a 2.x log does not say of which run it is: it was copied alone."""
        return self.client == 2 and self.container_id == clean(_anonymous(self.path, self.start))

    @property
    def directory(self) -> Path:
        return self.path if self.client == 2 else self.path.parent

    @property
    def working_directory(self) -> Path:
        """Where the process ran, as far as the folder shows: 2.x keeps its data in `.neptune` below it."""
        around = (self.directory, *self.directory.parents)
        data = next((p for p in around if p.name == ".neptune"), self.directory.parent)
        return data.parent

    @property
    def label(self) -> str:
        """What messages call it."""
        if self.client == 3:
            return self.path.name if self.path.name != DATABASE else self.directory.name
        named = "/".join(filter(None, self.process))
        return named if not Path(named).is_absolute() else self.path.name


def describe_log(path: Path, *, is_data: bool) -> Folder | None:
    """A folder of the 2.x client, from its name, `metadata.json` and the start of its log.

    A log that cannot be read is listed too: reading it then says what is wrong. None if only the name of a
    file looks like a log. One more sign is needed: the folder's name, `metadata.json`, an operation, or that
    it lies in `.neptune` (`is_data`).
    """
    named = _container(path)
    metadata = _metadata(path, named.folder)
    first = oplog.peek(path, _PEEKED_RECORDS)
    if not (named.id or metadata or first or is_data):
        return None
    by_name = {"containerType": named.kind, "containerId": named.id, "mode": named.folder.parent.name}
    known = by_name | metadata
    start = next(map(start_of, first), None)
    firsts, logs = zip(*oplog.log_files(path), strict=True)
    stats = _stats([*logs, *map(path.joinpath, _BESIDE_LOGS)]) or _stats([path])
    is_offline = known["mode"] == "offline"
    peeked = sum(record.length for record in first)
    return Folder(
        path,
        client=2,
        container_id=clean(str(known["containerId"] or _anonymous(path, start))),
        process=named.process,
        start=start,
        kind=_KINDS.get(str(known["containerType"]), RunKind.RUN),
        is_project=known["containerType"] == "project",
        name=_name_in(first),
        started_at=parse_iso(known.get("createdAt")) or _first_time(start),
        first_operation=firsts[0],
        offline=is_offline,
        extent=_bytes(_stats(logs)),
        modified_ns=_modified_ns(stats),
        size_hint=len(first) + max(0, _bytes(_stats(logs)) - peeked) // _BYTES_PER_POINT,
        notes=() if is_offline else (_leftover(path, firsts[0]),),
    )


class _Container(NamedTuple):
    """What the names of folders say about the run that a log belongs to."""

    folder: Path
    """The folder that the client names after the run; if there is none, that of the log."""
    kind: str | None = None
    id: str | None = None
    process: tuple[str, str] = ("", "")


def _container(path: Path) -> _Container:
    """What the nearest folder says that the client names after a run.

    Until 0.16 the log lies in `exec-…` below it, with `neptune_experimental` up to 0.3.2 in `partition-…`
    below that.
    """
    here = path
    for _ in range(_DEPTH):
        match = _CONTAINER_NAME.fullmatch(here.name)
        if match is not None and (match[1] or _is_between(path, here)):
            return _Container(here, match[1], match[2] or match[3], _process(path, here))
        if here.name in _MODES:
            break
        here = here.parent
    return _Container(path, process=(str(path), ""))


def _process(path: Path, folder: Path) -> tuple[str, str]:
    """The client's name for the process that wrote a log, and which log of that process this is."""
    below = path.relative_to(folder).parts
    executions = [part for part in below if part.startswith(_EXECUTION)]
    rest = [part for part in below if not part.startswith(_EXECUTION)]
    return "/".join([folder.name, *executions]), "/".join(rest)


def _is_between(path: Path, folder: Path) -> bool:
    """Whether all folders from this one down to the log have names that the client gives."""
    return all(part.startswith((_EXECUTION, _PARTITION)) for part in path.relative_to(folder).parts)


def _anonymous(path: Path, start: Start | None) -> str:
    """An id for a log that does not name its run: the same for copies of the log, another for other logs."""
    return path.name if start is None else f"{path.name}-{start.digest[:8]}"


def start_of(record: oplog.Record) -> Start:
    """What distinguishes a record of a 2.x log from others."""
    digest = hashlib.sha256(json.dumps(record.operation, sort_keys=True).encode()).hexdigest()
    return Start(record.number, record.at, digest)


def describe_database(path: Path, *, is_data: bool) -> Folder | None:
    """A database of neptune-scale, from its metadata and the first operation; None if it is not one.

    A database that cannot be read is still listed if its name is one that the client gives: reading it then
    says what is wrong, and the other runs are read. Clients before 0.13 gave names that other programs may
    give, too: such a file counts only in `.neptune` (`is_data`), or if it cannot be opened.
    """
    folder = _named_database(path)
    is_expected = path.name == DATABASE or (folder.started_at is not None and is_data)
    try:
        if is_expected or is_database(path):
            with open_database(path) as database:
                tables = _tables(database)
                if tables >= _TABLES:
                    # Each line may find damage; what was read before it stays.
                    folder = _with_identity(folder, database)
                    folder = _with_operations(folder, database)
                    return replace(folder, notes=_database_notes(database, tables, folder.first_operation))
    except (sqlite3.DatabaseError, SourceError, OSError):
        is_expected = is_expected or folder.started_at is not None
    return folder if is_expected else None


def _named_database(path: Path) -> Folder:
    """What the name and the times of the files say."""
    named = path.parent if path.name == DATABASE else path.with_suffix("")
    started = _TIME_IN_NAME.fullmatch(named.name)
    # Without the shared memory (-shm), which every reader writes to.
    stats = _stats(p for p in database_files(path) if not p.name.endswith("-shm")) or _stats([path.parent])
    return Folder(
        path,
        client=3,
        container_id=clean(named.name),
        process=(named.name, ""),
        started_at=datetime.fromtimestamp(int(started[1]) / 1e9, timezone.utc) if started else None,
        modified_ns=_modified_ns(stats),
    )


def _tables(database: sqlite3.Connection) -> set[str]:
    return {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _with_identity(folder: Folder, database: sqlite3.Connection) -> Folder:
    row = database.execute("SELECT project, run_id FROM metadata").fetchone()
    return folder if row is None else replace(folder, project_id=str(row[0]), container_id=str(row[1]))


def _with_operations(folder: Folder, database: sqlite3.Connection) -> Folder:
    name, start, last = _peek_run(database)
    first = folder.first_operation if start is None else start.number
    folder = replace(folder, name=name, start=start, size_hint=last, extent=last, first_operation=first)
    with suppress(sqlite3.DatabaseError):  # damage in a sampled operation must not cost what is known
        folder = replace(folder, size_hint=_values_between(database, first, last))
    return folder


def _values_between(database: sqlite3.Connection, first: int, last: int) -> int:
    """Roughly how many values operations hold together, from some of them that are spread evenly."""
    count = last - first + 1
    numbers = range(first, last + 1, -(-count // _SAMPLED_OPERATIONS) or 1)
    query = f"SELECT operation FROM run_operations WHERE sequence_id IN ({','.join('?' * len(numbers))})"
    values = 0
    for (blob,) in database.execute(query, numbers):
        with suppress(wire.DecodeError, TypeError):  # TypeError: it is a TEXT or NULL
            update = wire.UpdateRunSnapshot.FromString(blob)
            values += len(update.assign) + len(update.append) + len(update.modify_sets)
    return _ROWS_OF_A_RUN + round(values * count / max(1, len(numbers)))


def _stats(paths: Iterable[Path]) -> list[os.stat_result]:
    """The status of those files that exist and can be read."""
    found = []
    for path in paths:
        with suppress(OSError):
            found.append(path.stat())
    return found


def _bytes(stats: Iterable[os.stat_result]) -> int:
    return sum(each.st_size for each in stats)


def _modified_ns(stats: Iterable[os.stat_result]) -> int:
    return max((each.st_mtime_ns for each in stats), default=0)


def _metadata(path: Path, container: Path) -> dict[str, Any]:
    """`metadata.json` beside the log, or above all logs of the process."""
    for folder in (path, *path.parents):
        with suppress(OSError, ValueError):
            content = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
            if isinstance(content, dict) and "containerId" in content:
                return {name: value for name, value in content.items() if value}
        if folder == container:
            break
    return {}


def _name_in(first: list[oplog.Record]) -> str | None:
    """`sys/name`, which the client logs first."""
    for operation in (record.operation for record in first):
        if operation.get("type") == "AssignString" and operation.get("path") == SysAttribute.NAME.split("/"):
            return clean(str(operation.get("value")))
    return None


def _first_time(start: Start | None) -> datetime | None:
    milliseconds = from_seconds(start.at) if start is not None and start.at else None
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


def _peek_run(database: sqlite3.Connection) -> tuple[str | None, Start | None, int]:
    """Experiment name, first operation and last sequence number."""
    # Each by itself is found at once in the table, which may be whole where the client's index is damaged.
    ends = "SELECT (SELECT min(sequence_id) {0}), (SELECT max(sequence_id) {0})"
    first, last = database.execute(ends.format("FROM run_operations NOT INDEXED")).fetchone()
    start = None if first is None else row_at(database, first)
    if start is None:
        return None, None, 0
    query = "SELECT operation FROM run_operations WHERE sequence_id = ? AND operation_type = 1"
    name = None
    for (blob,) in database.execute(query, (first,)):
        with suppress(wire.DecodeError):
            name = wire.Run.FromString(blob).experiment_id or None
    return name, start, last


def row_at(database: sqlite3.Connection, number: int) -> Start | None:
    """What distinguishes an operation of a database from others; None if it is not there or malformed."""
    query = "SELECT timestamp, operation_type, operation FROM run_operations WHERE sequence_id = ?"
    row = database.execute(query, (number,)).fetchone()
    if row is None:
        return None
    timestamp, operation_type, blob = row
    try:
        return Start(number, timestamp, hashlib.sha256(b"%d:%b" % (operation_type, blob)).hexdigest())
    except TypeError:  # the operation is a TEXT or NULL
        return None


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
