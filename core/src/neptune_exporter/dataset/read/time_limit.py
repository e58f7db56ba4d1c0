"""A time limit for what another process does: reading from its pipe has none of its own on every system."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

_LOOKS = 0.5
"""Seconds between two looks at the clock."""


class TimeLimit:
    """Calls something, once, if the time is over before it is given again. One thread for many limits.

    Example:
        `with TimeLimit(child.kill) as limit: limit.restart(60); child.stdout.readline()`
    """

    def __init__(self, over: Callable[[], object]) -> None:
        self._over = over
        self._deadline = float("inf")
        self._ended = threading.Event()
        self.is_over = False
        """Whether it was called."""

    def restart(self, seconds: float) -> None:
        """So much time is left from now on."""
        self._deadline = time.monotonic() + seconds

    def __enter__(self) -> TimeLimit:
        threading.Thread(target=self._watch, name="time-limit", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()

    def _watch(self) -> None:
        while not self._ended.wait(_LOOKS):
            if time.monotonic() > self._deadline:
                self.is_over = True
                self._over()
                return
