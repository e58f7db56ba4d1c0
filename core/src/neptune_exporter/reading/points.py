"""Series of many runs as one Arrow table."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from neptune_exporter.contract import RunView, StepRange
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.schema import FULL_SCHEMA, TIME_TYPE, VALUE_COLUMN, step_as_float

NAME = pa.dictionary(pa.int32(), pa.string())
_POINT = ("attribute_path", "step", "step_float64", "timestamp")


@dataclass(frozen=True)
class Query:
    """Which points are read."""

    type: AttributeType
    has_attribute: Callable[[str], bool]
    step_range: StepRange = (None, None)
    tail_limit: int | None = None

    @property
    def value_column(self) -> str:
        """Of `FULL_SCHEMA`."""
        return VALUE_COLUMN[self.type]

    def schema(self, with_origin: bool) -> pa.Schema:
        """Of the table."""
        fields = [pa.field("project", NAME), pa.field("run", NAME), pa.field("attribute", NAME)]
        fields += [pa.field("step", pa.float64()), pa.field("timestamp", TIME_TYPE)]
        fields.append(pa.field("value", FULL_SCHEMA.field(self.value_column).type))
        return pa.schema([*fields, *([pa.field("origin", NAME)] if with_origin else [])])


def long_table(lines: Iterable[Sequence[Stretch]], query: Query, *, with_origin: bool) -> pa.Table:
    """The points of the last run of each line, those of its ancestors first.

    Per run they are ordered by attribute and step; points of one step keep the order of the export, and
    those without a step come last.
    """
    schema = query.schema(with_origin)
    tables = [_of_line(line, query, schema) for line in lines]
    return pa.concat_tables([*tables, schema.empty_table()]).unify_dictionaries()


def _of_line(line: Sequence[Stretch], query: Query, schema: pa.Schema) -> pa.Table:
    run = line[-1].run
    batches: list[pa.RecordBatch] = []
    for stretch in line:
        for batch in _read(stretch, query):
            count = len(batch)
            columns = [
                _repeated(run.key.project_id, count),
                _repeated(run.key.run_id, count),
                batch.column("attribute_path"),
                step_as_float(batch),
                batch.column("timestamp"),
                batch.column(query.value_column),
            ]
            if "origin" in schema.names:
                columns.append(_repeated(stretch.run.key.run_id, count))
            batches.append(pa.RecordBatch.from_arrays(columns, schema=schema))
    return _ordered(pa.Table.from_batches(batches, schema), query.tail_limit)


def _read(stretch: Stretch, query: Query) -> Iterator[pa.RecordBatch]:
    low, high = query.step_range
    if stretch.last_step != np.inf:
        high = stretch.last_step if high is None else min(high, stretch.last_step)
    paths = _paths(stretch.run, query)
    columns: Collection[str] = (*_POINT, query.value_column)
    if (low, high) == (None, None):
        if paths:
            yield from stretch.run.batches([query.type], attributes=paths, columns=columns, encoded=True)
        return
    for path in paths:
        for batch in stretch.run.series(path, query.type, step_range=(low, high), columns=columns):
            index = batch.schema.get_field_index("attribute_path")
            yield batch.set_column(index, "attribute_path", _repeated(path, len(batch)))


def _paths(run: RunView, query: Query) -> list[str]:
    found = (each.path for each in run.attributes() if each.type is query.type)
    return [path for path in found if query.has_attribute(path)]


def _ordered(table: pa.Table, tail_limit: int | None) -> pa.Table:
    if not len(table):
        return table
    table = table.unify_dictionaries().combine_chunks()
    codes = ranks(table.column("attribute"))
    steps = table.column("step").to_numpy()  # null is NaN, and goes last
    order = np.lexsort((steps, codes))
    if not (order[1:] > order[:-1]).all():
        table, codes = table.take(order), codes[order]
    if tail_limit is not None:
        table = table.filter(pa.array(_distance_to_end(codes) <= tail_limit))
    return table


def ranks(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """A number for each text of a dictionary column, in the order of the texts."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    array = array.chunk(0) if isinstance(array, pa.ChunkedArray) else array
    rank = pc.rank(array.dictionary, tiebreaker="dense").to_numpy(zero_copy_only=False)
    return np.asarray(rank[array.indices.to_numpy(zero_copy_only=False)], np.int64)


def _distance_to_end(codes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Of each row the number of rows of its attribute from it to the last one, both included."""
    ends = np.flatnonzero(np.append(codes[1:] != codes[:-1], True)) + 1
    return np.repeat(ends, np.diff(ends, prepend=0)) - np.arange(len(codes))


def _repeated(value: str, count: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), pa.array([value], pa.string()))


@dataclass(frozen=True)
class Stretch:
    """A part of the line from the first ancestor to a run."""

    run: RunView
    last_step: float
    """Points up to this step, this one included, are on the line."""


def line(run: RunView, find: Callable[[RunKey], RunView | None]) -> list[Stretch]:
    """A run and its ancestors, the first ancestor first.

    A parent that is not there ends the line with a warning: its points are missing.
    """
    stretches = [Stretch(run, math.inf)]
    seen = {run.key}
    while (parent := stretches[-1].run.parent()) is not None and parent not in seen:
        here = stretches[-1]
        seen.add(parent)
        found, step = find(parent), here.run.fork_step()
        if found is None or step is None:
            why = "is not in the dataset" if found is None else "is known, the step of the fork is not"
            warnings.warn(f"{here.run.key} was forked off {parent}, which {why}", stacklevel=4)
            break
        stretches.append(Stretch(found, min(here.last_step, float(step))))
    return stretches[::-1]
