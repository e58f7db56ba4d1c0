"""The framing of `.wandb` files, byte by byte, and what a damaged file is told as."""

from __future__ import annotations

import io
import struct
import zlib

import pytest

from neptune_exporter_wandb.framing import BLOCK, HEADER, FramingError, RecordWriter, read_records


def _written(*records: bytes) -> bytes:
    file = io.BytesIO()
    RecordWriter(file).write_all(iter(records))
    return file.getvalue()


def test_writes_what_wandb_wrote() -> None:
    """Header and first chunk as in a file of wandb 0.31.0."""
    data = b"\x08\x01"
    crc = struct.pack("<I", zlib.crc32(b"\x01" + data))
    assert _written(data) == bytes.fromhex("3a572642e1be00") + crc + b"\x02\x00\x01" + data


@pytest.mark.parametrize("left", range(10))
def test_records_that_end_near_a_block_come_back(left: int) -> None:
    """Whatever room is left in a block: enough for a header, for a header alone, or less."""
    first = bytes(BLOCK - len(HEADER) - 7 - left)
    records = [first, b"abc", b"", bytes(range(256)) * 300, b"end"]
    content = _written(*records)
    assert list(read_records(io.BytesIO(content))) == records
    if left < 7:
        assert content[BLOCK - left : BLOCK] == bytes(left)


def test_several_writes_go_on_where_the_last_one_ended() -> None:
    file = io.BytesIO()
    writer = RecordWriter(file)
    for size in (20_000, 20_000, 70_000):
        writer.write(bytes(size))
    assert file.getvalue() == _written(bytes(20_000), bytes(20_000), bytes(70_000))


def test_finds_every_changed_byte() -> None:
    content = _written(b"first", b"second" * 10_000, b"third")
    for at in (0, 8, 13, 14, 20, BLOCK - 1, BLOCK + 3, len(content) - 1):
        changed = bytearray(content)
        changed[at] ^= 1
        with pytest.raises(FramingError):
            list(read_records(io.BytesIO(bytes(changed))))


@pytest.mark.parametrize("kept", [3, 9, 15, BLOCK, BLOCK + 10])
def test_finds_a_missing_end(kept: int) -> None:
    content = _written(b"first", b"second" * 10_000)
    with pytest.raises(FramingError):
        list(read_records(io.BytesIO(content[:kept])))


def test_finds_chunks_that_are_out_of_order() -> None:
    chunk = struct.pack("<IHB", zlib.crc32(b"\x04abc"), 3, 4) + b"abc"
    with pytest.raises(FramingError, match="out of order"):
        list(read_records(io.BytesIO(HEADER + chunk)))
