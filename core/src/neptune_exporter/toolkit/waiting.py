"""What the threads of this process wait for, so that progress can say "waiting for …" while nothing moves."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_numbers = itertools.count()
_lock = threading.Lock()
_waits: dict[int, tuple[float, str]] = {}
"""Since when and for what each wait lasts, by number, and so the oldest first."""


@contextmanager
def waiting_for(what: str) -> Iterator[None]:
    """Say what this thread waits for during the block; `what` is one line for a person.

    Examples:
        >>> with waiting_for("acme.example.com: the list of runs"):
        ...     longest_wait()[0]
        'acme.example.com: the list of runs'
    """
    number = next(_numbers)
    with _lock:
        _waits[number] = time.monotonic(), what
    try:
        yield
    finally:
        with _lock:
            del _waits[number]


def longest_wait(least: float = 0.0) -> tuple[str, float] | None:
    """The longest wait that goes on now, and its seconds; None if it is shorter than `least` seconds.

    Examples:
        >>> with waiting_for("acme.example.com: the list of runs"):
        ...     longest_wait(least=3600.0) is None  # it has not been waited for an hour
        True
    """
    with _lock:
        first = next(iter(_waits.values()), None)
    if first is None:
        return None
    seconds = time.monotonic() - first[0]
    return (first[1], seconds) if seconds >= least else None
