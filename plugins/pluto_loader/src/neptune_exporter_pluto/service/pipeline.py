"""Requests under way: a bounded number of them, and waiting until what arrived can be read."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from neptune_exporter.toolkit import pause

_POLL = 1.0
_SETTLED_AFTER = 15.0
"""Seconds without a change after which what Pluto shows is all that it has; rows show after some 6."""


class Pipeline(contextlib.AbstractContextManager["Pipeline"]):
    """Runs calls on an executor, a bounded number of them ahead, and tells the first failure.

    One thread submits and waits, and makes the last call itself: many runs need only one. At the end of a
    `with`, all calls have ended, and the first failure is raised.
    """

    def __init__(self, executor: ThreadPoolExecutor, ahead: int) -> None:
        self._executor = executor
        self._ahead = ahead
        self._under_way: deque[Future[Any]] = deque()
        self._last: Callable[[], Any] | None = None
        self._failure: BaseException | None = None

    def submit(self, call: Callable[..., Any], *args: Any) -> None:
        """Wait for a place, then run the call before this one in the background. Raises what an earlier one
        raised."""
        while len(self._under_way) >= self._ahead or (self._under_way and self._under_way[0].done()):
            self._take_oldest()
        if self._failure is not None:
            raise self._failure
        if self._last is not None:
            self._under_way.append(self._executor.submit(self._last))
        self._last = partial(call, *args)

    def _take_oldest(self) -> None:
        # Not `concurrent.futures.wait`: it does not see a future that a shutdown has cancelled.
        with contextlib.suppress(CancelledError):
            error = self._under_way.popleft().exception()
            self._failure = self._failure or error

    def drain(self) -> None:
        """Wait for all. Raises the first failure."""
        self._settle()
        if self._failure is not None:
            raise self._failure

    def _settle(self) -> None:
        last, self._last = self._last, None
        try:
            if last is not None and self._failure is None:
                last()
        except BaseException as error:  # noqa: BLE001 - raised when the others have ended
            self._failure = error
        while self._under_way:
            self._take_oldest()

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is not None:
            self._last = None
        self._settle()
        if error is None:
            self.drain()


def settled(read: Callable[[], int], wanted: int, patience: float) -> int:
    """Read a number until it has the wanted value, or has not changed for a while."""
    quiet = min(_SETTLED_AFTER, patience)
    found, since = read(), time.monotonic()
    started = since
    while found != wanted and time.monotonic() - since < quiet and time.monotonic() - started < 4 * patience:
        pause(min(_POLL, max(quiet / 10, 0.02)))
        now = read()
        if now != found:
            found, since = now, time.monotonic()
    return found
