"""How much may wait in memory, over all runs that are being written."""

from __future__ import annotations

import contextlib
import threading
from typing import Protocol

DEFAULT_BYTES = 40 << 20
"""So that a process stays well below 300 MB: sorting holds the rows twice for a moment."""


class Buffering(Protocol):
    """A writer that holds rows back."""

    def flush(self) -> None:
        """Write what is held back. What fails is raised again to whoever uses the writer next."""


class WriteBudget:
    """Bytes of Arrow data that writers may hold back together. Safe to use from several threads."""

    def __init__(self, limit: int = DEFAULT_BYTES) -> None:
        self._limit = limit
        self._held: dict[Buffering, int] = {}
        self._lock = threading.Lock()

    def holds(self, writer: Buffering, nbytes: int) -> None:
        """Tell how much a writer holds now."""
        with self._lock:
            if nbytes:
                self._held[writer] = nbytes
            else:
                self._held.pop(writer, None)

    def enforce(self) -> None:
        """Have the largest writers flush until the rest is within the limit. Call it with no lock held.

        What fails is the failure of that writer, not of who calls this.
        """
        while True:
            with self._lock:
                if sum(self._held.values()) <= self._limit:
                    return
                largest = max(self._held, key=self._held.__getitem__)
                del self._held[largest]
            with contextlib.suppress(Exception):
                largest.flush()
