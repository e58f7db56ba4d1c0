"""When Python looks for memory to free, and when free memory goes back to the system.

Python and the C library keep it for longer than a job can bear.

What refers to itself is freed only when Python looks for reference cycles, which it does less often the more
objects there are. A footer is thousands of small allocations, and glibc keeps the pages they leave.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import sys
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

_EVERY = 64
"""`give_back_memory` acts at every call of this number."""
_calls = itertools.count(1)
_MANY = 50_000
"""New objects after which Python looks for cycles within `few_collections`."""


@contextlib.contextmanager
def short_collections() -> Iterator[None]:
    """Python looks for what it can free only among the objects that are made meanwhile.

    In an export of small runs, looks through all modules took a twentieth of the time.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextlib.contextmanager
def few_collections() -> Iterator[None]:
    """For making very many small values that stay: Python also looks less often for what it can free.

    In a summary of 10,000 runs these looks took a sixth of the time and freed nothing.
    """
    usual = gc.get_threshold()
    gc.set_threshold(_MANY, *usual[1:])
    try:
        with short_collections():
            yield
    finally:
        gc.set_threshold(*usual)


def give_back_memory() -> None:
    """Call this after each of many small pieces of work; it acts every 64th time. Thread-safe.

    What is there the first time, the modules above all, stays: to look through it each time took a tenth of
    the time of a load of small runs.
    """
    call = next(_calls)
    if call % _EVERY:
        return
    gc.collect()
    if call == _EVERY:
        gc.freeze()
    if (trim := _malloc_trim()) is not None:
        trim(0)


@cache
def _malloc_trim() -> Callable[[int], Any] | None:
    """The function of glibc; None with another C library."""
    if not sys.platform.startswith("linux"):
        return None
    import ctypes  # slow to import, and small jobs never get here

    return getattr(ctypes.CDLL(None), "malloc_trim", None)
