"""Record batches as typed Python objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from neptune_exporter.contract import FileEntry, Histogram, Parameter, Point, Row, TextLine
from neptune_exporter.model import FILE_TYPES, PARAMETER_TYPES, AttributeType
from neptune_exporter.schema import VALUE_COLUMN

PARAMETER_COLUMNS = ("attribute_path", "attribute_type", *{VALUE_COLUMN[kind] for kind in PARAMETER_TYPES})
"""All that rows of parameters need."""
_KNOWN = {kind.value: kind for kind in AttributeType}


def rows(batches: Iterable[pa.RecordBatch]) -> Iterator[Row]:
    """Yield the rows of batches of `FULL_SCHEMA`, without those of types that this version does not know.

    Batches of parameters alone need only `PARAMETER_COLUMNS`.
    """
    for batch in batches:
        columns = {name: batch.column(name).to_pylist() for name in batch.schema.names}
        for index, kind in enumerate(columns["attribute_type"]):
            if kind in _KNOWN:
                yield _row(columns, index, _KNOWN[kind])


def _row(columns: dict[str, list[Any]], index: int, kind: AttributeType) -> Row:
    path = columns["attribute_path"][index]
    value = columns[VALUE_COLUMN[kind]][index]
    if kind in PARAMETER_TYPES:
        if kind is AttributeType.STRING_SET:
            value = sorted(text for text in value if text is not None)
        return Parameter(path, kind, value)
    exact = columns["step"][index]
    step = columns["step_float64"][index]
    step = exact if step is None else step
    time = columns["timestamp"][index]
    if kind is AttributeType.FLOAT_SERIES:
        return Point(path, step, time, value)
    if kind is AttributeType.STRING_SERIES:
        return TextLine(path, step, time, value)
    if kind in FILE_TYPES:
        size, digest = columns["file_size"][index], columns["file_sha256"][index]
        return FileEntry(path, kind, step, time, value["path"], size, digest)
    edges, values = value["edges"] or (), value["values"] or ()
    return Histogram(path, step, time, value["type"] or "", tuple(edges), tuple(values))
