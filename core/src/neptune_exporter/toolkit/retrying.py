"""Retries: bounded in time, with jitter, and after the wait that the server asks for.

Independent of any HTTP library. A plugin raises `TransientError` if another attempt may
succeed, and any other error if it cannot.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TypeVar

from neptune_exporter.errors import SourceError
from neptune_exporter.interruption import pause

T = TypeVar("T")

_log = logging.getLogger(__name__)
_LOGGED_AT = 4
"""Fewer failures than this pass within some two seconds: nothing that a person need know."""
_LONG_WAIT = 5.0
"""Seconds. A wait that the server asks for is logged if it is this long."""

AWAY_STATUSES = frozenset({502, 503, 504, *range(520, 531)})
"""HTTP statuses by which a proxy says that its server is down. Those from 520 on are not standard."""

TRANSIENT_STATUSES = AWAY_STATUSES | {408, 425, 429, 500}
"""HTTP statuses after which another attempt may succeed."""


class TransientError(SourceError):
    """A failure after which another attempt may succeed. `Patience.call` raises that of the last attempt.

    `wait`: for how many seconds the server asked for no request, None if it did not.
    `attempts`: how often it was tried, once `Patience.call` raises it.

    Examples:
        >>> raise TransientError("HTTP 429, too many requests", wait=30.0)
        Traceback (most recent call last):
        neptune_exporter.toolkit.retrying.TransientError: HTTP 429, too many requests
    """

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait
        self.attempts = 1


class AwayError(TransientError):
    """No answer at all, or that of a proxy: the server or the way to it is down, for other requests too.

    Examples:
        >>> raise AwayError("the server acme.example.com cannot be reached: the connection was refused")
        Traceback (most recent call last):
        neptune_exporter.toolkit.retrying.AwayError: the server acme.example.com cannot be reached: ...
    """

    def of_one_request(self) -> TransientError:
        """The same as a plain TransientError, if it has turned out that the server answers other requests."""
        error = TransientError(str(self), self.wait)
        error.attempts = self.attempts
        return error


@dataclass(frozen=True)
class Patience:
    """For how long something is tried again, and at which intervals. Times are seconds.

    Examples:
        >>> answers = [TransientError("HTTP 503"), {"entries": ["RUN-1"]}]
        >>> def attempt():
        ...     answer = answers.pop(0)
        ...     if isinstance(answer, Exception):
        ...         raise answer
        ...     return answer
        >>> Patience(seconds=60.0, first_wait=0.001).call(attempt)  # fails once, then succeeds
        {'entries': ['RUN-1']}
    """

    seconds: float = 300.0
    """In all, from the first failure on. 0: no second try. A server that asks for a longer wait gets none."""
    first_wait: float = 0.25
    longest_wait: float = 20.0

    def call(self, attempt: Callable[[], T]) -> T:
        """Call `attempt` until it raises no TransientError, or the time is over.

        Raises:
            TransientError: the last one, with `attempts` set.
        """
        try:
            return attempt()
        except TransientError as error:
            if not self.seconds:
                raise
            return self._again(attempt, error)

    def _again(self, attempt: Callable[[], T], first: TransientError) -> T:
        """The attempts after the first, which has just failed."""
        import tenacity  # only for what failed: registering plugins must stay fast, and so must what succeeds

        backoff = tenacity.wait_exponential(self.first_wait, self.longest_wait)
        jitter = tenacity.wait_random(0, self.first_wait)  # those that failed together do not return together

        def asked(state: tenacity.RetryCallState) -> float | None:
            """The wait that the server asked for."""
            return getattr(state.outcome and state.outcome.exception(), "wait", None)

        def wait(state: tenacity.RetryCallState) -> float:
            seconds = asked(state)
            return backoff(state) + jitter(state) if seconds is None else seconds

        def log(state: tenacity.RetryCallState) -> None:
            is_worth_a_line = state.attempt_number == _LOGGED_AT or (asked(state) or 0.0) >= _LONG_WAIT
            _log.log(
                logging.WARNING if is_worth_a_line else logging.DEBUG,
                "%s; it is tried again for up to %.0f s",
                state.outcome and state.outcome.exception(),
                self.seconds,
            )

        again = tenacity.retry_if_exception(
            lambda error: isinstance(error, TransientError) and (error.wait or 0.0) <= self.seconds
        )
        stop = tenacity.stop_after_delay(self.seconds)
        for context in tenacity.Retrying(
            sleep=pause, retry=again, wait=wait, stop=stop, before_sleep=log, reraise=True
        ):
            with context:
                number = context.retry_state.attempt_number
                try:
                    if number == 1:
                        raise first
                    return attempt()
                except TransientError as error:
                    error.attempts = number
                    raise
        raise AssertionError("retrying ends with a result or an error")


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """The seconds that a `Retry-After` header asks for (a number or an HTTP date), else None.

    Examples:
        >>> retry_after({"Retry-After": "120"})
        120.0
        >>> now = datetime(2024, 5, 1, 12, 0, 0, tzinfo=timezone.utc)
        >>> retry_after({"Retry-After": "Wed, 01 May 2024 12:00:30 GMT"}, now)
        30.0
    """
    from email.utils import parsedate_to_datetime  # rarely needed, and not light

    text = next((value for name, value in headers.items() if name.lower() == "retry-after"), "").strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            at = parsedate_to_datetime(text)
        except (TypeError, ValueError, IndexError):
            return None
        at = at if at.tzinfo is not None else at.replace(tzinfo=timezone.utc)
        seconds = (at - (now or datetime.now(timezone.utc))).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None
