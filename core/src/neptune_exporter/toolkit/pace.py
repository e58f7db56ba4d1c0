"""A least rate for answers. No timeout catches a server that sends a byte now and then.

Until an answer begins, the timeout of the client counts: a server may be busy. From the first byte of its
status line on, the answer comes at the least rate, or it is given up. Independent of any HTTP library:
`connections` puts a `Pace` below the two that plugins use.
"""

from __future__ import annotations

import time

from neptune_exporter.toolkit.retrying import TransientError

LEAST_RATE = 100
"""Bytes a second, far below any line that is fast enough for an export."""


class SlowError(TransientError):
    """The answer came more slowly than the least rate. Its bytes do not renew the patience of a download.

    Examples:
        >>> raise SlowError("the server sent only 120 bytes in 60 s")
        Traceback (most recent call last):
        neptune_exporter.toolkit.pace.SlowError: the server sent only 120 bytes in 60 s
    """


class Pace:
    """Measures the rate of one answer, span by span: a fast beginning does not make up for a slow rest.

    Examples:
        >>> pace = Pace(60.0)
        >>> for chunk in (b"first", b"second"):  # as they arrive
        ...     pace.add(len(chunk))
        >>> 0 < pace.left <= 60
        True
    """

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
            raise self.too_slow()
        self._begin, self._size = time.monotonic(), 0

    def too_slow(self) -> SlowError:
        """The error that says how slow this span was."""
        took = time.monotonic() - self._begin
        return SlowError(f"the server sent only {self._size:,} bytes in {took:.0f} s")
