"""Ends the waits of all threads when a person ends the process: a server may have asked for minutes."""

from __future__ import annotations

import threading
import time

LISTENING = 0.2
"""Seconds that a wait may take at once. Python handles signals in the main thread, and only a signal that the
system gives to that very thread while it waits ends its wait; on Windows none does."""

# Held until then. Not an Event: a signal handler that sets one can deadlock with the interrupted thread.
_going_on = threading.Lock()
_going_on.acquire()


def end_waits() -> None:
    """Let every `pause`, of now and later, end at once. Safe in a signal handler."""
    if _going_on.locked():
        _going_on.release()


def is_ending() -> bool:
    """Whether a person has asked the process to end."""
    return not _going_on.locked()


def pause(seconds: float) -> None:
    """Wait. Raises KeyboardInterrupt if the process is to end: in every thread, so that none takes it for a
    failure."""
    end = time.monotonic() + seconds
    while not _going_on.acquire(timeout=max(0.0, min(end - time.monotonic(), LISTENING))):
        if time.monotonic() >= end:
            return
    _going_on.release()
    raise KeyboardInterrupt


def resume_waits() -> None:
    """Let waits take their time again: in a worker process, once the job that was ended there is over."""
    _going_on.acquire(blocking=False)
