"""History rows as bytes of wandb's protobuf records, many times faster than through its classes.

The numbers of the fields are those of wandb's package (`wandb.proto.wandb_internal_pb2`). Its classes parse a
row of ours before the first run is written: see `formats`.
"""

from __future__ import annotations

_VARINTS = [bytes([n]) for n in range(128)] + [bytes([n & 127 | 128, n >> 7]) for n in range(128, 1 << 14)]


def varint(number: int) -> bytes:
    """A number, not negative, as protobuf writes it."""
    if number < len(_VARINTS):
        return _VARINTS[number]
    parts = bytearray()
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    parts.append(number)
    return bytes(parts)


class ItemHeads(dict[int, bytes]):
    """What stands before the text of a value in an item of a history row, by the length of the text.

    Example: `heads = ItemHeads("train/loss"); row = heads[len(text)] + text`
    """

    def __init__(self, *keys: str) -> None:
        super().__init__()
        self._keys = b"".join(b"\x12" + varint(len(k)) + k for k in (key.encode() for key in keys))

    def __missing__(self, length: int) -> bytes:
        value = b"\x82\x01" + varint(length)
        head = b"\x0a" + varint(len(self._keys) + len(value) + length) + self._keys + value
        self[length] = head
        return head


def row_record(items: bytes, row: int, record: int) -> bytes:
    """A history record, from the items of its row, one after the other, and the numbers of both."""
    step = b"\x08" + varint(row) if row else b""
    history = items + b"\x12" + varint(len(step)) + step
    return b"\x08" + varint(record) + b"\x12" + varint(len(history)) + history
