"""Sorts collected rows into the order of a part: by attribute path, type and step."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from neptune_exporter import compute as pc
from neptune_exporter.schema import FULL_SCHEMA, step_as_float, step_millionths

Numbers = npt.NDArray[np.integer[Any]]
_NO_STEP = np.iinfo(np.int64).max
_STEPS = ("step", "step_float64")
_FEW_SLICES = 32
"""With more slices, taking the rows by their numbers is faster."""


@dataclass
class Batch:
    """Rows grouped by attribute."""

    codes: list[int]
    """The code of each attribute, in the order of the rows."""
    ends: list[int]
    """The row after the last of each attribute."""
    columns: dict[str, pa.Array]
    """The columns, without those that are all null."""

    @property
    def lengths(self) -> list[int]:
        """How many rows each attribute has."""
        return list(map(operator.sub, self.ends, [0, *self.ends]))

    @property
    def nbytes(self) -> int:
        """The approximate size: a number in a list is a pointer, and an object if it is large."""
        return int(48 * len(self.codes) + sum(column.nbytes for column in self.columns.values()))

    def slice(self, first: int, stop: int) -> Batch:
        """The rows of some attributes, by their index."""
        if stop - first == len(self.codes):
            return self
        start = self.ends[first - 1] if first else 0
        ends = [end - start for end in self.ends[first:stop]]
        columns = {name: column.slice(start, ends[-1]) for name, column in self.columns.items()}
        some = {name: column for name, column in columns.items() if column.null_count < len(column)}
        return Batch(self.codes[first:stop], ends, some)


@dataclass(frozen=True)
class SortedRows:
    """Rows in the order of attribute path, type and step."""

    keys: list[tuple[str, str]]
    """Attribute path and type of each series, in order."""
    ends: list[int]
    """The row after the last of each series."""
    columns: dict[str, pa.Array]
    """Columns of `FULL_SCHEMA` without the attribute and the run, and without those that are all null."""

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    def part(self, start: int, count: int) -> dict[str, pa.Array]:
        """The columns of some rows."""
        if count == len(self):
            return dict(self.columns)
        return {name: column.slice(start, count) for name, column in self.columns.items()}

    def series(self) -> Iterator[tuple[tuple[str, str], int, int]]:
        """Key, first row and end of every series."""
        start = 0
        for key, end in zip(self.keys, self.ends, strict=True):
            yield key, start, end
            start = end

    @cached_property
    def _millionths(self) -> Numbers | None:
        """The steps, `_NO_STEP` for none; None if decimals do not hold all of them."""
        return _millionths_of(self.columns)

    def step_range(self) -> tuple[Decimal, Decimal, int, bool] | None:
        """The lowest step, the highest one, how many rows have one, and whether all are whole numbers; None
        if only `_steps` can tell."""
        steps = self._millionths
        if steps is None or not (count := int(np.count_nonzero(steps != _NO_STEP))):
            return None
        given = steps if count == len(steps) else steps[steps != _NO_STEP]
        lowest, highest = (Decimal(int(step)).scaleb(-6) for step in (given.min(), given.max()))
        return lowest, highest, count, not np.any(given % 10**6)

    def steps_of_series(self) -> list[int]:
        """How many distinct steps each series has."""
        whole = self._millionths
        if whole is not None and self.ends:
            starts = [0, *self.ends[:-1]]
            is_new = np.append(True, whole[1:] != whole[:-1])
            is_new[starts] = True
            is_new &= whole != _NO_STEP
            distinct: list[int] = np.add.reduceat(is_new, starts, dtype=np.int64).tolist()
            return distinct
        steps = _steps(self.columns)
        if steps is None:
            return [0] * len(self.ends)
        is_new = pc.not_equal(steps.slice(1), steps.slice(0, len(steps) - 1))
        return [
            is_new.slice(start, end - 1 - start).true_count + 1 if steps[start].is_valid else 0
            for _, start, end in self.series()  # rows without a step come last
        ]

    def step_at(self, row: int) -> float:
        """The steps; infinite for rows without one, so that these come last."""
        steps = _steps({name: self.columns[name].slice(row, 1) for name in _STEPS if name in self.columns})
        value = steps[0].as_py() if steps is not None else None
        return float("inf") if value is None else float(value)


def grouped(numbers: Numbers, code_of: Callable[[int], int], columns: dict[str, pa.Array]) -> Batch:
    """Group the rows by attribute; the rows of one attribute keep their order. `numbers`: the attribute of
    each row, as any integers. `code_of`: the code that `sort` uses for such a number."""
    found, ends = _stretches_of(numbers)
    if len(set(found)) < len(found):
        order = np.argsort(numbers, kind="stable")
        taken = pa.array(order)
        columns = {name: column.take(taken) for name, column in columns.items()}
        found, ends = _stretches_of(numbers[order])
    return Batch([code_of(number) for number in found], ends, columns)


def _stretches_of(numbers: Numbers) -> tuple[list[int], list[int]]:
    """The number of each stretch of equal ones, and the row after its last."""
    ends = np.append(np.flatnonzero(numbers[1:] != numbers[:-1]) + 1, len(numbers))
    return numbers[ends - 1].tolist(), ends.tolist()


def sort(batches: list[Batch], key_of: list[tuple[str, str]]) -> SortedRows:
    """Join what `grouped` gave, in order. Empties the list on the way, so that no memory is needed twice.
    `key_of`: attribute path and type for each code."""
    codes = sorted({code for batch in batches for code in batch.codes}, key=key_of.__getitem__)
    rank_of = {code: rank for rank, code in enumerate(codes)}
    batches[:] = _sliced(batches, rank_of)
    kind = np.int16 if len(codes) < 1 << 15 else np.int32  # numpy sorts 16 bits in linear time
    ranks = np.repeat(
        np.array([rank_of[code] for batch in batches for code in batch.codes], kind),
        [length for batch in batches for length in batch.lengths],
    )
    columns = _joined(batches)
    order = _order(ranks, columns)
    if order is not None:
        taken = pa.array(order)
        for name in list(columns):
            columns[name] = columns.pop(name).take(taken)
    ends = np.cumsum(np.bincount(ranks))
    return SortedRows([key_of[code] for code in codes], ends.tolist(), columns)


def _sliced(batches: list[Batch], rank_of: Mapping[int, int]) -> list[Batch]:
    """The same rows. If a few slices of the batches bring the attributes in order, as mostly in a small run,
    these slices: they are not copied, and then no row has to be taken by its number."""
    slices: list[tuple[int, int, int]] = []
    every = ((number, index) for number, batch in enumerate(batches) for index in range(len(batch.codes)))
    for number, index in sorted(every, key=lambda at: rank_of[batches[at[0]].codes[at[1]]]):
        if slices and slices[-1][::2] == (number, index):
            slices[-1] = number, slices[-1][1], index + 1
        elif len(slices) == _FEW_SLICES:
            return batches
        else:
            slices.append((number, index, index + 1))
    return [batches[number].slice(first, stop) for number, first, stop in slices]


def _joined(batches: list[Batch]) -> dict[str, pa.Array]:
    """The columns of all batches, which lose them; null for the rows of a batch that does not have one."""
    lengths = [batch.ends[-1] for batch in batches]
    columns = {}
    for name in {name: None for batch in batches for name in batch.columns}:
        cells = [batch.columns.pop(name, None) for batch in batches]
        kind = FULL_SCHEMA.field(name).type
        columns[name] = pa.concat_arrays(
            [pa.nulls(n, kind) if each is None else each for each, n in zip(cells, lengths, strict=True)]
        )
    batches.clear()
    return columns


def _order(ranks: Numbers, columns: dict[str, pa.Array]) -> npt.NDArray[np.intp] | None:
    """Where each row of a part is; None if the rows are in order. Rows without a step come last in their
    series, and rows of one step keep their order."""
    order = np.argsort(ranks, kind="stable") if (ranks[1:] < ranks[:-1]).any() else None
    steps = _millionths_of(columns)
    if steps is None:
        floats = _steps(columns)
        if floats is None:
            return order
        return np.lexsort((floats.is_null(), floats.to_numpy(zero_copy_only=False), ranks))
    by_rank, of_series = (steps, ranks) if order is None else (steps[order], ranks[order])
    falls = (by_rank[1:] < by_rank[:-1]) & (of_series[1:] == of_series[:-1])
    return np.lexsort((steps, ranks)) if falls.any() else order


def _millionths_of(columns: dict[str, pa.Array]) -> Numbers | None:
    if "step" not in columns or "step_float64" in columns:
        return None
    step = columns["step"]
    values = step_millionths(step)
    return np.where(step.is_valid(), values, _NO_STEP) if step.null_count else values


def _steps(columns: dict[str, pa.Array]) -> pa.Array | None:
    """A sort key for steps, exact unless a step exceeds decimals."""
    if "step_float64" not in columns:
        return columns.get("step")
    known = [columns[name] for name in _STEPS if name in columns]
    if len(known) == 1:
        return known[0]
    return step_as_float(pa.RecordBatch.from_arrays(known, names=list(_STEPS)))
