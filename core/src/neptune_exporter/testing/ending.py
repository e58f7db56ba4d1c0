"""How a server that is a process of its own comes to its end."""

from __future__ import annotations

import os
import queue
import signal
import threading

_LISTENING = 0.5
"""Seconds. A signal that comes just before a wait does not end it, and on Windows none does."""


class Ending:
    """Waits for SIGTERM, SIGINT or, if asked to, the end of the standard input."""

    def __init__(self) -> None:
        # Not an Event: a signal handler that sets one can wait for ever for the thread that it stopped.
        self._signals: queue.SimpleQueue[None] = queue.SimpleQueue()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._signals.put(None))

    def follow_input(self) -> None:
        """End with the standard input, so as not to outlive the process that holds its other end."""
        threading.Thread(target=self._read, daemon=True).start()

    def wait(self) -> None:
        """Return when the end is requested, now or before."""
        while True:
            try:
                return self._signals.get(timeout=_LISTENING)
            except queue.Empty:
                continue

    def _read(self) -> None:
        while os.read(0, 1 << 16):  # not sys.stdin: its lock, held while waiting, would break the exit
            pass
        self._signals.put(None)
