"""Replays the logs of a run: each record once, in the order in which they were logged."""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol

from neptune_exporter.model import RunKey
from neptune_exporter_offline import neptune2, neptune3
from neptune_exporter_offline.files import UploadRequest
from neptune_exporter_offline.folders import Folder, Start, start_of
from neptune_exporter_offline.neptune3 import DatabaseLog
from neptune_exporter_offline.oplog import OperationLog
from neptune_exporter_offline.problems import Problems
from neptune_exporter_offline.processes import group
from neptune_exporter_offline.sqlite import open_database
from neptune_exporter_offline.state import State
from neptune_exporter_offline.union import Ranges, Scan, Stretch, covered, missing, unite


class Log(Protocol):
    """A log of either client."""

    @property
    def put(self) -> int:
        """How many records its process counted; 0 where that is not known."""

    def scan(self) -> Scan: ...
    def read(self, stretch: Stretch) -> Iterator[Any]: ...
    def compared(self, stretch: Stretch) -> Iterator[Any]: ...
    def same(self, record: Any, other: Any) -> bool: ...


@dataclass
class Replayed:
    """What is known of a run's files after its replay."""

    processes: list[list[int]] = field(default_factory=list)
    """Indices of the folders that each process wrote, and of copies of them."""
    requests: dict[str, UploadRequest] = field(default_factory=dict)


def replay(key: RunKey, folders: Sequence[Folder], state: State) -> Replayed:
    """Bring a run into the state in which its logs leave it; what cannot be read is in `state.problems`."""
    with ExitStack() as stack:
        if folders[0].client == 2:
            return _replay2(key, folders, state)
        return _replay3(key, folders, state, stack)


def _replay2(key: RunKey, folders: Sequence[Folder], state: State) -> Replayed:
    logs: dict[int, Log] = {i: OperationLog(folder.path, i) for i, folder in enumerate(folders)}
    scans = {index: log.scan() for index, log in logs.items()}

    def find(index: int, number: int) -> Start | None:
        for stretch in scans[index].stretches:
            if stretch.first <= number <= stretch.last:
                record = next(logs[index].read(stretch.of(number, number)), None)
                return None if record is None else start_of(number, record)
        return None

    processes = group(folders, find)
    applied = neptune2.Neptune2Replay(state, folders, processes)
    for _, index, record in _records(folders, logs, scans, processes, state.problems):
        applied.apply(index, record)
    applied.finish(key.run_id)
    return Replayed(processes)


def _replay3(key: RunKey, folders: Sequence[Folder], state: State, stack: ExitStack) -> Replayed:
    logs: dict[int, DatabaseLog] = {}
    requests: dict[str, UploadRequest] = {}
    for index, folder in enumerate(folders):
        try:
            database = stack.enter_context(open_database(folder.path))
            database.execute("SELECT 1 FROM run_operations LIMIT 1")
        except (sqlite3.DatabaseError, OSError) as error:
            message = f"{folder.label}: the database cannot be read: {error}"
            state.problems.add("", None, message, permanent=False)
            continue
        requests |= neptune3.upload_requests(database, index, folder, state.problems)
        logs[index] = DatabaseLog(database, index)
    scans = {index: log.scan() for index, log in logs.items()}
    processes = group(folders, lambda index, number: logs[index].find(number) if index in logs else None)
    applied = neptune3.Neptune3Replay(state)
    for _, index, row in _records(folders, dict(logs), scans, processes, state.problems):
        applied.apply(index, row)
    applied.finish(key.project_id, key.run_id)
    return Replayed(processes, requests)


_Entry = tuple[float, int, Any]
"""A record with the time by which it is ordered, and the index of its log."""


def _records(
    folders: Sequence[Folder],
    logs: dict[int, Log],
    scans: dict[int, Scan],
    processes: Sequence[Sequence[int]],
    problems: Problems,
) -> Iterator[_Entry]:
    """The records of all logs by the time at which they were logged, each once."""
    streams: list[Iterator[_Entry]] = []
    for process in processes:
        known = [index for index in process if index in logs]
        if not known:
            continue
        stretches = [stretch for index in known for stretch in scans[index].stretches]
        union = unite(stretches, lambda s: logs[s.log].compared(s), logs[known[0]].same)
        label = folders[known[0]].label

        def report(message: str, *, permanent: bool = True, label: str = label) -> None:
            problems.add("", None, f"{label}: {message}", permanent=permanent)

        _report_holes(
            [scans[i] for i in known],
            min(folders[i].first_operation for i in known),
            max(logs[i].put for i in known),
            report,
        )
        if union.differing:
            report(
                f"several operations that differ have the same number ({_shown(union.differing)}); "
                "all were read, and points may be there twice"
            )
        streams += [_in_order(branch, logs, report) for branch in union.branches()]
    yield from streams[0] if len(streams) == 1 else heapq.merge(*streams, key=lambda entry: entry[0])


def _in_order(
    stretches: Sequence[Stretch], logs: dict[int, Log], report: Callable[..., None]
) -> Iterator[_Entry]:
    """The records of stretches one after the other; none is ordered before the one before it."""
    at = 0.0
    for stretch in stretches:
        try:
            for record in logs[stretch.log].read(stretch):
                if record.at > at:
                    at = record.at
                yield at, stretch.log, record
        except (OSError, sqlite3.DatabaseError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            numbers = f"operations {stretch.first:,} to {stretch.last:,}"
            report(f"{numbers} can no longer be read: {reason}", permanent=False)


def _report_holes(scans: Sequence[Scan], first: int, put: int, report: Callable[..., None]) -> None:
    """What no log of a process holds."""
    there = covered(stretch for scan in scans for stretch in scan.stretches)
    top = there[-1][1] if there else first - 1
    for hole in (hole for scan in scans for hole in scan.holes):
        if hole.last is None or missing(there, hole.first, hole.last):
            report(hole.message, permanent=hole.permanent)
            last = max(top, put) if hole.last is None else hole.last
            there = covered_with(there, hole.first, last)
    top = max(top, there[-1][1] if there else 0)
    for begin, end in missing(there, first, top):
        report(f"{_operations(begin, end)} missing from the log")
    torn = any(scan.torn == top + 1 for scan in scans)
    if put > top:
        cut = "; the last record is cut off" if torn else ""
        report(
            f"{_operations(top + 1, put)} not in the log: the process ended before it wrote them to disk, "
            f"or still runs{cut}"
        )
    elif torn:
        report("the last record of the log is cut off and lost")


def covered_with(there: Ranges, first: int, last: int) -> Ranges:
    """Ranges and one more."""
    return covered([Stretch(0, a, b) for a, b in [*there, (first, last)] if a <= b])


def _operations(first: int, last: int) -> str:
    return f"operation {first:,} is" if first == last else f"operations {first:,} to {last:,} are"


def _shown(ranges: Ranges) -> str:
    some = ", ".join(f"{a:,}" if a == b else f"{a:,} to {b:,}" for a, b in ranges[:3])
    return some if len(ranges) <= 3 else f"{some}, and more"
