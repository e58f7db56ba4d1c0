"""The columns of a part, and what its footer says about them. For small parts, this is most of the
reading."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import pyarrow.parquet as pq


class Leaves(NamedTuple):
    """The leaves of one schema. The parts of an export share a schema, so this is computed once."""

    number: Mapping[str, int]
    """The index of each leaf, by its path, such as `histogram_value.edges.list.element`."""
    columns: frozenset[str]
    """The names of the top-level columns."""


def leaves_of(metadata: pq.FileMetaData) -> Leaves:
    """The columns of a file.

    Taken from a row group if there is one: `FileMetaData.schema` and the metadata refer to each other, so
    that after its use a footer is freed only when Python looks for cycles (pyarrow 26).
    """
    if metadata.num_row_groups:
        group = metadata.row_group(0)
        return _leaves_of(tuple([group.column(i).path_in_schema for i in range(group.num_columns)]))
    schema = metadata.schema
    return _leaves_of(tuple(schema.column(i).path for i in range(len(schema))))


@lru_cache(maxsize=4)
def _leaves_of(paths: tuple[str, ...]) -> Leaves:
    number = {path: i for i, path in enumerate(paths)}
    return Leaves(number, frozenset(path.partition(".")[0] for path in paths))


class GroupStatistics:
    """Of the columns of one row group: each is looked up when it is asked for, as most never are."""

    def __init__(self, metadata: pq.FileMetaData, group: int, number: Mapping[str, int]) -> None:
        """`number` is that of `Leaves`."""
        self.group = group
        self.meta = metadata.row_group(group)
        self.rows = int(self.meta.num_rows)
        self._number = number
        self._of: dict[str, pq.Statistics | None] = {}

    def of(self, leaf: str) -> pq.Statistics | None:
        """None if the file has no statistics of the column, or no such column."""
        if leaf not in self._of:
            i = self._number.get(leaf)
            self._of[leaf] = None if i is None else self.meta.column(i).statistics
        return self._of[leaf]

    def valid_count(self, leaf: str) -> int | None:
        """How many values of a column are not null; None if the file does not say."""
        statistics = self.of(leaf)
        if statistics is None or not statistics.has_null_count:
            return None
        return int(self.rows - statistics.null_count)
