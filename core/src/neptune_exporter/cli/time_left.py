"""How long the rest of a job will take, in words, without jumps."""

from __future__ import annotations

import math

_MEMORY = 120.0
"""Seconds after which work counts only a third (1/e) in the speed; in a long job, half of its time so far."""
_FOLLOWING = 15.0
"""Seconds in which the shown time follows the computed time (by 1 - 1/e)."""
_AFTER = 3.0
"""Seconds of work before a time is shown."""


class TimeLeft:
    """Estimates from the work done when the rest will be done. The shown time counts down without jumps.

    All times are in seconds of one clock, which a test can choose.
    """

    def __init__(self, now: float) -> None:
        self._began = self._last = self._asked = now
        self._done = 0
        self._recent_work = self._recent_time = 0.0
        self._end: float | None = None

    def advance(self, done: int, now: float) -> None:
        """Note how much is done in all."""
        passed = now - self._last
        if passed <= 0:
            self._recent_work += done - self._done
        else:
            memory = max(_MEMORY, (now - self._began) / 2)
            kept = math.exp(-passed / memory)
            counted = memory * (1 - kept)  # of the time passed
            self._recent_time = self._recent_time * kept + counted
            self._recent_work = self._recent_work * kept + (done - self._done) * counted / passed
        self._done, self._last = done, now

    def seconds(self, total: int, now: float) -> float | None:
        """Seconds left; None as long as that cannot be said."""
        waiting, passed, self._asked = now - self._last, now - self._asked, now
        if now - self._began < _AFTER or not self._recent_work or not self._recent_time:
            return None
        # What is under way ends now at the earliest.
        slowest = (self._recent_work + 1) / (self._recent_time + waiting)
        speed = min(self._recent_work / self._recent_time, slowest)
        end = now + (total - self._done) / speed
        if self._end is None:
            self._end = end
        self._end += (end - self._end) * (1 - math.exp(-passed / _FOLLOWING))
        return max(0.0, self._end - now)

    def text(self, total: int, now: float) -> str:
        """`2 h 10 min left`; empty as long as that cannot be said."""
        seconds = self.seconds(total, now)
        return "" if seconds is None else f"{in_words(seconds)} left"


def in_words(seconds: float) -> str:
    """As exactly as such a guess can be.

    >>> in_words(42), in_words(750), in_words(7_900), in_words(200_000)
    ('40 s', '12 min', '2 h 10 min', '2 d 8 h')
    """
    if seconds < 57.5:
        return f"{max(5, 5 * round(seconds / 5))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        hours, rest = divmod(10 * round(minutes / 10), 60)
        return f"{hours} h {rest} min"
    days, hours = divmod(round(minutes / 60), 24)
    return f"{days} d {hours} h"
