"""Sorts collected rows into the order of a part: by attribute path, type and step."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from neptune_exporter.schema import FULL_SCHEMA, step_as_float, step_millionths

Numbers = npt.NDArray[np.integer[Any]]
_NO_STEP = np.iinfo(np.int64).max
_STEPS = ("step", "step_float64")
_FEW_ROWS = 16
"""Series with fewer rows in a batch are gathered row by row, longer ones as slices."""


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
    def nbytes(self) -> int:
        """The approximate size: a number in a list is a pointer, and an object if it is large."""
        return int(48 * len(self.codes) + sum(column.nbytes for column in self.columns.values()))

    def slice(self, first: int, stop: int) -> Batch:
        """The rows of some attributes, by their index."""
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
        steps = _steps({name: column.slice(row, 1) for name, column in self.columns.items()})
        value = steps[0].as_py() if steps is not None else None
        return float("inf") if value is None else float(value)


class _Piece(NamedTuple):
    """Consecutive rows of one series in a batch."""

    rank: int
    batch: int
    start: int
    end: int


def grouped(numbers: Numbers, code_of: Callable[[int], int], columns: dict[str, pa.Array]) -> Batch:
    """Group the rows by attribute; the rows of one attribute keep their order.

    Args:
        numbers: The attribute of each row, as any integers.
        code_of: The code that `sort` uses for such a number.
        columns: The columns, of the same length.
    """
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
    """Join batches in order. Empties the list on the way, so that the memory is not needed twice.

    Args:
        batches: Results of `grouped`.
        key_of: Attribute path and type for each code.
    """
    ranks = _ranks(batches, key_of)
    pieces = list(_pieces(batches, ranks))
    if len(batches) > 1 and len(pieces) * _FEW_ROWS > sum(b.ends[-1] for b in batches):
        batches[:] = [_ordered(batches, ranks)]
        pieces = list(_pieces(batches, ranks))
    pieces.sort(key=lambda piece: piece.rank)
    keys, ends = _series(pieces, {rank: key_of[code] for code, rank in ranks.items()})
    stretches = list(_stretches(pieces))
    names = {name: None for batch in batches for name in batch.columns}
    columns = {}
    for name in [*(n for n in _STEPS if n in names), *(n for n in names if n not in _STEPS)]:
        columns[name] = pa.concat_arrays([_cells(batches[s.batch], name, s.start, s.end) for s in stretches])
        for batch in batches:
            batch.columns.pop(name, None)
    batches.clear()
    return _by_step(SortedRows(keys, ends, columns))


def _cells(batch: Batch, name: str, start: int, end: int) -> pa.Array:
    """Some rows of a column; nulls if the batch does not have it."""
    column = batch.columns.get(name)
    if column is None:
        return pa.nulls(end - start, FULL_SCHEMA.field(name).type)
    return column.slice(start, end - start)


def _ranks(batches: list[Batch], key_of: list[tuple[str, str]]) -> dict[int, int]:
    """The rank of the key of each code."""
    used = {code for batch in batches for code in batch.codes}
    return {code: rank for rank, code in enumerate(sorted(used, key=key_of.__getitem__))}


def _pieces(batches: list[Batch], ranks: dict[int, int]) -> Iterator[_Piece]:
    for number, batch in enumerate(batches):
        start = 0
        for code, end in zip(batch.codes, batch.ends, strict=True):
            yield _Piece(ranks[code], number, start, end)
            start = end


def _series(
    pieces: list[_Piece], key_of: dict[int, tuple[str, str]]
) -> tuple[list[tuple[str, str]], list[int]]:
    keys, ends, end = [], [], 0
    for index, piece in enumerate(pieces):
        end += piece.end - piece.start
        if index + 1 == len(pieces) or pieces[index + 1].rank != piece.rank:
            keys.append(key_of[piece.rank])
            ends.append(end)
    return keys, ends


def _stretches(pieces: list[_Piece]) -> Iterator[_Piece]:
    """Join pieces that follow each other."""
    current: _Piece | None = None
    for piece in pieces:
        if current is not None and (current.batch, current.end) == (piece.batch, piece.start):
            current = _Piece(current.rank, current.batch, current.start, piece.end)
            continue
        if current is not None:
            yield current
        current = piece
    if current is not None:
        yield current


def _ordered(batches: list[Batch], ranks: dict[int, int]) -> Batch:
    """All batches as one, ordered by rank."""
    rank_of = pa.concat_arrays(
        [
            pc.run_end_decode(
                pa.RunEndEncodedArray.from_arrays(
                    pa.array(b.ends, pa.int32()), pa.array([ranks[code] for code in b.codes], pa.int32())
                )
            )
            for b in batches
        ]
    )
    columns = {}
    for name in {name: None for batch in batches for name in batch.columns}:
        columns[name] = pa.concat_arrays([_cells(batch, name, 0, batch.ends[-1]) for batch in batches])
        for batch in batches:
            batch.columns.pop(name, None)
    order = pc.array_sort_indices(rank_of)
    for name in list(columns):
        columns[name] = columns.pop(name).take(order)
    runs = pc.run_end_encode(rank_of.take(order))
    code_of = {rank: code for code, rank in ranks.items()}
    return Batch([code_of[r] for r in runs.values.to_pylist()], runs.run_ends.to_pylist(), columns)


def _by_step(rows: SortedRows) -> SortedRows:
    """Sort each series by step. Rows without a step come last; rows of one step keep their order."""
    whole = rows._millionths
    if whole is not None and not _falls_within(whole, rows.ends):
        return rows
    steps = _steps(rows.columns)
    if steps is None or len(rows) < 2:
        return rows
    earlier, later = steps.slice(0, len(rows) - 1), steps.slice(1)
    falls = pc.or_kleene(pc.less(later, earlier), pc.and_(pc.is_null(earlier), pc.is_valid(later)))
    boundaries = set(rows.ends)
    wrong = [row + 1 for row in pc.indices_nonzero(falls).to_pylist() if row + 1 not in boundaries]
    if not wrong:
        return rows
    parts: list[pa.Array] = []
    for _, start, end in rows.series():
        count = end - start
        order = pc.array_sort_indices(steps.slice(start, count)) if _any_in(wrong, start, end) else None
        identity = pa.array(range(start, end), pa.uint64())
        parts.append(identity if order is None else identity.take(order))
    order = pa.concat_arrays(parts)
    return SortedRows(
        rows.keys, rows.ends, {name: column.take(order) for name, column in rows.columns.items()}
    )


def _falls_within(steps: Numbers, ends: list[int]) -> bool:
    """Whether a step of a series is lower than the one before it."""
    falls = steps[1:] < steps[:-1]
    falls[[end - 1 for end in ends[:-1]]] = False  # from the last of a series to the first of the next
    return bool(falls.any())


def _any_in(ordered: list[int], start: int, end: int) -> bool:
    index = bisect.bisect_left(ordered, start)
    return index < len(ordered) and ordered[index] < end


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
