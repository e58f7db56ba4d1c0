"""Ends the waits of all threads when a person ends the process: a server may have asked for minutes."""

from __future__ import annotations

import threading

# Held until then. Not an Event: a signal handler that sets one can wait for ever for the thread it stopped.
_going_on = threading.Lock()
_going_on.acquire()


def end_waits() -> None:
    """Let every `pause`, of now and later, end at once. Safe in a signal handler."""
    if _going_on.locked():
        _going_on.release()


def pause(seconds: float) -> None:
    """Wait.

    Raises:
        KeyboardInterrupt: the process is to end. In every thread, so that none takes it for a failure.
    """
    if _going_on.acquire(timeout=min(seconds, threading.TIMEOUT_MAX)):
        _going_on.release()
        raise KeyboardInterrupt
