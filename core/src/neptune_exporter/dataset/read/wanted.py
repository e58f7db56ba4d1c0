"""Which rows and columns of a part are to be read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa

from neptune_exporter import compute as pc
from neptune_exporter.contract import StepRange, TimeRange
from neptune_exporter.dataset.format.columns import ENCODED, has_value, is_in
from neptune_exporter.model import AttributeType
from neptune_exporter.schema import FULL_SCHEMA, VALUE_COLUMN, step_as_float

VALUE_COLUMNS = tuple(dict.fromkeys(VALUE_COLUMN.values()))
"""The value columns: a row without a value in any of them does not count."""


@dataclass(frozen=True)
class Within:
    """Inclusive limits of steps, and of times in ms; None means no limit."""

    steps: tuple[float | None, float | None] = (None, None)
    times: tuple[float | None, float | None] = (None, None)

    @classmethod
    def of(cls, steps: StepRange, times: TimeRange) -> Within:
        """Limits as a caller gives them."""
        low, high = (None if time is None else time.timestamp() * 1000 for time in times)
        return cls(steps, (low, high))

    @property
    def columns(self) -> list[str]:
        """The columns that must be read to check the limits."""
        steps = ["step", "step_float64"] if self.steps != (None, None) else []
        return steps + (["timestamp"] if self.times != (None, None) else [])

    def may_be_of(self, millionths: tuple[int, int] | None, times: tuple[int, int] | None) -> bool:
        """Whether rows with steps and times in these ranges may be within the limits. None: not known."""
        return _overlap(self.steps, millionths, 10**6) and _overlap(self.times, times, 1)

    def among(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows of a batch that are within the limits. The batch has the types of the schema."""
        if self.steps != (None, None):
            batch = batch.filter(_between(step_as_float(batch), *self.steps))
        if self.times != (None, None):
            batch = batch.filter(_between(batch.column("timestamp").cast(pa.int64()), *self.times))
        return batch


def _overlap(limits: tuple[float | None, float | None], extent: tuple[int, int] | None, unit: int) -> bool:
    low, high = limits
    if extent is None:
        return True
    return (low is None or extent[1] / unit >= low) and (high is None or extent[0] / unit <= high)


def _between(values: pa.Array, low: float | None, high: float | None) -> pa.Array:
    inside = pc.is_valid(values)
    for limit, holds in ((low, pc.greater_equal), (high, pc.less_equal)):
        if limit is not None:
            inside = pc.and_kleene(inside, holds(values.cast(pa.float64()), pa.scalar(limit, pa.float64())))
    return inside


@dataclass(frozen=True)
class Wanted:
    """All rows and columns that are not excluded."""

    columns: Sequence[str] = tuple(FULL_SCHEMA.names)
    types: frozenset[str] | None = None
    attributes: frozenset[str] | None = None
    encoded: bool = False
    """Attribute paths as a dictionary array."""
    within: Within | None = None
    """Only rows whose step and time are within these limits."""

    @property
    def value_columns(self) -> Sequence[str]:
        """The columns that can hold the value of a wanted row."""
        if self.types is None:
            return VALUE_COLUMNS
        return tuple({VALUE_COLUMN[AttributeType(t)]: None for t in self.types})

    @property
    def schema(self) -> pa.Schema:
        """The schema of the wanted columns."""
        return _schema_of(tuple(self.columns), self.encoded)

    def has_no_type_of(self, batches: Sequence[pa.RecordBatch]) -> bool:
        """Whether it is certain, without a look at the rows, that none of them is of a wanted type."""
        kinds = [batch.column("attribute_type") for batch in batches]
        return self.types is not None and all(
            pa.types.is_dictionary(kind.type) and self.types.isdisjoint(kind.dictionary.to_pylist())
            for kind in kinds
        )

    def among(self, batch: pa.RecordBatch, doubtful: Sequence[str]) -> pa.RecordBatch:
        """The wanted rows of a batch with the columns that are needed. Rows without a value in any of the
        `doubtful` columns, if there are some, do not count."""
        mask = has_value(batch, doubtful) if doubtful else None
        for name, values in (("attribute_path", self.attributes), ("attribute_type", self.types)):
            if values is not None:
                chosen = is_in(batch.column(name), values)
                mask = chosen if mask is None else pc.and_(mask, chosen)
        if mask is None or (not mask.null_count and pc.all(mask, min_count=0).as_py()):
            return batch
        return batch.filter(mask)


@lru_cache(maxsize=64)
def _schema_of(names: tuple[str, ...], encoded: bool) -> pa.Schema:
    fields = {name: FULL_SCHEMA.field(name) for name in names}
    if encoded and "attribute_path" in fields:
        fields["attribute_path"] = pa.field("attribute_path", ENCODED)
    return pa.schema(fields.values())


def empty_columns(types: pa.ChunkedArray) -> frozenset[str]:
    """The value columns without a value where all rows have one of these types (dictionary-encoded)."""
    kinds = {kind for chunk in types.chunks for kind in chunk.dictionary.to_pylist()}
    if not kinds.issubset(AttributeType._value2member_map_):
        return frozenset()
    return frozenset(VALUE_COLUMNS).difference(VALUE_COLUMN[AttributeType(kind)] for kind in kinds)


def in_order(columns: Collection[str] | None) -> list[str]:
    """The named columns in the order of the schema; all if none are named."""
    unknown = set(columns or ()).difference(FULL_SCHEMA.names)
    if unknown:
        raise ValueError(f"no such columns: {', '.join(sorted(unknown))}")
    return [name for name in FULL_SCHEMA.names if columns is None or name in columns]
