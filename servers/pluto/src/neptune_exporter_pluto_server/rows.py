"""Rows of the local Pluto other than points: data, log lines, files.

Nothing is deduplicated, as in the real one. Arrow batches gather per run in
memory; what grows beyond a bound is written to a working file and mapped back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from neptune_exporter_pluto_server.points import Key

DATA = pa.schema(
    [
        ("time", pa.uint64()),
        ("step", pa.uint64()),
        ("dataType", pa.string()),
        ("logName", pa.string()),
        ("data", pa.large_string()),
    ]
)
LOGS = pa.schema(
    [
        ("time", pa.uint64()),
        ("message", pa.large_string()),
        ("lineNumber", pa.uint64()),
        ("logType", pa.string()),
    ]
)
FILES = pa.schema(
    [
        ("time", pa.uint64()),
        ("step", pa.uint64()),
        ("logName", pa.string()),
        ("fileName", pa.string()),
        ("fileType", pa.string()),
        ("fileSize", pa.uint64()),
        ("caption", pa.string()),
        ("sampleIndex", pa.uint32()),
        ("annotations", pa.string()),
    ]
)

_FRESH_BYTES = 32 << 20


@dataclass
class _Part:
    arrived: float
    rows: int
    batch: pa.RecordBatch | None
    place: tuple[int, int] | None = None
    """Offset and size in the working file."""


@dataclass
class _Run:
    parts: list[_Part] = field(default_factory=list)
    rows: int = 0
    order: tuple[tuple[int, str, str | None], Any] | None = None


class RowTable:
    """All rows of one kind, by (project, run) as the request named them."""

    def __init__(
        self, schema: pa.Schema, file: Path, clock: Callable[[], float], delay: Callable[[], float]
    ) -> None:
        self.schema = schema
        self._file = file
        self._clock = clock
        self._delay = delay
        self._runs: dict[Key, _Run] = {}
        self._out: BinaryIO | None = None
        self._size = 0
        self._fresh_bytes = 0
        self._lock = threading.RLock()

    def append(self, key: Key, batch: pa.RecordBatch) -> None:
        if batch.num_rows == 0:
            return
        with self._lock:
            run = self._runs.setdefault(key, _Run())
            run.parts.append(_Part(self._clock(), batch.num_rows, batch))
            run.rows += batch.num_rows
            self._fresh_bytes += batch.nbytes
            if self._fresh_bytes > _FRESH_BYTES:
                self._spill()

    def append_rows(self, key: Key, rows: list[dict[str, Any]]) -> None:
        self.append(key, pa.RecordBatch.from_pylist(rows, self.schema))

    def owners(self) -> list[Key]:
        with self._lock:
            return list(self._runs)

    def rows(self, key: Key) -> int:
        """How many rows were accepted, visible or not."""
        with self._lock:
            run = self._runs.get(key)
            return 0 if run is None else run.rows

    def read(self, key: Key) -> pa.Table:
        """The visible rows of a run in the order in which they came."""
        with self._lock:
            run = self._runs.get(key, _Run())
            limit = self._clock() - self._delay()
            batches = [self._load(part) for part in run.parts if part.arrived <= limit]
        return pa.Table.from_batches(batches, self.schema)

    def all_batches(self, key: Key) -> Iterator[pa.RecordBatch]:
        """Every row of a run, visible or not, in pieces."""
        with self._lock:
            parts = list(self._runs.get(key, _Run()).parts)
        for part in parts:
            yield self._load(part)

    def page(
        self, key: Key, order_by: str, where: Mapping[str, str | None], offset: int, limit: int
    ) -> tuple[list[dict[str, Any]], int]:
        """A page of the visible rows ordered by one column, and how many there are in all."""
        table = self.read(key)
        column, value = next(iter(where.items()))
        with self._lock:
            run = self._runs.get(key, _Run())
            wanted = (table.num_rows, order_by, value)
            if run.order is None or run.order[0] != wanted:
                run.order = (wanted, _order(table, order_by, column, value))
            order = run.order[1]
        return _take(table, order[offset : offset + limit]), len(order)

    def close(self) -> None:
        with self._lock:
            if self._out is not None:
                self._out.close()
                self._out = None

    def _load(self, part: _Part) -> pa.RecordBatch:
        if part.batch is not None:
            return part.batch
        assert part.place is not None
        with pa.memory_map(str(self._file)) as source:
            source.seek(part.place[0])
            return pa.ipc.read_record_batch(source.read_buffer(part.place[1]), self.schema)

    def _spill(self) -> None:
        if self._out is None:
            self._out = self._file.open("wb", buffering=0)
        for run in self._runs.values():
            fresh = [part for part in run.parts if part.batch is not None]
            if not fresh:
                continue
            table = pa.Table.from_batches([part.batch for part in fresh], self.schema).combine_chunks()
            (batch,) = table.to_batches()
            data = batch.serialize()
            self._out.write(data)
            part = _Part(max(p.arrived for p in fresh), batch.num_rows, None, (self._size, data.size))
            self._size += data.size
            run.parts = [*(part for part in run.parts if part.batch is None), part]
        self._fresh_bytes = 0


def _order(table: pa.Table, order_by: str, column: str, value: str | None) -> npt.NDArray[np.int64]:
    keys = np.concatenate([np.empty(0, np.uint64), *map(np.from_dlpack, table[order_by].chunks)])
    if value is None:
        return np.argsort(keys, kind="stable")
    chosen = np.concatenate(
        [
            np.empty(0, np.bool_),
            *(c.to_numpy(zero_copy_only=False) for c in pc.equal(table[column], value).chunks),
        ]
    )
    indices = np.flatnonzero(chosen)
    return np.asarray(indices[np.argsort(keys[indices], kind="stable")])


def _take(table: pa.Table, indices: npt.NDArray[np.int64]) -> list[dict[str, Any]]:
    """Rows by index. Chunk by chunk, because taking from a chunked column copies all of it."""
    batches = table.to_batches()
    ends = np.cumsum([batch.num_rows for batch in batches])
    chunks = np.searchsorted(ends, indices, "right")
    rows: list[Any] = [None] * len(indices)
    for chunk in np.unique(chunks).tolist():
        places = np.flatnonzero(chunks == chunk)
        start = int(ends[chunk]) - batches[chunk].num_rows
        taken = batches[chunk].take(pa.array(indices[places] - start))
        for place, row in zip(places.tolist(), taken.to_pylist(), strict=True):
            rows[place] = row
    return rows
