"""Applies the operations of neptune-scale to the state of a run.

They are rows of `run_operations` (`neptune_scale.sync.operations_repository`): a protobuf
`Run` for every process that opened the run, and `UpdateRunSnapshot`s for all that was logged.
"""

from __future__ import annotations

import math
import sqlite3
from array import array
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

from neptune_exporter.model import AttributeType, SysAttribute
from neptune_exporter_offline import wire
from neptune_exporter_offline.files import DESTINATION, FileReference, UploadRequest
from neptune_exporter_offline.folders import Folder, Start, row_at
from neptune_exporter_offline.problems import Problems
from neptune_exporter_offline.state import State
from neptune_exporter_offline.times import NO_TIME, from_nanos, to_datetime
from neptune_exporter_offline.union import Hole, Ranges, Scan, Stretch, add

_UPDATE, _CREATE = 0, 1
"""Values of `operation_type`: an `UpdateRunSnapshot`, a `Run`."""
_MILLION = 1_000_000
_STEP_LIMIT = 10**12
"""The client refuses such steps, and decimal(18,6) cannot hold them."""
_FAMILY = "sys/family"
_BEYOND = "its time is beyond the years 1 to 9999"

_APPENDED = {
    "float64": AttributeType.FLOAT_SERIES,
    "string": AttributeType.STRING_SERIES,
    "histogram": AttributeType.HISTOGRAM_SERIES,
    "file_ref": AttributeType.FILE_SERIES,
}
_ASSIGNED = {
    "float64": AttributeType.FLOAT,
    "int64": AttributeType.INT,
    "bool": AttributeType.BOOL,
    "string": AttributeType.STRING,
    "timestamp": AttributeType.DATETIME,
    "string_set": AttributeType.STRING_SET,
    "file_ref": AttributeType.FILE,
}


class Row(NamedTuple):
    """A row of `run_operations`."""

    at: float
    """When it was logged, milliseconds since 1970."""
    operation_type: int
    operation: bytes


class DatabaseLog:
    """The operations of a database."""

    put = 0
    """Always 0: only logs of 2.x say how many operations there should be."""

    def __init__(self, database: sqlite3.Connection, index: int) -> None:
        self._database = database
        self._index = index

    def scan(self) -> Scan:
        """Which operations there are. A damaged database is read as far as it goes."""
        found = Scan()
        ranges: Ranges = []
        damage = self._add_numbers(ranges, "run_operations")
        if damage is not None:  # perhaps only of the client's index, which is smaller and so is read first
            damage = self._add_numbers(ranges, "run_operations NOT INDEXED")
        if damage is not None:
            last = ranges[-1][1] if ranges else 0
            message = f"the database is damaged after operation {last:,}: {damage}"
            found.holes.append(Hole(last + 1, self._last_after(last), message))
        found.stretches += [Stretch(self._index, first, last) for first, last in ranges]
        return found

    def _add_numbers(self, ranges: Ranges, table: str) -> sqlite3.DatabaseError | None:
        """Add the numbers of the operations after those that are there; returns the error that ended it."""
        query = f"SELECT sequence_id FROM {table} WHERE sequence_id > ? ORDER BY sequence_id"
        try:
            for (number,) in self._database.execute(query, (ranges[-1][1] if ranges else -1,)):
                add(ranges, number, number)
        except sqlite3.DatabaseError as error:
            return error
        return None

    def _last_after(self, number: int) -> int:
        """The last operation of a database that is damaged after this one; the next if that is unknown."""
        query = "SELECT max(sequence_id) FROM run_operations NOT INDEXED"
        with suppress(sqlite3.DatabaseError):
            (last,) = self._database.execute(query).fetchone()
            return max(last or 0, number + 1)
        return number + 1

    def read(self, stretch: Stretch) -> Iterator[Row]:
        """The operations of a stretch. Raises sqlite3.DatabaseError if they can no longer be read."""
        query = (
            "SELECT timestamp, operation_type, operation FROM run_operations "
            "WHERE sequence_id BETWEEN ? AND ? ORDER BY sequence_id"
        )
        yield from map(Row._make, self._database.execute(query, (stretch.first, stretch.last)))

    def compared(self, stretch: Stretch) -> Iterator[Row]:
        """As `read`, for comparing logs: ends without an error where they can no longer be read."""
        with suppress(sqlite3.DatabaseError):
            yield from self.read(stretch)

    @staticmethod
    def same(row: Row, other: Row) -> bool:
        return row[1:] == other[1:]

    def find(self, number: int) -> Start | None:
        return row_at(self._database, number)


