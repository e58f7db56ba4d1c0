"""Limits the rows that wait in memory, over all runs that are being written."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from neptune_exporter.dataset.write.writer import RunWriter

DEFAULT_BYTES = 40 << 20
"""With this a process stays well below 300 MB: sorting briefly holds the rows twice."""


class WriteBudget:
    """How many bytes of Arrow data all writers together may keep in memory. Thread-safe."""

    def __init__(self, limit: int = DEFAULT_BYTES) -> None:
        self._limit = limit
        self._held: dict[RunWriter, int] = {}
        self._lock = threading.Lock()

    def holds(self, writer: RunWriter, nbytes: int) -> None:
        """Set how much a writer keeps in memory now."""
        with self._lock:
            if nbytes:
                self._held[writer] = nbytes
            else:
                self._held.pop(writer, None)

    def enforce(self) -> None:
        """Flush the largest writers until the rest is within the limit. Call it without holding a lock.

        An error belongs to the writer that is flushed, not to the caller.
        """
        while True:
            with self._lock:
                if sum(self._held.values()) <= self._limit:
                    return
                largest = max(self._held, key=self._held.__getitem__)
                del self._held[largest]
            with contextlib.suppress(Exception):
                largest.flush()
