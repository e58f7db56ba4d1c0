"""Ctrl-C and SIGTERM: the first ends a command in order, a later one at once."""

from __future__ import annotations

import os
import signal
import time
from types import FrameType

from neptune_exporter.interruption import end_waits

_SAME = 1.0
"""Seconds in which further signals mean the first: launchers pass on what the terminal has sent already."""
_SHOW_CURSOR = b"\x1b[?25h\n"

_first: float | None = None


def handle_signals() -> None:
    """A batch system that stops a job sends SIGTERM. What was ignored before, as by `nohup`, stays so."""
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _first
    now = time.monotonic()
    if _first is None:
        _first = now
        end_waits()
        raise KeyboardInterrupt
    if now - _first >= _SAME:
        from neptune_exporter.cli.exit_codes import ExitCode

        # A request may be without an answer for minutes, and every command can be killed and run again.
        if os.isatty(2):
            os.write(2, _SHOW_CURSOR)  # the progress bar hides it
        os._exit(ExitCode.INTERRUPTED)
