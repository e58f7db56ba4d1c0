"""Failures in a row. If a server fails every request, only the first few are retried for the full time.

Independent of any HTTP library. Each kind of request has a streak of its own, which its first success ends.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from neptune_exporter.toolkit.retrying import Patience, TransientError

T = TypeVar("T")

PATIENT = 3
"""After this many failures in a row, each further thing of the kind is tried only once."""
TRIED = 20
"""After this many, a thing may be given up without a try if tries took long: a server may hang."""
_LEAST = 60.0
"""Seconds that those tries may take in any case."""


@dataclass
class _Streak:
    failures: int = 0
    seconds: float = 0.0
    """Seconds that the single tries have taken."""
    message: str = ""
    next_try: float = 0.0


class Streaks:
    """Counts failures in a row, for each kind of request. All threads share it.

    Examples:
        >>> def fetch() -> str:
        ...     raise TransientError("HTTP 500")
        >>> streaks = Streaks(Patience(0))
        >>> for path in ("train/loss", "train/acc"):
        ...     try:
        ...         streaks.call("metrics", lambda patience: patience.call(fetch))
        ...     except TransientError as error:
        ...         failure = AttributeFailure.of(run.key, path, AttributeType.FLOAT_SERIES, error)
        >>> streaks.length("metrics")
        2
    """

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._limit = max(patience.seconds, _LEAST)
        self._lock = threading.Lock()
        self._streaks: defaultdict[str, _Streak] = defaultdict(_Streak)

    def length(self, kind: str) -> int:
        """How many of this kind failed since the last one succeeded."""
        with self._lock:
            return self._streaks[kind].failures

    def call(self, kind: str, action: Callable[[Patience], T], patience: Patience | None = None) -> T:
        """Call `action` with the patience that is left for this kind of request.

        Args:
            patience: Replaces the usual one, as long as there is no streak.

        Raises:
            TransientError: the last attempt failed, or none was made because of the streak (`attempts` is 0).
        """
        patience = patience or self._patience
        with self._lock:
            streak = self._streaks[kind]
            once = streak.failures >= PATIENT
            if once:
                patience = Patience(0)
                self._check_worth_a_try(streak)
        begin = time.monotonic()
        try:
            result = action(patience)
        except TransientError as error:
            with self._lock:
                streak.failures += 1
                streak.seconds += (time.monotonic() - begin) * once
                streak.message = str(error)
            raise
        with self._lock:
            streak.failures, streak.seconds = 0, 0.0
        return result

    def renew(self) -> None:
        """A new project starts: give every kind of request a fresh chance, with one try each."""
        with self._lock:
            for streak in self._streaks.values():
                streak.failures, streak.seconds = min(streak.failures, PATIENT), 0.0

    def _check_worth_a_try(self, streak: _Streak) -> None:
        if streak.failures < TRIED or streak.seconds < self._limit:
            return
        now = time.monotonic()
        if now >= streak.next_try:  # now and then one may find that all is well again
            streak.next_try = now + self._limit
            return
        error = TransientError(f"not tried, as {streak.failures} before it failed in a row: {streak.message}")
        error.attempts = 0
        raise error
