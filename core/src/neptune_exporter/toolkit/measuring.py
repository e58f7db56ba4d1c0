"""The size and the SHA-256 of a stream."""

from __future__ import annotations

import hashlib
from typing import Protocol

_PIECE = 1 << 20


class Readable(Protocol):
    """What `measured` reads: a file of Python or of pyarrow."""

    def read(self, size: int, /) -> bytes: ...


def measured(stream: Readable, head: bytes = b"", piece: int = _PIECE) -> tuple[int, str]:
    """How many bytes a stream has, and their SHA-256 in hex.

    Args:
        stream: Read to its end.
        head: Its first bytes, if they have been read already.
        piece: Bytes that are read at once.

    Examples:
        >>> import io
        >>> measured(io.BytesIO(b"the bytes"))
        (9, 'ed589341c9fd5da9...')
    """
    digest, size = hashlib.sha256(head), len(head)
    while content := stream.read(piece):
        digest.update(content)
        size += len(content)
    return size, digest.hexdigest()
