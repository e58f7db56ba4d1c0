"""Converts columns and batches to the types of the schema."""

from __future__ import annotations

import array
import itertools
import math
from collections.abc import Collection, Sequence

import pyarrow as pa

from neptune_exporter import compute as pc
from neptune_exporter.model import AttributeType

ENCODED = pa.dictionary(pa.int32(), pa.string())
"""The type in which pyarrow reads texts as a dictionary."""
_POINTS = frozenset({AttributeType.FLOAT_SERIES.value})
# Make no scalar from a Python value: pyarrow would import pandas if it is installed.
_NAN = pa.Array.from_buffers(pa.float64(), 1, [None, pa.py_buffer(array.array("d", [math.nan]).tobytes())])[0]


def is_in(column: pa.Array, values: Collection[str]) -> pa.Array:
    """For each text, dictionary-encoded or not, whether it is one of some."""
    wanted = _texts(sorted(values))
    if pa.types.is_dictionary(column.type):
        return pc.is_in(column.dictionary.cast(pa.string()), wanted).take(column.indices)
    return pc.is_in(column.cast(pa.string()), wanted)


def _texts(values: Sequence[str]) -> pa.StringArray:
    """An array of strings. Does not use `pa.array`, which imports pandas if it is installed, and so is
    slow."""
    encoded = [value.encode() for value in values]
    ends = itertools.accumulate(map(len, encoded), initial=0)
    offsets = array.array("i", ends).tobytes()
    return pa.StringArray.from_buffers(len(values), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded)))


def has_value(batch: pa.RecordBatch, columns: Sequence[str]) -> pa.Array:
    """For each row, whether one of these columns has a value. The batch must have at least one of them."""
    result = None
    for name in columns:
        if name in batch.schema.names:
            column = batch.column(name)
            is_file = name == "file_value" and pa.types.is_struct(column.type)  # else stored without fields
            valid = pc.is_valid(pc.struct_field(column, "path") if is_file else column)
            result = valid if result is None else pc.or_(result, valid)
    return result


def with_nan(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch, with NaN for each point that has a time but no `float_value`.

    The public exporter stores NaN of Neptune 3 in that way. A row without a time is not a point.
    """
    values = batch.column("float_value")
    if not values.null_count:
        return batch
    values = values.cast(pa.float64())
    timed = pc.and_(pc.is_null(values), pc.is_valid(batch.column("timestamp")))
    lost = pc.and_kleene(timed, is_in(batch.column("attribute_type"), _POINTS))
    index = batch.schema.get_field_index("float_value")
    return batch.set_column(index, "float_value", pc.if_else(lost, _NAN, values))


def as_schema(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch with the columns of the schema."""
    arrays = []
    for field in schema:
        if field.name not in batch.schema.names:
            arrays.append(pa.nulls(len(batch), field.type))
            continue
        column = batch.column(field.name)
        if column.type != field.type:
            if pa.types.is_dictionary(column.type):
                column = column.cast(column.type.value_type)
            if field.type == ENCODED:
                column = column.cast(ENCODED.value_type).dictionary_encode()
            column = column if column.type == field.type else column.cast(field.type)
        arrays.append(column)
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
