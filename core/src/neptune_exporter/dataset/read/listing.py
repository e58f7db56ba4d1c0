"""Finds the parts of a run without listing a folder of thousands again for each run."""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from neptune_exporter.dataset.format import publication
from neptune_exporter.dataset.format.layout import DAMAGED, RECEIPTS, SET_ASIDE, Place, parse_part
from neptune_exporter.dataset.format.storage import Storage


@dataclass
class _Numbers:
    parts: set[int] = field(default_factory=set)
    unfinished: dict[int, str] = field(default_factory=dict)


_Stems = dict[str, _Numbers]


class Listing:
    """Lists each folder once while the dataset is locked, because then all new parts are ours, and receipts
    name them. Without the lock, it lists a folder each time. Thread-safe."""

    def __init__(self, data: Storage) -> None:
        self._data = data
        self._guard = threading.Lock()
        self._is_locked = False
        self._folders: dict[str, _Stems] = {}
        self._set_aside: dict[str, set[str]] = {}

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """While the dataset is."""
        self._is_locked = True
        try:
            yield
        finally:
            self._is_locked = False
            self._folders = {}
            self._set_aside = {}

    def parts(self, place: Place) -> list[str]:
        """The names of the existing parts by number, also if the numbers have gaps."""
        receipt = publication.receipt(self._data, place.receipt)
        numbers = {publication.number_of(part.name) for part in receipt.parts} if receipt else set()
        names = map(place.part_name, sorted(numbers | self._listed(place).parts))
        return [name for name in names if self._data.size(place.path(name)) is not None]

    def unfinished(self, place: Place) -> list[str]:
        """The names of parts that another tool did not finish, by number."""
        names = (name for _, name in sorted(self._listed(place).unfinished.items()))
        return [name for name in names if self._data.size(place.path(name)) is not None]

    def has_set_aside(self, place: Place) -> bool:
        """Whether damaged parts of the run have been set aside."""
        with self._guard:
            if not self._is_locked:
                return place.stem in self._list_set_aside(place.folder, place.stem)
            if place.folder not in self._set_aside:
                self._set_aside[place.folder] = self._list_set_aside(place.folder)
            return place.stem in self._set_aside[place.folder]

    def look(self, place: Place) -> None:
        """List a run in advance, for all later questions."""
        stem = "" if self._is_locked else place.stem
        self._data.look(place.folder, prefix=stem)
        self._data.look(f"{place.folder}/{RECEIPTS}", prefix=stem)

    def _listed(self, place: Place) -> _Numbers:
        with self._guard:
            if not self._is_locked:
                return self._list(place.folder, place.stem).get(place.stem, _Numbers())
            if place.folder not in self._folders:
                self._folders[place.folder] = self._list(place.folder)
            return self._folders[place.folder].get(place.stem, _Numbers())

    def _list(self, folder: str, stem: str = "") -> _Stems:
        found: _Stems = defaultdict(_Numbers)
        for entry in self._data.list(folder, prefix=stem):
            part = parse_part(entry.name)
            if part is None or not entry.is_file:
                continue
            if part.unfinished:
                found[part.stem].unfinished[part.number] = entry.name
            else:
                found[part.stem].parts.add(part.number)
        return dict(found)

    def _list_set_aside(self, folder: str, stem: str = "") -> set[str]:
        listed = self._data.list(f"{folder}/{DAMAGED}", prefix=stem)
        names = (parse_part(entry.name.removesuffix(SET_ASIDE)) for entry in listed)
        return {part.stem for part in names if part}
