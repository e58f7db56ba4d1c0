"""Our own files in the data folder: each is a Parquet file without rows.

polars 2.1.0 reads every file below a folder and refuses any that is not Parquet. So each of our files beside
the parts (receipts, the id of the dataset, the lock) has the columns of a part, no rows, and its content
between the first magic bytes and the footer, where Parquet leaves room.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from functools import lru_cache

import pyarrow as pa
import pyarrow.parquet as pq

from neptune_exporter.schema import FULL_SCHEMA

_MAGIC = b"PAR1"
_LENGTH = 4
"""Bytes of the length of the footer, as Parquet has it."""
_CHECKSUM = 4
"""Bytes of the CRC-32 of the footer, which stands before it."""


def wrapped(content: bytes) -> bytes:
    """A Parquet file without rows that holds the content, and the CRC-32 of its footer behind it."""
    return _MAGIC + content + _checked_footer(FULL_SCHEMA)


def unwrapped(data: bytes) -> bytes:
    """The wrapped content. Its bytes are not checked here; `unsealed` checks them. Raises ValueError if the
    data is not such a file, is truncated, or its footer changed."""
    start, end = _extent(data)
    return data[start:end]


def _extent(data: bytes) -> tuple[int, int]:
    """Where the wrapped content starts and ends. Raises as `unwrapped`."""
    length = int.from_bytes(data[-len(_MAGIC) - _LENGTH : -len(_MAGIC)], "little")
    footer = data[len(data) - length - _LENGTH - len(_MAGIC) :]
    end = len(data) - len(footer) - _CHECKSUM
    if end < len(_MAGIC) or data[end : end + _CHECKSUM] != _checksum(footer) or not data.startswith(_MAGIC):
        raise ValueError("it is cut short or changed")
    return len(_MAGIC), end


def sealed(content: bytes) -> bytes:
    """As `wrapped`, with a line before the content: its SHA-256."""
    return sealed_lines([content])


def sealed_lines(lines: Sequence[bytes], schema: pa.Schema = FULL_SCHEMA) -> bytes:
    """As `sealed`, for lines that are not copied more often than needed: there may be many.

    `schema` is that of the parts beside it, because readers expect one schema for all files.
    """
    digest = hashlib.sha256()
    for number, line in enumerate(lines):
        digest.update(b"\n" * bool(number) + line)
    *first, last = lines or [b""]
    head = _MAGIC + digest.hexdigest().encode()
    return b"\n".join([head, *first, last + _checked_footer(schema)])


def unsealed(data: bytes) -> bytes:
    """The sealed content, checked. Raises ValueError as `unwrapped` does, or if the content changed."""
    start, end = _checked_extent(data)
    return data[start:end]


def unsealed_lines(data: bytes) -> Iterator[memoryview]:
    """The lines of the sealed content, which are not copied: there may be many. Raises as `unsealed`."""
    start, end = _checked_extent(data)
    while start < end:
        behind = data.find(b"\n", start, end)
        line_end = end if behind < 0 else behind
        yield memoryview(data)[start:line_end]
        start = line_end + 1


def _checked_extent(data: bytes) -> tuple[int, int]:
    """Where the sealed content starts and ends. Raises as `unsealed`."""
    start, end = _extent(data)
    behind = data.find(b"\n", start, end) + 1 or end
    digest = hashlib.sha256(memoryview(data)[behind:end]).hexdigest()
    if data[start : behind - 1] != digest.encode():
        raise ValueError("its digest does not match its content")
    return behind, end


@lru_cache(maxsize=2)
def _checked_footer(schema: pa.Schema) -> bytes:
    sink = pa.BufferOutputStream()
    pq.ParquetWriter(sink, schema).close()
    footer = bytes(sink.getvalue())[len(_MAGIC) :]
    return _checksum(footer) + footer


def _checksum(footer: bytes) -> bytes:
    return zlib.crc32(footer).to_bytes(_CHECKSUM, "little")
