"""An exported run straight from sample data, so that sinks are tested without a dataset."""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from neptune_exporter.contract.failures import AttributeFailure
from neptune_exporter.contract.files import StoredFile
from neptune_exporter.contract.rows import (
    FileEntry,
    Histogram,
    Parameter,
    Point,
    Row,
    Step,
    TextLine,
    parameters_by_path,
)
from neptune_exporter.contract.run import ExportedRun, TypeCount
from neptune_exporter.errors import DatasetError, MissingFileError, UnsafePathError
from neptune_exporter.model import PARAMETER_TYPES, AttributeType, RunKey
from neptune_exporter.schema import FULL_SCHEMA, VALUE_COLUMN
from neptune_exporter.testing.runs import (
    Entry,
    SampleAttribute,
    SampleFile,
    SampleHistogram,
    SampleRun,
)

StoreFile = Callable[[SampleAttribute, Entry, int], StoredFile]
_MILLIONTH = Decimal("0.000001")
MAX_STEP = Decimal("999999999999.999999")
"""The largest absolute value of the `step` column."""


def cells(attribute: SampleAttribute, entry: Entry, number: int, store: StoreFile) -> dict[str, Any]:
    """One row as a dict of the columns that it has, without the run's own."""
    row: dict[str, Any] = {"attribute_path": attribute.path, "attribute_type": attribute.type.value}
    if entry.timestamp is not None:
        row["timestamp"] = entry.timestamp
    if isinstance(entry.step, Decimal):
        row["step"] = entry.step
    elif entry.step is not None:
        row["step_float64"] = entry.step
        if abs(entry.step) < 1e12:
            row["step"] = Decimal(entry.step).quantize(_MILLIONTH).min(MAX_STEP).max(-MAX_STEP)
    value = entry.value
    column = VALUE_COLUMN[attribute.type]
    if isinstance(value, SampleFile):
        stored = store(attribute, entry, number)
        row[column] = {"path": stored.path}
        row["file_size"], row["file_sha256"] = stored.size, stored.sha256
    elif isinstance(value, SampleHistogram):
        row[column] = {"type": value.kind, "edges": list(value.edges), "values": list(value.values)}
    else:
        row[column] = list(value) if isinstance(value, tuple) else value
    return row


