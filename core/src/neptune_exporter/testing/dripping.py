"""Answers that come byte by byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BufferedIOBase, BytesIO
from typing import Any

Wait = Callable[[float], None]


def drops(content: bytes, seconds: float, wait: Wait) -> Iterator[bytes]:
    """Single bytes, with a wait after each."""
    for place in range(len(content)):
        yield content[place : place + 1]
        wait(seconds)


class Dripping(BytesIO):
    """A stream that passes on what is written to it one byte after the other."""

    def __init__(self, stream: BufferedIOBase, seconds: float, wait: Wait) -> None:
        super().__init__()
        self._stream = stream
        self._seconds = seconds
        self._wait = wait

    def write(self, data: Any, /) -> int:
        for drop in drops(bytes(data), self._seconds, self._wait):
            self._stream.write(drop)
            self._stream.flush()
        return len(data)
