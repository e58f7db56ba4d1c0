"""Replays the logs of a run: each record once, in the order in which they were logged."""

from __future__ import annotations

import heapq
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, TypeAlias

from neptune_exporter.model import RunKey
from neptune_exporter.toolkit import clean
from neptune_exporter_offline import neptune2, neptune3
from neptune_exporter_offline.counting import StepCounter
from neptune_exporter_offline.files import UploadRequest
from neptune_exporter_offline.folders import Folder, Start, start_of
from neptune_exporter_offline.gaps import Gap, Gaps, names_of
from neptune_exporter_offline.neptune3 import DatabaseLog
from neptune_exporter_offline.oplog import OperationLog
from neptune_exporter_offline.problems import Problems
from neptune_exporter_offline.processes import group
from neptune_exporter_offline.sqlite import open_database
from neptune_exporter_offline.state import State
from neptune_exporter_offline.union import Ranges, Scan, Stretch, branches, covered, missing, unite

Log: TypeAlias = OperationLog | DatabaseLog


@dataclass
class Replayed:
    """What reading the files of a run needs, and what the next export needs."""

    processes: list[list[int]] = field(default_factory=list)
    """For each process, the indices of the folders that it wrote, and of their copies."""
    requests: dict[str, UploadRequest] = field(default_factory=dict)
    memory: str = ""
    """For the next export of the run."""
    ended: tuple[str, ...] = ()
    """Messages of earlier failures that have ended."""


def replay(key: RunKey, folders: Sequence[Folder], state: State, steps: StepCounter, gaps: Gaps) -> Replayed:
    """Apply all logs of a run; what cannot be read is in `state.problems`."""
    with ExitStack() as stack:
        if folders[0].client == 2:
            found = _replay2(key, folders, state, steps, gaps)
        else:
            found = _replay3(key, folders, state, gaps, stack)
    found.ended = gaps.settle(state.problems)
    left = gaps.remembered()
    if left or gaps.knew_any:
        found.memory = json.dumps({**json.loads(found.memory or "{}"), "gaps": left}, separators=(",", ":"))
    return found


def _replay2(
    key: RunKey, folders: Sequence[Folder], state: State, steps: StepCounter, gaps: Gaps
) -> Replayed:
    logs = {i: OperationLog(folder.path, i) for i, folder in enumerate(folders)}
    scans = {index: log.scan() for index, log in logs.items()}

    def find(index: int, number: int) -> Start | None:
        for stretch in scans[index].stretches:
            if stretch.first <= number <= stretch.last:
                record = next(logs[index].read(stretch.of(number, number)), None)
                return None if record is None else start_of(record)
        return None

    processes = group(folders, find)
    places = [_places(scans[index] for index in process) for process in processes]
    applied = neptune2.Neptune2Replay(state, folders, processes, steps, places)
    for _, index, record in _records(folders, logs, scans, processes, state.problems, gaps):
        applied.apply(index, record)
    applied.finish(key.run_id)
    is_sent = not all(folder.offline for folder in folders)
    return Replayed(processes, memory=steps.remembered(is_sent=is_sent))


def _places(scans: Iterable[Scan]) -> neptune2.Places:
    places: dict[int, set[float]] = {}
    for scan in scans:
        name, last = "", 0
        for stretch in scan.stretches:
            if stretch.place[0] != name or stretch.first > last + 1:
                places.setdefault(stretch.first, set()).add(stretch.begun)
            name, last = stretch.place[0], stretch.last
    return places


def _replay3(key: RunKey, folders: Sequence[Folder], state: State, gaps: Gaps, stack: ExitStack) -> Replayed:
    logs: dict[int, DatabaseLog] = {}
    requests: dict[str, UploadRequest] = {}
    for index, folder in enumerate(folders):
        try:
            database = stack.enter_context(open_database(folder.path))
            database.execute("SELECT 1 FROM run_operations NOT INDEXED LIMIT 1")
        except (sqlite3.DatabaseError, OSError) as error:
            message = f"{folder.label}: the database cannot be read: {error}"
            state.problems.add("", None, message, permanent=False)
            continue
        requests |= neptune3.upload_requests(database, index, folder, state.problems)
        logs[index] = DatabaseLog(database, index)
    scans = {index: log.scan() for index, log in logs.items()}
    processes = group(folders, lambda index, number: logs[index].find(number) if index in logs else None)
    applied = neptune3.Neptune3Replay(state)
    for _, index, row in _records(folders, logs, scans, processes, state.problems, gaps):
        applied.apply(index, row)
    applied.finish(key.project_id, key.run_id)
    return Replayed(processes, requests)


_Entry = tuple[float, int, Any]
"""A record with the time by which it is ordered, and the index of its log."""


