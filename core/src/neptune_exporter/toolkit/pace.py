"""A least rate for answers: a server that sends a byte now and then never runs into a timeout.

Independent of any HTTP library: a plugin passes the pieces of a body through `paced` as they arrive, or asks
a `Pace` how long it may still wait for the next byte.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from neptune_exporter.toolkit.retrying import TransientError

LEAST_RATE = 100
"""Bytes a second, far below any line that is fast enough for an export."""


class SlowError(TransientError):
    """The answer came slower than the least rate. Its bytes do not renew the patience of a download."""


class Pace:
    """Measures the rate of one answer, span by span: a fast beginning does not pay for a drip after it."""

    def __init__(self, seconds: float) -> None:
        """Begin the first span, which like all others lasts `seconds`."""
        self._seconds = seconds
        self._begin = time.monotonic()
        self._size = 0

    @property
    def left(self) -> float:
        """Seconds until the answer is too slow if no byte comes; 0 or less once it is."""
        return self._begin + max(self._seconds, self._size / LEAST_RATE) - time.monotonic()

    def add(self, size: int) -> None:
        """Count bytes that came.

        Raises:
            SlowError: the span is over, and fewer came in it than the least rate asks for.
        """
        self._size += size
        took = time.monotonic() - self._begin
        if took < self._seconds:
            return
        if self._size < LEAST_RATE * took:
            raise SlowError(f"the server sent only {self._size:,} bytes in {took:.0f} s")
        self._begin, self._size = time.monotonic(), 0


def paced(chunks: Iterable[bytes], seconds: float) -> Iterator[bytes]:
    """The same pieces, as long as their rate in each span of `seconds` is at least the least rate.

    The pieces must be passed on as they come from the network: a buffer that fills up first hides a drip.

    Raises:
        SlowError: they come more slowly.
    """
    pace = Pace(seconds)
    for chunk in chunks:
        pace.add(len(chunk))
        yield chunk
