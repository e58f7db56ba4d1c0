"""Gives free memory back to the system, which Python and the C library keep for longer than a job can bear.

A part that was read is freed only when Python looks for reference cycles, which it does less often the
more objects there are. Its footer was thousands of small allocations, and glibc keeps the pages they leave.
"""

from __future__ import annotations

import gc
import itertools
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

_EVERY = 64
_calls = itertools.count(1)


def give_back_memory() -> None:
    """Call this after each of many small pieces of work; it acts every 64th time. Thread-safe."""
    if next(_calls) % _EVERY:
        return
    gc.collect()
    if (trim := _malloc_trim()) is not None:
        trim(0)


@cache
def _malloc_trim() -> Callable[[int], Any] | None:
    """That of glibc; None with another C library."""
    if not sys.platform.startswith("linux"):
        return None
    import ctypes  # slow to import, and small jobs never get here

    return getattr(ctypes.CDLL(None), "malloc_trim", None)
