"""The columns of a part, and what its footer says about them. For small parts, this is most of the
reading."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple
from weakref import WeakKeyDictionary

import pyarrow as pa
import pyarrow.parquet as pq

from neptune_exporter.dataset.read.wanted import VALUE_COLUMNS
from neptune_exporter.schema import SCHEMA

# A leaf whose nulls are those of the whole column. (The elements of a list do not show whether it is null.)
_LEAF = {"file_value": "file_value.path", "histogram_value": "histogram_value.type", "string_set_value": None}

_COUNTED = ("string_value", "string_set_value", "step", "step_float64", "timestamp")
"""Columns whose statistics counting needs, beside the values that `_LEAF` finds."""


class Leaves(NamedTuple):
    """The leaves of one schema. The parts of an export share a schema, so this is computed once."""

    number: Mapping[str, int]
    """The index of each leaf, by its path, such as `histogram_value.edges.list.element`. Without those with a
    dot in a name."""
    of: Mapping[str, Sequence[str]]
    """The paths of the leaves of each top-level column."""
    columns: frozenset[str]
    """The names of the top-level columns."""
    valued: Mapping[str, str | None]
    """The value columns, each with its leaf as of `_LEAF`."""
    counted: Sequence[str]
    """The leaves whose statistics counting asks for in every part: of values, tags, steps and times."""
    lacking: Sequence[str]
    """What every part has and these do not: columns, and fields such as `file_value.path`."""


def leaves_of(file: pq.ParquetReader) -> Leaves:
    """The columns of a file. Raises pa.ArrowInvalid if a name is damaged.

    Not from `FileMetaData.schema`, which refers to the metadata and they to it: after its use a footer is
    freed only when Python looks for cycles (pyarrow 26).
    """
    leaves = _of_file.get(file)
    if leaves is None:
        try:
            paths = tuple(map(tuple, file.column_paths))
        except UnicodeDecodeError as error:
            raise pa.ArrowInvalid("the name of a column is not valid text") from error
        leaves = _of_file[file] = _leaves_of(paths)
    return leaves


_of_file: WeakKeyDictionary[pq.ParquetReader, Leaves] = WeakKeyDictionary()


@lru_cache(maxsize=4)
def _leaves_of(paths: tuple[tuple[str, ...], ...]) -> Leaves:
    # No column of a run has a dot in its name: a column `file_value.path` is not the field of `file_value`.
    number = {".".join(path): i for i, path in enumerate(paths) if "." not in "".join(path)}
    of: dict[str, list[str]] = {}
    for path in number:
        of.setdefault(path.partition(".")[0], []).append(path)
    valued = {name: _LEAF.get(name, name) for name in VALUE_COLUMNS if name in of}
    leaves = dict.fromkeys([*valued.values(), *(leaf for name in _COUNTED for leaf in of.get(name, ()))])
    counted = [leaf for leaf in leaves if leaf in number]  # a column without values may lack its fields
    lacking = [name for field in SCHEMA for name in _lacking(field, of.get(field.name, ()))]
    return Leaves(number, of, frozenset(of), valued, counted, lacking)


def _lacking(field: pa.Field, leaves: Sequence[str]) -> Iterator[str]:
    """The column if it is missing, or its missing fields. (Without any value it may have been stored
    without fields.)"""
    if not leaves:
        yield field.name
    elif pa.types.is_struct(field.type) and leaves != [field.name]:
        for name in (f"{field.name}.{each.name}" for each in field.type):
            if not any(leaf == name or leaf.startswith(f"{name}.") for leaf in leaves):
                yield name


def columns_to_decide(doubtful: Sequence[str]) -> list[str]:
    """The columns in doubt, and those that decide whether a null is a NaN."""
    columns = [_LEAF.get(name) or name for name in doubtful]
    return [*columns, "attribute_type", "timestamp"] if "float_value" in doubtful else columns


class GroupStatistics:
    """Of the columns of one row group: looked up when they are asked for, as most never are."""

    def __init__(self, meta: pq.RowGroupMetaData, group: int, leaves: Leaves) -> None:
        self.group = group
        self.meta = meta
        self.rows = int(meta.num_rows)
        self._number = leaves.number
        self._counted = leaves.counted
        self._columns: dict[str, pq.ColumnChunkMetaData] = {}
        self._of: dict[str, pq.Statistics | None] = {}
        self._valid: dict[str, int | None] = {}

    def column(self, leaf: str) -> pq.ColumnChunkMetaData:
        """What the file says about the pages of a column that it has."""
        if leaf not in self._columns:
            self._columns[leaf] = self.meta.column(self._number[leaf])
        return self._columns[leaf]

    def unscaled(self, leaf: str, unit: str) -> tuple[int, int] | None:
        """Least and greatest value of a column that is stored as whole numbers of a unit.

        Not from `Statistics.min`, which some versions of pyarrow lack for decimals and
        which for times has others import pandas.
        """
        statistics = self.of(leaf)
        if statistics is None or not statistics.has_min_max or unit not in str(statistics.logical_type):
            return None
        raw = statistics.min_raw, statistics.max_raw
        low, high = (int.from_bytes(v, "big", signed=True) if isinstance(v, bytes) else int(v) for v in raw)
        return low, high

    def valid_counts(self) -> Mapping[str, int | None]:
        """`valid_count` of the leaves that are counted. Takes a third of the time of asking for each."""
        if not self._valid:
            column, number = self.meta.column, self._number
            self._of.update([(leaf, column(number[leaf]).statistics) for leaf in self._counted])
            self._valid = {leaf: _count(self._of[leaf]) for leaf in self._counted}
        return self._valid

    def of(self, leaf: str) -> pq.Statistics | None:
        """None if the file has no statistics of the column, or no such column."""
        if leaf not in self._of:
            number = self._number.get(leaf)
            self._of[leaf] = None if number is None else self.meta.column(number).statistics
        return self._of[leaf]

    def valid_count(self, leaf: str) -> int | None:
        """How many values of a column, or in its lists, are not null; None if the file does not say."""
        return self._valid[leaf] if leaf in self._valid else _count(self.of(leaf))


def _count(statistics: pq.Statistics | None) -> int | None:
    if statistics is None or not statistics.has_null_count:
        return None
    return int(statistics.num_values)