class MemoryRun(ExportedRun):
    """A `SampleRun` as sinks get it.

    Args:
        run: What it holds.
        shuffle: Hand out rows in any order, as exports of other tools do: the seed of that order.
            Otherwise rows are ordered by attribute and step.
        sizes: Whether rows of files have their size and digest; in exports of other tools they have none.
        break_after: Raise a `DatasetError` after this many rows, as a damaged part would.
        failures: What the export could not read.
        notes: What the source said of the run as a whole.
        url: Where the source has its page.
        renamed_files: By attribute path, the file path that its rows name instead of a file that is there.
    """

    def __init__(
        self,
        run: SampleRun,
        *,
        shuffle: int | None = None,
        sizes: bool = True,
        break_after: int | None = None,
        failures: tuple[AttributeFailure, ...] = (),
        notes: tuple[str, ...] = (),
        url: str = "",
        renamed_files: Mapping[str, str] | None = None,
    ) -> None:
        self.sample = run
        self._break_after = break_after
        self._failures = failures
        self._notes = notes
        self._url = url
        self._renamed = renamed_files or {}
        self._files: dict[str, bytes] = {}
        rows = [cells(a, e, n, self._store) for a in run.attributes for n, e in enumerate(a.entries)]
        rows.sort(key=lambda r: (r["attribute_path"], r.get("step_float64", r.get("step", 0))))
        for row in rows if not sizes else ():
            row.pop("file_size", None)
            row.pop("file_sha256", None)
        if shuffle is not None:
            random.Random(shuffle).shuffle(rows)
        identity = {"project_id": run.key.project_id, "run_id": run.key.run_id}
        self._table = pa.Table.from_pylist([identity | row for row in rows], schema=FULL_SCHEMA)

    def _store(self, attribute: SampleAttribute, entry: Entry, number: int) -> StoredFile:
        assert isinstance(entry.value, SampleFile)
        content = entry.value.content
        path = self._renamed.get(attribute.path)
        if path is None:
            path = f"{hashlib.sha256(attribute.path.encode()).hexdigest()[:12]}/{number}.bin"
            self._files[path] = content
        return StoredFile(path, len(content), hashlib.sha256(content).hexdigest())

    @property
    def key(self) -> RunKey:
        return self.sample.key

    @property
    def fingerprint(self) -> str:
        columns = self._table.drop_columns(["file_value"]).to_pylist()
        return hashlib.sha256("\n".join(sorted(map(repr, columns))).encode()).hexdigest()

    @property
    def complete(self) -> bool:
        return True

    @property
    def failures(self) -> tuple[AttributeFailure, ...]:
        return self._failures

    @property
    def notes(self) -> tuple[str, ...]:
        return self._notes

    @property
    def url(self) -> str:
        return self._url

    def counts(self) -> Mapping[AttributeType, TypeCount]:
        held = [a for a in self.sample.attributes if a.entries]
        return {
            t: TypeCount(sum(a.type is t for a in held), sum(len(a.entries) for a in held if a.type is t))
            for t in sorted({a.type for a in held})
        }

    def parameters(self) -> Mapping[str, Parameter]:
        return parameters_by_path(self._rows(PARAMETER_TYPES))

    def parent(self) -> RunKey | None:
        return self.sample.parent

    def fork_step(self) -> Step | None:
        return self.sample.fork_step

    def time_span(self) -> tuple[datetime | None, datetime | None]:
        times = [e.timestamp for a in self.sample.attributes for e in a.entries if e.timestamp is not None]
        return min(times, default=None), max(times, default=None)

    def batches(
        self,
        types: Collection[AttributeType] | None = None,
        *,
        attributes: Collection[str] | None = None,
        columns: Collection[str] | None = None,
        batch_rows: int = 65_536,
        encoded: bool = False,
    ) -> Iterator[pa.RecordBatch]:
        table = _selected(self._table, types, attributes, columns)
        whole = table.num_rows
        if encoded and "attribute_path" in table.column_names:
            index = table.column_names.index("attribute_path")
            paths = table.column(index).combine_chunks().dictionary_encode()
            table = table.set_column(index, "attribute_path", paths)
        if self._break_after is not None:
            table = table.slice(0, self._break_after)
        yield from table.combine_chunks().to_batches(max_chunksize=batch_rows)
        if table.num_rows < whole:
            raise DatasetError(f"{self.key}: part 1 is damaged (a test broke it)")

    def rows(self, types: Collection[AttributeType] | None = None) -> Iterator[Row]:
        return self._rows(types)

    def _rows(self, types: Collection[AttributeType] | None) -> Iterator[Row]:
        for batch in self.batches(types):
            yield from map(typed_row, batch.to_pylist())

    def open_file(self, file: str) -> BinaryIO:
        parts = PurePosixPath(file).parts
        leaves = file.startswith("/") or ".." in parts or PureWindowsPath(file).anchor or "\\" in file
        if leaves:
            raise UnsafePathError(f"{self.key}: the file path {file!r} leaves the files folder")
        if file not in self._files:
            raise MissingFileError(f"{self.key}: the file {file!r} is not in the files folder")
        return io.BytesIO(self._files[file])


def _selected(
    table: pa.Table,
    types: Collection[AttributeType] | None,
    attributes: Collection[str] | None,
    columns: Collection[str] | None,
) -> pa.Table:
    if types is not None:
        wanted = pa.array([t.value for t in types], pa.string())
        table = table.filter(pc.is_in(table["attribute_type"], wanted))
    if attributes is not None:
        table = table.filter(pc.is_in(table["attribute_path"], pa.array(list(attributes), pa.string())))
    if columns is not None:
        table = table.select([name for name in FULL_SCHEMA.names if name in columns])
    return table


def typed_row(row: Mapping[str, Any]) -> Row:
    """A row of `FULL_SCHEMA` as a typed object."""
    path, kind = row["attribute_path"], AttributeType(row["attribute_type"])
    value = row[VALUE_COLUMN[kind]]
    if kind in PARAMETER_TYPES:
        return Parameter(path, kind, value)
    step = row["step"] if row["step_float64"] is None else row["step_float64"]
    time = row["timestamp"]
    if kind is AttributeType.FLOAT_SERIES:
        return Point(path, step, time, value)
    if kind is AttributeType.STRING_SERIES:
        return TextLine(path, step, time, value)
    if kind is AttributeType.HISTOGRAM_SERIES:
        return Histogram(path, step, time, value["type"], tuple(value["edges"]), tuple(value["values"]))
    return FileEntry(path, kind, step, time, value["path"], row["file_size"], row["file_sha256"])
