"""The parts that were asked for last: a run is passed over several times, and knows its footers then."""

from __future__ import annotations

import threading

from neptune_exporter.dataset.format.storage import Storage
from neptune_exporter.dataset.read.part_of_many import PartOfMany
from neptune_exporter.dataset.read.parts import Part
from neptune_exporter.model import RunKey

_PARTS = 64
_WITH_ROWS = 8
"""Small parts whose rows are kept."""
_FOOTER_BYTES = 8 << 20
"""Of all footers, as they are stored; in memory they take some nine times as much."""

_Key = tuple[Storage, str, "tuple[int, int] | None", "RunKey | None"]


class RecentParts:
    """Forgets the parts that were not asked for the longest when those that are known take too much."""

    def __init__(self) -> None:
        self._parts: dict[_Key, Part] = {}
        self._lock = threading.Lock()

    def part(self, storage: Storage, path: str, run: RunKey | None = None) -> Part:
        """The part, with all that is known of it if it was asked for before and has not changed since.

        `run`: whose rows are meant, where it holds those of several.
        """
        key = storage, path, storage.stamp(path), run
        with self._lock:
            part = self._parts.pop(key) if key in self._parts else part_of(storage, path, run)
            self._parts[key] = part
            self._forget()
            return part

    def _forget(self) -> None:
        """The rows of all but some parts, and the oldest parts if footers are too much."""
        for part in [each for each in self._parts.values() if each.holds_rows][:-_WITH_ROWS]:
            part.forget_rows()
        while len(self._parts) > _PARTS or (
            len(self._parts) > 1 and sum(part.footer_bytes for part in self._parts.values()) > _FOOTER_BYTES
        ):
            del self._parts[next(iter(self._parts))]


def part_of(storage: Storage, path: str, run: RunKey | None = None) -> Part:
    """A part of which nothing is known yet; `run` as of `RecentParts.part`."""
    return Part(storage, path) if run is None else PartOfMany(storage, path, run)
