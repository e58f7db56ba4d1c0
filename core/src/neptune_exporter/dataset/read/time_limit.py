"""A time limit for another process: reading from its pipe has no timeout of its own on every system."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_LOOKS = 0.5
"""Seconds between two checks of the clock."""


class TimeLimit:
    """Calls a function once, if the time ends before `restart` is called again. All limits share one thread.

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
        """Start the time again, with this many seconds."""
        self._deadline = time.monotonic() + seconds

    def __enter__(self) -> TimeLimit:
        threading.Thread(target=self._watch, name="time-limit", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def _watch(self) -> None:
        while not self._ended.wait(_LOOKS):
            if time.monotonic() > self._deadline:
                self.is_over = True
                self._over()
                return
