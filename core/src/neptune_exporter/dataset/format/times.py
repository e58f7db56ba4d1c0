"""Times that Python supports: the years 1 to 9999. A file may hold others, for example if µs were written as
ms."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pyarrow as pa

from neptune_exporter import compute as pc
from neptune_exporter.schema import TIME_TYPE

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MS = timedelta(milliseconds=1)
FIRST_MS = (datetime.min.replace(tzinfo=timezone.utc) - _EPOCH) // _MS
LAST_MS = (datetime.max.replace(tzinfo=timezone.utc) - _EPOCH) // _MS


def moment(milliseconds: int) -> datetime:
    """A time from FIRST_MS to LAST_MS as Python has it."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def extent(times: pa.Array) -> tuple[int, int] | None:
    """The first and the last time in ms; None if there is no time."""
    given = times.drop_null() if times.null_count else times
    if not len(given):
        return None
    # Not Arrow's own `min_max`, which takes longer for few times: this is done for each run.
    milliseconds = (given if given.type == TIME_TYPE else given.cast(TIME_TYPE)).view(pa.int64()).to_numpy()
    return int(milliseconds.min()), int(milliseconds.max())


def is_python(limits: tuple[int, int] | None) -> bool:
    """Whether Python supports all times of an extent."""
    return limits is None or FIRST_MS <= limits[0] <= limits[1] <= LAST_MS


def python_times(times: pa.Array) -> pa.Array:
    """The times; null if Python does not support one."""
    if is_python(extent(times)):
        return times
    milliseconds = times.cast(TIME_TYPE).cast(pa.int64())
    known = pc.and_(pc.greater_equal(milliseconds, FIRST_MS), pc.less_equal(milliseconds, LAST_MS))
    return pc.if_else(known, milliseconds, pa.scalar(None, pa.int64())).cast(TIME_TYPE)


def within_python(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch without each `timestamp` that Python does not support, and with the nearest
    `datetime_value`."""
    for name, change in (("timestamp", python_times), ("datetime_value", _nearest_times)):
        index = batch.schema.get_field_index(name)
        if index >= 0 and not is_python(extent(batch.column(index))):
            batch = batch.set_column(index, batch.schema.field(index), change(batch.column(index)))
    return batch


def _nearest_times(times: pa.Array) -> pa.Array:
    # This is a value: if it became null, the attribute would be lost.
    milliseconds = times.cast(TIME_TYPE).cast(pa.int64())
    least = pc.max_element_wise(milliseconds, pa.scalar(FIRST_MS), skip_nulls=False)
    return pc.min_element_wise(least, pa.scalar(LAST_MS), skip_nulls=False).cast(TIME_TYPE)