def upload_requests(
    database: sqlite3.Connection, index: int, folder: Folder, problems: Problems
) -> dict[str, UploadRequest]:
    """The files that the client had not sent yet, by destination."""
    query = "SELECT source_path, destination, is_temporary FROM file_upload_requests ORDER BY id"
    try:
        found = database.execute(query).fetchall()
    except sqlite3.OperationalError:  # no such table: the client is older than files
        return {}
    except sqlite3.DatabaseError as error:
        problems.add("", None, f"{folder.label}: its list of files is damaged: {error}")
        return {}
    return {to: UploadRequest(index, source, bool(temporary)) for source, to, temporary in found}


class Neptune3Replay:
    """Applies rows in the order in which they were logged."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._runs: list[Any] = []
        self._folder, self._at = 0, 0.0

    def apply(self, folder: int, row: Row) -> None:
        """Apply one operation; what cannot be understood of it is reported and left out."""
        self._folder, self._at = folder, row.at / 1000
        try:
            if row.operation_type == _UPDATE:
                self._update(wire.UpdateRunSnapshot.FromString(row.operation))
            elif row.operation_type == _CREATE:
                self._runs.append(wire.Run.FromString(row.operation))
            else:
                message = f"operations of the type {row.operation_type} are not known and were not applied"
                self._state.problems.add("", None, message, permanent=False)
        except (wire.DecodeError, TypeError):
            self._state.problems.add("", None, "a malformed operation was not applied")

    def finish(self, project_id: str, run_id: str) -> None:
        """Add the attributes that Neptune derives from how a run was created."""
        state = self._state
        state.set_default(SysAttribute.CUSTOM_RUN_ID, AttributeType.STRING, run_id)
        names = [run.experiment_id for run in self._runs if run.experiment_id]
        if names:  # the last one took the name
            state.set_default(SysAttribute.NAME, AttributeType.STRING, names[-1])
        if not self._runs:
            return
        created = self._runs[0]  # the others opened the existing run
        if created.HasField("creation_time"):
            self._set_creation_time(created.creation_time)
        if created.HasField("fork_point"):
            self._set_fork(created.fork_point, project_id)
        elif created.family:
            state.set_default(_FAMILY, AttributeType.STRING, created.family)

    def _set_fork(self, fork: Any, project_id: str) -> None:
        state = self._state
        state.set_default(SysAttribute.FORK_PARENT, AttributeType.STRING, fork.parent_run_id)
        if fork.HasField("step"):
            state.set_default(SysAttribute.FORK_STEP, AttributeType.FLOAT, _step(fork.step))
        if fork.parent_project not in ("", project_id):
            state.problems.note(f"Forked from a run of another project, {fork.parent_project}")

    def _set_creation_time(self, stamp: Any) -> None:
        time, path = _datetime(stamp), SysAttribute.CREATION_TIME
        if time is not None:
            self._state.set_default(path, AttributeType.DATETIME, time)
        elif path not in self._state.attributes:
            self._state.problems.add(path, AttributeType.DATETIME, _BEYOND)

    def _update(self, update: Any) -> None:
        # Each access to a message or map makes an object, which is where most of the time goes.
        if update.append:
            self._append(update)
        if update.assign:
            for path, value in update.assign.items():
                self._assign(path, value)
        if update.modify_sets:
            for path, change in update.modify_sets.items():
                self._modify_set(path, change)

    def _append(self, update: Any) -> None:
        state, points = self._state, update.append
        time = self._time(update.timestamp, len(points))
        step = _step_of(update)
        if step is not None and step >= _STEP_LIMIT:
            self._refuse(points)
            return
        preview = update.preview.is_preview
        for path in points:
            value = points[path]
            number = value.float64
            # Most points are numbers other than 0: then the slower question for the kind is not needed.
            kind = "float64" if number else value.WhichOneof("kind")
            if kind != "float64":
                self._append_other(path, kind, value, step, time)
                continue
            series = state.previews(path) if preview else state.series(path, AttributeType.FLOAT_SERIES)
            if series is not None:
                series.add(_next_step(series) if step is None else step, time, number)

    def _append_other(self, path: str, kind: str | None, value: Any, step: float | None, time: Any) -> None:
        """A point of a series of strings, histograms or files."""
        attribute_type = _APPENDED.get(kind or "")
        if kind is None or attribute_type is None:
            self._report_kind(path, kind, "appended")
            return
        series = self._state.series(path, attribute_type)
        if series is not None:
            point, size = self._point(kind, value)
            series.add(_next_step(series) if step is None else step, time, point, size)

    def _refuse(self, points: Any) -> None:
        for path in points:
            self._state.problems.add(path, None, "points at steps of 1e12 and more were left out")

    def _time(self, stamp: Any, points: int) -> int | None:
        time = from_nanos(stamp.seconds, stamp.nanos)
        if time is None:
            self._state.problems.note(NO_TIME, points)
        return time

    def _assign(self, path: str, value: Any) -> None:
        kind = value.WhichOneof("kind")
        attribute_type = _ASSIGNED.get(kind)
        if attribute_type is None:
            self._report_kind(path, kind, "assigned")
            return
        found: object = getattr(value, kind)
        if kind == "timestamp":
            found = _datetime(value.timestamp)
            if found is None:
                self._state.problems.add(path, attribute_type, _BEYOND)
                return
        elif kind == "string_set":
            found = set(value.string_set.values)
        elif kind == "file_ref":
            found = self._file(value.file_ref)
        self._state.assign(path, attribute_type, found)

    def _modify_set(self, path: str, change: Any) -> None:
        if change.WhichOneof("kind") != "string":
            self._report_kind(path, None, "modified")
            return
        strings = self._state.strings(path)
        for value, what in change.string.values.items():
            if what == wire.ADD:
                strings.add(value)
            elif what == wire.REMOVE:
                strings.discard(value)

    def _point(self, kind: str, value: Any) -> tuple[object, int]:
        """The value as `Series.add` takes it, and the bytes that it takes in memory."""
        if kind == "string":
            return value.string, 60 + 2 * len(value.string)
        if kind == "file_ref":
            reference = self._file(value.file_ref).encode()
            return reference, 60 + len(reference)
        histogram = value.histogram
        edges = array("d", histogram.bin_edges)
        if histogram.WhichOneof("kind") == "densities":
            values, kind = array("d", histogram.densities.values), "DENSITY"
        else:
            values, kind = array("d", map(float, histogram.counts.values)), "COUNTING"
        return (kind, edges, values), 240 + 8 * (len(edges) + len(values))

    def _file(self, logged: Any) -> FileReference:
        at, size = self._at, logged.size_bytes
        return FileReference(self._folder, DESTINATION, logged.path, at=at, size=size)

    def _report_kind(self, path: str, kind: str | None, how: str) -> None:
        what = "of an unknown kind" if kind is None else f"of the kind {kind}"
        self._state.problems.add(path, None, f"values {what} were {how} and not read", permanent=False)


def _step(recorded: Any) -> float:
    """The nearest double, which is what Neptune shows.

    The client computes steps in floating point: 999999999999.5 becomes 999999999999 and 500032 millionths.
    """
    step: float = (recorded.whole * _MILLION + recorded.micro) / _MILLION
    return step


def _step_of(update: Any) -> float | None:
    """None if the points were logged without a step."""
    step = _step(update.step)
    return None if step == 0 and not update.HasField("step") else step


def _next_step(series: Any) -> float:
    """For a point without a step: the whole one after the highest so far, as the protocol says."""
    last: float = series.last_step
    return 0.0 if last < 0 else math.floor(last) + 1.0


def _datetime(stamp: Any) -> datetime | None:
    """None beyond the years 1 to 9999."""
    milliseconds = from_nanos(stamp.seconds, stamp.nanos)
    return None if milliseconds is None else to_datetime(milliseconds)
