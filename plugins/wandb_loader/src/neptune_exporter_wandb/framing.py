"""The framing of `.wandb` files: a header, then records in LevelDB's log format.

Seen in files that wandb 0.31.0 writes and reads: 7 bytes of header (`:W&B`, the number 0xBEE1, version 0),
then blocks of 32 KiB. Each record lies in one chunk or, where it crosses the end of a block, in several. A
chunk has 7 bytes before its data: CRC-32 of type and data, length, type. Less than 7 bytes at the end of a
block are zeros.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

HEADER = struct.pack("<4sHB", b":W&B", 0xBEE1, 0)
BLOCK = 32_768
_CHUNK = struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_SEEDS = [zlib.crc32(bytes([kind])) for kind in range(5)]


class FramingError(ValueError):
    """A file whose framing or checksums are wrong; says where."""


class RecordWriter:
    """Appends records, each a serialized protobuf message, to a new file.

    Example: `RecordWriter(file).write(record.SerializeToString())`
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._room = BLOCK - len(HEADER)
        file.write(HEADER)

    def write(self, record: bytes) -> None:
        self.write_all((record,))

    def write_all(self, records: Iterator[bytes] | tuple[bytes, ...]) -> None:
        """Write several records; one call is faster than one for each."""
        pack, crc32, seed, write = _CHUNK.pack, zlib.crc32, _SEEDS[_FULL], self._file.write
        room = self._room
        for record in records:
            if (size := len(record)) + 7 <= room:
                write(pack(crc32(record, seed), size, _FULL))
                write(record)
                room -= size + 7
            else:
                room = self._write_chunks(record, room)
        self._room = room

    def _write_chunks(self, record: bytes, room: int) -> int:
        start, first = 0, True
        while True:
            if room < _CHUNK.size:
                self._file.write(bytes(room))
                room = BLOCK
            data = record[start : start + room - _CHUNK.size]
            start += len(data)
            kind = _kind(first, start == len(record))
            self._file.write(_CHUNK.pack(zlib.crc32(data, _SEEDS[kind]), len(data), kind))
            self._file.write(data)
            room -= _CHUNK.size + len(data)
            if start == len(record):
                return room
            first = False


def _kind(first: bool, last: bool) -> int:
    if first:
        return _FULL if last else _FIRST
    return _LAST if last else _MIDDLE


def read_records(file: BinaryIO) -> Iterator[bytes]:
    """All records of a file, in bounded memory. Raises FramingError if it is no `.wandb` file of version 0, a
    checksum is wrong, or its end is missing."""
    if file.read(len(HEADER)) != HEADER:
        raise FramingError("is no .wandb file of version 0")
    parts: list[bytes] = []
    for kind, data, position in _chunks(file):
        if bool(parts) != (kind in (_MIDDLE, _LAST)):
            raise FramingError(f"has a chunk out of order at byte {position}")
        parts.append(data)
        if kind in (_FULL, _LAST):
            yield b"".join(parts)
            parts.clear()
    if parts:
        raise FramingError("ends within a record")


def _chunks(file: BinaryIO) -> Iterator[tuple[int, bytes, int]]:
    """Type, data and position of each chunk after the header."""
    position, block_end = len(HEADER), BLOCK
    while block := file.read(block_end - position):
        at = 0
        while len(block) - at >= _CHUNK.size:
            crc, size, kind = _CHUNK.unpack_from(block, at)
            start = at + _CHUNK.size
            data = block[start : start + size]
            if not _FULL <= kind <= _LAST or len(data) != size or zlib.crc32(data, _SEEDS[kind]) != crc:
                raise FramingError(f"has a damaged chunk at byte {position + at}")
            yield kind, data, position + at
            at = start + size
        if any(block[at:]):
            raise FramingError(f"has bytes that are no chunk at byte {position + at}")
        position += len(block)
        block_end = position + BLOCK if position == block_end else block_end
