"""A least rate for answers. No timeout catches a server that sends a byte now and then.

Until an answer begins, the timeout of the client counts: a server may be busy. From the first byte of its
status line on, the answer comes at the least rate, or it is given up. Independent of any HTTP library:
`connections` puts a `Pace` below the two that plugins use.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeAlias

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


Late: TypeAlias = "Callable[[SlowError], Exception]"
"""Makes the error to raise of one that says how slow the answer was."""


class Pace:
    """Measures the rate of one answer, span by span: a fast beginning does not make up for a slow rest.

    Examples:
        >>> pace = Pace(60.0)
        >>> for chunk in (b"first", b"second"):  # as they arrive
        ...     pace.add(len(chunk))
        >>> 0 < pace.left() <= 60
        True
    """

    def __init__(self, seconds: float, late: Late = lambda error: error) -> None:
        """Each span lasts `seconds`. The first one begins with the first bytes."""
        self._seconds = seconds
        self._late = late
        self._begin: float | None = None
        self._size = 0

    def left(self) -> float | None:
        """Seconds in which the next byte must come; None while the first one is waited for.

        Raises:
            SlowError, or what `late` makes of it: none are left.
        """
        if self._begin is None:
            return None
        left = self._begin + max(self._seconds, self._size / LEAST_RATE) - time.monotonic()
        if left <= 0:
            raise self._too_slow(self._begin) from None
        return left

    def add(self, size: int) -> None:
        """Count bytes that came.

        Raises:
            SlowError, or what `late` makes of it: the span is over, and fewer came in it than the least rate
                asks for.
        """
        now = time.monotonic()
        begin = self._begin = now if self._begin is None else self._begin
        self._size += size
        if now - begin < self._seconds:
            return
        if self._size < LEAST_RATE * (now - begin):
            raise self._too_slow(begin)
        self._begin, self._size = now, 0

    def _too_slow(self, begin: float) -> Exception:
        took = time.monotonic() - begin
        return self._late(SlowError(f"the server sent only {self._size:,} bytes in {took:.0f} s"))
