"""Which columns a part has, and what its footer tells of them. Of small parts that is most of the reading."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import pyarrow.parquet as pq

_SMALL = 1 << 16
_MOST = 4


class Leaves(NamedTuple):
    """Of one schema. The parts of an export have the same one, so this is worked out once for all."""

    number: Mapping[str, int]
    """Of each leaf, by its path, such as `histogram_value.edges.list.element`."""
    columns: frozenset[str]
    """Names at the top."""


_known: tuple[tuple[pq.ParquetSchema, Leaves], ...] = ()


def leaves_of(metadata: pq.FileMetaData) -> Leaves:
    """The columns of a file."""
    global _known
    schema = metadata.schema
    for known, leaves in _known:
        if known.equals(schema):
            return leaves
    number = {schema.column(i).path: i for i in range(len(schema))}
    leaves = Leaves(number, frozenset(path.partition(".")[0] for path in number))
    if metadata.serialized_size <= _SMALL:  # a schema keeps its footer in memory
        _known = ((schema, leaves), *_known[: _MOST - 1])
    return leaves


class GroupStatistics:
    """Of all columns of one row group."""

    def __init__(self, metadata: pq.FileMetaData, group: int) -> None:
        self.group = group
        self.meta = metadata.row_group(group)
        self.rows = int(self.meta.num_rows)
        self._of = {leaf: self.meta.column(i).statistics for leaf, i in leaves_of(metadata).number.items()}

    def of(self, leaf: str) -> pq.Statistics | None:
        """None where the file tells nothing of the column, or has no such column."""
        return self._of.get(leaf)

    def valid_count(self, leaf: str) -> int | None:
        """How many values of a column are not null, where the file tells."""
        statistics = self._of.get(leaf)
        if statistics is None or not statistics.has_null_count:
            return None
        return int(self.rows - statistics.null_count)
