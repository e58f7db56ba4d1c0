"""Times that Python has: the years 1 to 9999. A file may hold others, as where somebody wrote µs for ms."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pyarrow as pa
import pyarrow.compute as pc

from neptune_exporter.schema import TIME_TYPE

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MS = timedelta(milliseconds=1)
FIRST_MS = (datetime.min.replace(tzinfo=timezone.utc) - _EPOCH) // _MS
LAST_MS = (datetime.max.replace(tzinfo=timezone.utc) - _EPOCH) // _MS


def moment(milliseconds: int) -> datetime:
    """From FIRST_MS to LAST_MS."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def extent(times: pa.Array) -> tuple[int, int] | None:
    """Least and greatest time in ms, None if there is none."""
    found = pc.min_max(times.cast(TIME_TYPE).cast(pa.int64()))
    return None if found["min"].as_py() is None else (found["min"].as_py(), found["max"].as_py())


def is_python(limits: tuple[int, int] | None) -> bool:
    """Whether Python has all times of an extent."""
    return limits is None or FIRST_MS <= limits[0] <= limits[1] <= LAST_MS


def python_times(times: pa.Array) -> pa.Array:
    """The times, null where Python has none."""
    if is_python(extent(times)):
        return times
    milliseconds = times.cast(TIME_TYPE).cast(pa.int64())
    known = pc.and_(pc.greater_equal(milliseconds, FIRST_MS), pc.less_equal(milliseconds, LAST_MS))
    return pc.if_else(known, milliseconds, pa.scalar(None, pa.int64())).cast(TIME_TYPE)


def within_python(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with no `timestamp`, and the nearest `datetime_value`, where Python has none."""
    for name, change in (("timestamp", python_times), ("datetime_value", _nearest_times)):
        index = batch.schema.get_field_index(name)
        if index >= 0 and not is_python(extent(batch.column(index))):
            batch = batch.set_column(index, batch.schema.field(index), change(batch.column(index)))
    return batch


def _nearest_times(times: pa.Array) -> pa.Array:
    # It is a value: were it null, its attribute would be gone.
    milliseconds = times.cast(TIME_TYPE).cast(pa.int64())
    least = pc.max_element_wise(milliseconds, pa.scalar(FIRST_MS), skip_nulls=False)
    return pc.min_element_wise(least, pa.scalar(LAST_MS), skip_nulls=False).cast(TIME_TYPE)
