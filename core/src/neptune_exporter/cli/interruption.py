"""Ctrl-C and SIGTERM: the first ends a command in order, a later one at once.

A signal that comes while the command works makes it end with code 130 and a line that says so. A signal that
comes when the command has ended changes nothing. While Python shuts down, which takes a tenth of a second, it
gives signals their default meaning again: so they are ignored before that.
"""

from __future__ import annotations

import atexit
import os
import signal
import time
from types import FrameType

from neptune_exporter.interruption import end_waits

_SAME = 1.0
"""Seconds in which further signals count as the first one: launchers pass on what the terminal sent, too."""
_SHOW_CURSOR = b"\x1b[?25h\n"
_INTERRUPTED = 130
"""`ExitCode.INTERRUPTED`, without the imports of its module."""

_first: float | None = None
_code: int | None = None
"""The exit code of the command, once it has ended."""
_handled: list[int] = []


def handle_signals() -> None:
    """Handle Ctrl-C, and SIGTERM, which batch systems send. Leaves alone what is ignored, as with `nohup`."""
    atexit.register(_ignore)  # first of all, so it is called last
    signal.signal(signal.SIGTERM, _interrupt)
    _handled.append(signal.SIGTERM)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
        _handled.append(signal.SIGINT)


def ended(code: int) -> int:
    """Note that the command has ended with this code, which no first signal changes any more. Returns it."""
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
