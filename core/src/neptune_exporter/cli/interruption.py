"""Ctrl-C and SIGTERM: the first ends a command in order, a later one at once.

There is one way out. A signal that comes while the command works makes it end with code 130 and a line that
says so; one that comes when it has ended changes nothing. While Python takes itself apart, for a tenth of a
second with all that is imported, signals have their default meaning again: by then they are ignored.
"""

from __future__ import annotations

import atexit
import os
import signal
import time
from types import FrameType

from neptune_exporter.interruption import end_waits

_SAME = 1.0
"""Seconds in which further signals mean the first: launchers pass on what the terminal has sent already."""
_SHOW_CURSOR = b"\x1b[?25h\n"
_INTERRUPTED = 130
"""`ExitCode.INTERRUPTED`, without the imports of its module."""

_first: float | None = None
_code: int | None = None
"""Of the command, once it has ended."""
_handled: list[int] = []


def handle_signals() -> None:
    """A batch system that stops a job sends SIGTERM. What was ignored before, as by `nohup`, stays so."""
    atexit.register(_ignore)  # first of all, so it is called last
    signal.signal(signal.SIGTERM, _interrupt)
    _handled.append(signal.SIGTERM)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
        _handled.append(signal.SIGINT)


def ended(code: int) -> int:
    """The command has ended with this code, and no first signal changes that any more. Gives the code."""
    global _code
    _code = code
    return code


def _ignore() -> None:
    for number in _handled:
        signal.signal(number, signal.SIG_IGN)


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _first
    now = time.monotonic()
    if _first is None:
        _first = now
        end_waits()
        if _code is None:
            raise KeyboardInterrupt
    elif now - _first >= _SAME:
        # A request may be without an answer for minutes, and every command can be killed and run again.
        if os.isatty(2):
            os.write(2, _SHOW_CURSOR)  # the progress bar hides it
        os._exit(_INTERRUPTED if _code is None else _code)
