"""One thread at a time makes many small calls into native code."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext

_TURN = threading.Lock()
_LONG_CALL = 50_000
"""Calls that handle at least this many rows run side by side."""


def turn(rows: int) -> AbstractContextManager[object]:
    """Hold this during calls into Arrow or numpy: one thread at a time makes short ones.

    Each call lets go of the interpreter's lock, and threads that make many short ones at the same
    time spend more on waking one another than on the work. Long ones are better made side by side.
    Hold it around nothing that waits: no request, no file, no other lock.

    Args:
        rows: How many rows one call handles.
    """
    return _TURN if rows < _LONG_CALL else nullcontext()