def _records(
    folders: Sequence[Folder],
    logs: Mapping[int, Log],
    scans: dict[int, Scan],
    processes: Sequence[Sequence[int]],
    problems: Problems,
    gaps: Gaps,
) -> Iterator[_Entry]:
    """The records of all logs, each once, ordered by the time at which they were logged."""
    streams: list[Iterator[_Entry]] = []
    for process in processes:
        known = {index: folders[index] for index in process if index in logs}
        if known:
            streams += _streams(known, logs, scans, problems, gaps)
    yield from streams[0] if len(streams) == 1 else heapq.merge(*streams, key=lambda entry: entry[0])


def _streams(
    folders: dict[int, Folder],
    logs: Mapping[int, Log],
    scans: dict[int, Scan],
    problems: Problems,
    gaps: Gaps,
) -> list[Iterator[_Entry]]:
    """The records of one process from all its logs, in as few streams as possible; reports gaps."""
    own_scans = [scans[index] for index in folders]
    first, *_ = folders
    stretches = list(chain.from_iterable(scan.stretches for scan in own_scans))
    united, differing = unite(stretches, lambda s: logs[s.log].compared(s), logs[first].same)
    names = names_of(folders.values())

    def report(message: str, begin: int = 0, end: int = 0, *, permanent: bool = True) -> None:
        """Report a failure of a log, and remember which operations it is about, where that is known."""
        message = clean(f"{folders[first].label}: {message}")
        problems.add_once(message, permanent=permanent)
        if 0 < begin <= end:
            gaps.add(Gap(names, begin, end, message, permanent))

    begin = min(folder.first_operation for folder in folders.values())
    gaps.read(names, covered(stretches), begin)
    _report_holes(own_scans, begin, max(logs[index].put for index in folders), report)
    if differing:
        report(
            f"several operations that differ have the same number ({_shown(differing)}); "
            "all were read, and points may be there twice"
        )
    return [_in_order(branch, logs, report) for branch in branches(united)]


def _in_order(
    stretches: Sequence[Stretch], logs: Mapping[int, Log], report: Callable[..., None]
) -> Iterator[_Entry]:
    """The records of stretches one after the other, with times that never fall."""
    at = 0.0
    for stretch in stretches:
        unread, reason = stretch.first, "the log changed while it was read"
        try:
            for record in logs[stretch.log].read(stretch):
                if record.at > at:
                    at = record.at
                unread += 1
                yield at, stretch.log, record
        except (OSError, sqlite3.DatabaseError) as error:
            reason = str(error.strerror if isinstance(error, OSError) else error)
        if unread <= stretch.last:  # otherwise, if at all, it broke behind the last operation
            numbers = f"operations {unread:,} to {stretch.last:,}"
            report(f"{numbers} can no longer be read: {reason}", unread, stretch.last, permanent=False)


def _report_holes(scans: Sequence[Scan], first: int, put: int, report: Callable[..., None]) -> None:
    """Report the records that are in no log of a process."""
    stretches = list(chain.from_iterable(scan.stretches for scan in scans))
    there = covered(stretches)
    top = _last_of(there, first - 1)
    reported = 0
    """Up to here, all numbers from that of the next hole on are reported: the holes are sorted."""
    for hole in sorted(chain.from_iterable(scan.holes for scan in scans), key=lambda hole: hole.first):
        last = max(top, put) if hole.last is None else hole.last
        if hole.last is None or missing(there, max(hole.first, reported + 1), last):
            report(hole.message, hole.first, last, permanent=hole.permanent)
            stretches += [Stretch(0, hole.first, last)] if hole.first <= last else []
            reported = max(reported, last)
    there = covered(stretches)
    top = max(top, _last_of(there, 0))
    for begin, end in missing(there, first, top):
        report(f"{_operations(begin, end)} missing from the log", begin, end)
    _report_end(top, put, any(scan.torn == top + 1 for scan in scans), report)


def _report_end(top: int, put: int, is_torn: bool, report: Callable[..., None]) -> None:
    """Report records after the last one that was read: the process counted them, or one is cut off."""
    if put > top:
        cut = "; the last record is cut off" if is_torn else ""
        report(
            f"{_operations(top + 1, put)} not in the log: the process ended before it wrote them to disk, "
            f"or still runs{cut}",
            top + 1,
            put,
        )
    elif is_torn:
        report("the last record of the log is cut off and lost", top + 1, top + 1)


def _last_of(ranges: Ranges, otherwise: int) -> int:
    return ranges[-1][1] if ranges else otherwise


def _operations(first: int, last: int) -> str:
    return f"operation {first:,} is" if first == last else f"operations {first:,} to {last:,} are"


def _shown(ranges: Ranges) -> str:
    some = ", ".join(f"{a:,}" if a == b else f"{a:,} to {b:,}" for a, b in ranges[:3])
    return some if len(ranges) <= 3 else f"{some}, and more"
