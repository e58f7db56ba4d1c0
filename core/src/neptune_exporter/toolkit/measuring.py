"""The size and the SHA-256 of a stream."""

from __future__ import annotations

import hashlib
from typing import Protocol

_PIECE = 1 << 20
"""Bytes that are read at once."""


class Readable(Protocol):
    """What `measured` reads: a file of Python or of pyarrow."""

    def read(self, size: int, /) -> bytes: ...


def measured(stream: Readable, head: bytes = b"") -> tuple[int, str]:
    """How many bytes a stream has, and their SHA-256 in hex.

    Args:
        stream: Read to its end, in pieces of 1 MiB.
        head: Its first bytes, if they have been read already.

    Examples:
        >>> import io
        >>> measured(io.BytesIO(b"the bytes"))
        (9, 'ed589341c9fd5da9...')
    """
    digest, size = hashlib.sha256(head), len(head)
    while piece := stream.read(_PIECE):
        digest.update(piece)
        size += len(piece)
    return size, digest.hexdigest()
