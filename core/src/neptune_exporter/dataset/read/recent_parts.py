"""Caches the parts that were used last: a run is read several times, and then need not read its footers
again."""

from __future__ import annotations

import threading

from neptune_exporter.dataset.format.storage import Storage
from neptune_exporter.dataset.read.part_in_memory import PartInMemory
from neptune_exporter.dataset.read.part_of_many import PartOfMany
from neptune_exporter.dataset.read.parts import EXPANDED_BYTES, Part
from neptune_exporter.model import RunKey

_PARTS = 64
_WITH_ROWS = 8
"""How many small parts keep their rows."""
_FOOTER_BYTES = 8 << 20
"""The stored size of all footers; in memory they take about nine times as much."""

_Key = tuple[Storage, str, "tuple[int, int] | None", "RunKey | None"]


class RecentParts:
    """Drops the least recently used parts if all of them take too much memory."""

    def __init__(self) -> None:
        self._parts: dict[_Key, Part] = {}
        self._lock = threading.Lock()

    def part(self, storage: Storage, path: str, run: RunKey | None = None) -> Part:
        """The part, with its cache if it was used before and has not changed since.

        `run`: the run that is meant, if the part holds rows of several runs.
        """
        key = storage, path, storage.stamp(path), run
        with self._lock:
            is_last = key == next(reversed(self._parts), None)
            part = self._parts.pop(key, None)
            if part is None and run is None:
                part = PartInMemory(storage, path, EXPANDED_BYTES)
            self._parts[key] = part = part or part_of(storage, path, run)
            if not is_last:
                self._forget()
            return part

    def _forget(self) -> None:
        """Free the rows of all but some parts, and the oldest parts if the footers take too much."""
        for part in [each for each in self._parts.values() if each.holds_rows][:-_WITH_ROWS]:
            part.forget_rows()
        while len(self._parts) > _PARTS or (
            len(self._parts) > 1 and sum(part.footer_bytes for part in self._parts.values()) > _FOOTER_BYTES
        ):
            del self._parts[next(iter(self._parts))]


def part_of(storage: Storage, path: str, run: RunKey | None = None) -> Part:
    """A part without a cache; `run` as in `RecentParts.part`."""
    return Part(storage, path) if run is None else PartOfMany(storage, path, run)
