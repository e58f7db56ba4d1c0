"""Random access to objects in few requests."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Callable

BLOCK = 4 << 20
"""Bytes that one request reads at least."""
_BLOCKS = 8
"""Blocks that one request reads at most, and that a file keeps."""
_CONTENTS_BYTES = 64 << 20
"""Bytes of small objects that are kept; the ones not used for longest go first."""


class RangedReader(io.RawIOBase):
    """An object as a file: reads whole blocks, and keeps the last ones. Not thread-safe."""

    def __init__(self, get: Callable[[int, int], bytes], size: int) -> None:
        """`get` returns the bytes from a start to an end, up to `size`."""
        self._get = get
        self._size = size
        self._place = 0
        self._blocks: OrderedDict[int, bytes] = OrderedDict()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(0, start + offset)
        return self._place

    def readinto(self, buffer: object) -> int:
        target = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        end = min(self._size, self._place + len(target))
        done = 0
        while self._place < end:
            number, offset = divmod(self._place, BLOCK)
            piece = self._block(number, (end - 1) // BLOCK)[offset : offset + end - self._place]
            target[done : done + len(piece)] = piece
            done += len(piece)
            self._place += len(piece)
        return done

    def _block(self, number: int, last: int) -> bytes:
        """A block. The same request also reads the blocks after it, up to `last`."""
        if number not in self._blocks:
            last = min(last, number + _BLOCKS - 1)
            start, end = number * BLOCK, min(self._size, (last + 1) * BLOCK)
            content = self._get(start, end)
            if len(content) != end - start:
                raise OSError(f"of {end - start} bytes {len(content)} came: it was replaced or cut short")
            for index in range(number, last + 1):
                self._blocks[index] = content[(index - number) * BLOCK : (index - number + 1) * BLOCK]
        while len(self._blocks) > _BLOCKS + 1:
            self._blocks.popitem(last=False)
        self._blocks.move_to_end(number)
        return self._blocks[number]


class Contents:
    """The contents of the small objects that were read last, because a part is read several times.
    Thread-safe."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._known: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._bytes = 0

    def get(self, path: str, version: int, read: Callable[[], bytes]) -> bytes:
        """The content of this version; read if it is not known."""
        with self._guard:
            if (content := self._known.get((path, version))) is not None:
                self._known.move_to_end((path, version))
                return content
        content = read()
        with self._guard:
            if (path, version) not in self._known:
                self._known[path, version] = content
                self._bytes += len(content)
            while self._bytes > _CONTENTS_BYTES:
                self._bytes -= len(self._known.popitem(last=False)[1])
        return content
