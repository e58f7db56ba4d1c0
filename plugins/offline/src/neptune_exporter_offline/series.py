"""The points of series while a log is replayed: columns in memory, and above a budget in a temporary file.

A log interleaves all series of a run, and a dataset wants one series after the other.
So points are collected for each series. When all of them together exceed the budget, the
points of each series are appended to a file as a record batch. A series is read back
batch by batch: in the order of the log, and in bounded memory.
"""

from __future__ import annotations

import os
import tempfile
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cache
from itertools import accumulate
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc

from neptune_exporter.model import AttributeType
from neptune_exporter.schema import HISTOGRAM_TYPE

BUDGET = 24 * 2**20
"""Bytes of points (as counted by `Spill.used`) that are kept in memory."""

SORT_LIMIT = 32 * 2**20
"""A series out of order is sorted by step if it takes at most this many bytes; else it stays as logged."""

_NO_TIME = -(2**63)
"""Stands for None in `times`."""

_BEFORE_ALL = float("-inf")

POINT_BYTES = 24
"""What a step, a time and a number take."""


class Series:
    """The points of one series, collected by `add`.

    Times are milliseconds since 1970, UTC, or None.
    """

    __slots__ = (
        "_add_step", "_add_time", "_add_value", "_spill", "bytes", "in_order", "last_step", "segments",
        "steps", "times", "type", "values",
    )  # fmt: skip

    def __init__(self, attribute_type: AttributeType, spill: Spill) -> None:
        self.type = attribute_type
        self._spill = spill
        self.last_step = _BEFORE_ALL
        self.in_order = True
        self.bytes = 0
        self.segments: list[int] = []
        """Where spilled points begin in the file: one number each, because there can be millions."""
        self._reset_buffers()

    def _reset_buffers(self) -> None:
        self.steps = array("d")
        self.times = array("q")
        self.values: array[float] | list[Any] = array("d") if self.type is AttributeType.FLOAT_SERIES else []
        self._add_step: Callable[[Any], None] = self.steps.append
        self._add_time = self.times.append
        self._add_value: Callable[[Any], None] = self.values.append

    def add(self, step: float, time: int | None, value: object, size: int = 0) -> None:
        """Append a point. The value must already be of the right type: float, str, or type, edges and values
        of a histogram; `size` is what it takes in bytes. Raises TypeError, ValueError or OverflowError if the
        step or time cannot be kept; nothing was appended."""
        step = float(step)  # before anything is appended: the columns must stay of one length
        self._add_time(_NO_TIME if time is None else time)
        self._add_step(step)
        self._add_value(value)
        if step < self.last_step:
            self.in_order = False
        else:
            self.last_step = step
        spill = self._spill
        spill.used += POINT_BYTES + size
        if spill.used > spill.budget:
            spill.flush()

    def clear(self) -> None:
        """Forget all points. Those that were spilled stay in the file, unused, until the end."""
        self.last_step, self.in_order, self.bytes = _BEFORE_ALL, True, 0
        self.segments = []
        self._reset_buffers()

    def take_buffered(self) -> pa.RecordBatch | None:
        """Take the points in memory, as a batch of `step`, `time` and `value`; frees the memory."""
        if not self.times:
            return None
        times = _from_array(self.times, pa.int64())
        columns = [_from_array(self.steps, pa.float64()), pc.if_else(pc.equal(times, _NO_TIME), None, times)]
        if isinstance(self.values, array):
            columns.append(_from_array(self.values, pa.float64()))
        elif self.type is AttributeType.HISTOGRAM_SERIES:
            columns.append(_histograms(self.values))
        else:
            columns.append(pa.array(self.values, pa.string()))
        self._reset_buffers()
        batch = pa.RecordBatch.from_arrays(columns, schema=_schema(self.type))
        self.bytes += batch.nbytes
        return batch

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All points: ordered by step if that takes little memory, else as logged. Call it once only."""
        last = self.take_buffered()
        batches = self._spill.read(self, last)
        if not self.in_order and self.bytes <= SORT_LIMIT:
            table = pa.Table.from_batches(list(batches))
            order = pc.sort_indices(table["step"])  # stable: points of one step stay as logged
            batches = iter(table.take(order).combine_chunks().to_batches())
        yield from batches


class Spill(AbstractContextManager["Spill"]):
    """Holds the points of all series of one run. Use as a context manager: it removes its file."""

    def __init__(self, budget: int = BUDGET) -> None:
        self.used = 0
        self.budget = budget
        self._series: dict[Series, None] = {}  # in order of appearance
        self._file: IO[bytes] | None = None

    def new_series(self, attribute_type: AttributeType) -> Series:
        series = Series(attribute_type, self)
        self._series[series] = None
        return series

    def forget(self, series: Series) -> None:
        """The attribute was deleted."""
        series.clear()
        self._series.pop(series, None)

    def flush(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="neptune-exporter-")  # noqa: SIM115 - closed at the end
        for series in self._series:
            batch = series.take_buffered()
            if batch is not None:
                series.segments.append(self._file.seek(0, os.SEEK_END))
                self._file.write(batch.serialize())
        self.used = 0

    def read(self, series: Series, last: pa.RecordBatch | None) -> Iterator[pa.RecordBatch]:
        """What was spilled of a series, then its last batch."""
        for place in series.segments:
            assert self._file is not None  # `flush` made it
            self._file.seek(place)
            yield pa.ipc.read_record_batch(pa.ipc.read_message(self._file), _schema(series.type))
        if last is not None:
            yield last

    def __exit__(self, *_: object) -> None:
        self._series.clear()
        if self._file is not None:
            self._file.close()


@cache
def _schema(attribute_type: AttributeType) -> pa.Schema:
    """Of the batches of a series."""
    values = {AttributeType.FLOAT_SERIES: pa.float64(), AttributeType.HISTOGRAM_SERIES: HISTOGRAM_TYPE}
    value = values.get(attribute_type, pa.string())
    return pa.schema([("step", pa.float64()), ("time", pa.int64()), ("value", value)])


def _from_array(values: array[int] | array[float], arrow_type: pa.DataType) -> pa.Array:
    return pa.Array.from_buffers(arrow_type, len(values), [None, pa.py_buffer(values)])


def _histograms(values: Sequence[tuple[str, array[float], array[float]]]) -> pa.Array:
    types, edges, counts = zip(*values, strict=True)
    columns = [pa.array(types, pa.string()), _lists(edges), _lists(counts)]
    return pa.StructArray.from_arrays(columns, fields=list(HISTOGRAM_TYPE))


def _lists(arrays: Sequence[array[float]]) -> pa.Array:
    ends = array("i", accumulate(map(len, arrays), initial=0))
    items = pa.Array.from_buffers(pa.float64(), ends[-1], [None, pa.py_buffer(b"".join(arrays))])
    return pa.ListArray.from_arrays(_from_array(ends, pa.int32()), items)
