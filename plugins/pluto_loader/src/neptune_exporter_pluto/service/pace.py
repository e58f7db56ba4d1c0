"""How many uploads run at once: falls by itself when the server pushes back, and recovers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_SUCCESSES_TO_GROW = 20


class Pace:
    """A limit on uploads that run at once.

    A push-back halves the limit (not below one), a row of successes raises it by one,
    up to the maximum. If a request that was under way when the limit fell is pushed back too, the limit does
    not fall again: that is no news.
    """

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self._limit = maximum
        self._under_way = 0
        self._successes = 0
        self._era = 0
        self._changed = threading.Condition()

    @property
    def limit(self) -> int:
        return self._limit

    @contextmanager
    def turn(self) -> Iterator[int]:
        """Wait for a place, and hold it. Yields the era, for `pushed_back`."""
        with self._changed:
            self._changed.wait_for(lambda: self._under_way < self._limit)
            self._under_way += 1
            era = self._era
        try:
            yield era
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def succeeded(self) -> None:
        with self._changed:
            self._successes += 1
            if self._successes >= _SUCCESSES_TO_GROW and self._limit < self.maximum:
                self._limit += 1
                self._successes = 0
                self._changed.notify_all()

    def pushed_back(self, era: int) -> None:
        """Lower the limit: the server pushed back."""
        with self._changed:
            self._successes = 0
            if era == self._era:
                self._limit = max(1, self._limit // 2)
                self._era += 1
