"""Cuts batches: large ones because none may come near the 2 GiB that Arrow's offsets hold."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from neptune_exporter import compute as pc

PIECE_BYTES = 16 << 20
"""Larger batches are cut, so that memory does not depend on what a source delivers at once."""
_SMALL = ("project_id", "run_id", "attribute_path", "attribute_type")
"""Columns whose dictionaries stay small with any number of rows."""


def cut(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The batch in pieces of about `PIECE_BYTES` at most, with at least one row each."""
    if len(batch) > 1 and _plain_size(batch) > PIECE_BYTES:
        middle = len(batch) // 2
        yield from cut(batch.slice(0, middle))
        yield from cut(batch.slice(middle))
    elif len(batch):
        yield batch


def slices(batch: pa.RecordBatch, rows: int) -> Iterator[pa.RecordBatch]:
    """The batch in pieces of at most this many rows, none of them empty."""
    if 0 < len(batch) <= rows:
        yield batch  # a slice of it would take longer
        return
    for start in range(0, len(batch), rows):
        yield batch.slice(start, rows)


def _plain_size(batch: pa.RecordBatch) -> int:
    size = int(batch.nbytes)
    for name, kind in zip(batch.schema.names, batch.schema.types, strict=True):
        if name not in _SMALL and pa.types.is_dictionary(kind):
            column = batch.column(name)
            lengths = pc.binary_length(column.dictionary).take(column.indices)
            size += pc.sum(lengths, min_count=0).as_py()
    return size
