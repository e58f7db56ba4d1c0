"""Which rows and columns of a part are to be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from neptune_exporter.dataset.format.columns import has_value, is_in
from neptune_exporter.model import AttributeType
from neptune_exporter.schema import FULL_SCHEMA, VALUE_COLUMN

VALUE_COLUMNS = tuple(dict.fromkeys(VALUE_COLUMN.values()))
"""The columns of which a row has one set, or it is no row at all."""


@dataclass(frozen=True)
class Wanted:
    """All rows and columns that are not excluded."""

    columns: Sequence[str] = tuple(FULL_SCHEMA.names)
    types: frozenset[str] | None = None
    attributes: frozenset[str] | None = None
    encoded: bool = False
    """Attribute paths as a dictionary array."""

    @property
    def value_columns(self) -> Sequence[str]:
        """The columns that can hold the value of a wanted row."""
        if self.types is None:
            return VALUE_COLUMNS
        return tuple({VALUE_COLUMN[AttributeType(t)]: None for t in self.types})

    def among(self, batch: pa.RecordBatch, doubtful: Sequence[str]) -> pa.RecordBatch:
        """The wanted rows of a batch.

        Args:
            batch: With the columns that this takes.
            doubtful: If there are any, rows without a value in one of these columns are none.
        """
        mask = has_value(batch, doubtful) if doubtful else None
        for name, values in (("attribute_path", self.attributes), ("attribute_type", self.types)):
            if values is not None:
                chosen = is_in(batch.column(name), values)
                mask = chosen if mask is None else pc.and_(mask, chosen)
        if mask is None or (not mask.null_count and pc.all(mask, min_count=0).as_py()):
            return batch
        return batch.filter(mask)
