"""Finds runs in the folders of a dataset: all of them, or one without listing a folder of thousands again."""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from neptune_exporter.contract import DatasetError
from neptune_exporter.dataset.format import layout, publication, receipt_index
from neptune_exporter.dataset.format.layout import Place
from neptune_exporter.dataset.format.storage import Entry, Storage
from neptune_exporter.dataset.read.part_of_many import runs_in
from neptune_exporter.dataset.read.parts import Part
from neptune_exporter.dataset.read.probing import probed
from neptune_exporter.dataset.read.run_folder import ListedRun, RunFolder
from neptune_exporter.model import RunKey

NOT_READ = "is not read: its name and place are not those of a part, or another part has its number"
_PARQUET = ".parquet"


class Folder(NamedTuple):
    """A folder that may hold runs: of a project, or of its models or model versions."""

    path: str
    entries: list[Entry]
    """Its listing."""


@dataclass
class _Names:
    """What a folder has under one name."""

    parts: dict[int, str] = field(default_factory=dict)
    unfinished: dict[int, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    has_receipt: bool = False
    is_pending: bool = False
    indexed: memoryview | None = None

    def run(self, place: Place, whose: RunKey | None = None) -> ListedRun:
        parts, unfinished = _by_number(self.parts), _by_number(self.unfinished)
        return ListedRun(place, parts, unfinished, self.has_receipt, self.is_pending, whose)


def _by_number(names: Mapping[int, str]) -> tuple[str, ...]:
    return tuple(names.values()) if len(names) < 2 else tuple(name for _, name in sorted(names.items()))


def _names_of(entries: list[Entry]) -> dict[str, _Names]:
    """The parts in a listing, by the name of their run. If several have one number, such as `_part_0` and
    `_part_00`, the shortest name counts."""
    names: dict[str, _Names] = defaultdict(_Names)
    named = [(entry.name, entry) for entry in entries if entry.is_file]
    for name, entry in sorted(named, key=lambda each: len(each[0])):
        if part := layout.parse_part(name):
            run = names[part.stem]
            (run.unfinished if part.unfinished else run.parts).setdefault(part.number, name)
            run.sizes[name] = entry.size
    return names


def listed_folders(data: Storage, *, not_read: list[str] | None = None) -> Iterator[Folder]:
    """All folders that may hold runs, sorted, each listed once. `not_read` gets Parquet files above them."""
    root = data.list()
    if not_read is not None:
        not_read += [entry.path for entry in root if _is_parquet(entry)]
    for project in root:
        if project.is_file or layout.is_passed_over(project.name):
            continue
        yield from _folders_of(data, project.path)


def _folders_of(data: Storage, project: str) -> Iterator[Folder]:
    folder = Folder(project, data.list(project))
    yield folder
    inside = {each.name for each in folder.entries if not each.is_file}
    for path in (f"{project}/{kind}" for kind in layout.KIND_FOLDERS.values() if kind in inside):
        yield Folder(path, data.list(path))


def _is_parquet(entry: Entry) -> bool:
    return entry.is_file and entry.name.endswith(_PARQUET) and not layout.is_passed_over(entry.name)


def project_folders(data: Storage) -> list[str]:
    """The paths of `listed_folders`."""
    return [folder.path for folder in listed_folders(data)]


def found_runs(
    data: Storage,
    folder: Folder,
    *,
    indexed: bool = False,
    foreign: bool = True,
    not_read: list[str] | None = None,
) -> Iterator[RunFolder]:
    """What one folder holds, sorted by name; if requested, with receipts from the index, or without what has
    no receipt. `not_read` gets the Parquet files that are skipped because they are not parts."""
    names = _names_of(folder.entries)
    if not_read is not None:
        parts = {name for of_run in names.values() for name in of_run.parts.values()}
        not_read += [e.path for e in folder.entries if _is_parquet(e) and e.name not in parts]
    _add_receipts(names, data, folder.path, indexed=indexed)
    for stem in sorted(names):
        found = names.pop(stem)  # drops what the index said about it
        if not (foreign or found.has_receipt):
            continue
        if stem:
            receipt = None if found.indexed is None else bytes(found.indexed)
            yield RunFolder(data, found.run(Place(folder.path, stem)), found.sizes, receipt)
        else:
            yield from _found_among_many(data, folder.path, found)


def _add_receipts(names: dict[str, _Names], data: Storage, folder: str, *, indexed: bool) -> None:
    listed = data.list(f"{folder}/{layout.RECEIPTS}")
    index = receipt_index.read(data, listed) if indexed else {}
    for entry in listed:
        name = entry.name
        if name.endswith(layout.RECEIPT):
            run = names[name.removesuffix(layout.RECEIPT)]
            run.has_receipt, run.indexed = True, index.get(receipt_index.key(entry))
        elif name.endswith(layout.PENDING):
            names[name.removesuffix(layout.PENDING)].is_pending = True


def _found_among_many(data: Storage, folder: str, names: _Names) -> Iterator[RunFolder]:
    """The runs in parts that hold rows of several runs; if one of the parts is damaged, all parts
    together."""
    together = Place(folder, "part", among_many=True)
    keys: set[RunKey] = set()
    paths = [together.path(name) for name in names.parts.values()]
    probed(data).probe(data, paths)
    try:
        for path in paths:
            keys.update(runs_in(Part(data, path), together.kind))
    except DatasetError:
        keys = set()
    if not keys:
        yield RunFolder(data, names.run(together))
    for key in sorted(keys):
        yield RunFolder(data, names.run(Place(folder, layout.sanitised(key.run_id), among_many=True), key))


class RunFolders:
    """Shows what is there of one run. Thread-safe.

    Within `kept` it lists each folder once: while the dataset is locked, all new parts are ours, and receipts
    name them. Otherwise it lists a folder each time.
    """

    def __init__(self, data: Storage) -> None:
        self._data = data
        self._guard = threading.Lock()
        self._is_kept = False
        self._folders: dict[str, dict[str, _Names]] = {}

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """List each folder only once: during the lock, or where it does not matter what others add."""
        self._is_kept = True
        try:
            yield
        finally:
            self._is_kept = False
            self._folders = {}

    def look(self, place: Place) -> None:
        """List a run in advance, for all later questions."""
        stem = "" if self._is_kept else place.stem
        self._data.look(place.folder, prefix=stem)
        self._data.look(f"{place.folder}/{layout.RECEIPTS}", prefix=stem)

    def of(self, place: Place) -> RunFolder:
        """What is there of a run now."""
        self.look(place)
        there = ListedRun(place, has_receipt=self._has(place.receipt), is_pending=self._has(place.pending))
        folder = RunFolder(self._data, there)
        names = self._names(place)
        parts = dict(names.parts)
        for part in folder.published.parts if folder.published else ():
            parts[publication.number_of(part.name)] = part.name  # written since the listing
        folder.sizes = self._sizes(place, parts)
        unfinished = self._sizes(place, names.unfinished)
        folder.listed = replace(there, part_names=tuple(folder.sizes), unfinished=tuple(unfinished))
        return folder

    def holds(self, place: Place) -> bool:
        """Whether anything of a run is there, also something unfinished. Opens nothing."""
        self.look(place)
        if self._has(place.receipt) or self._has(place.pending):
            return True
        names = self._names(place)
        return bool(names.parts or names.unfinished)

    def has_set_aside(self, place: Place) -> bool:
        """Whether damaged parts of the run have been set aside."""
        listed = self._data.list(f"{place.folder}/{layout.DAMAGED}", prefix=place.stem)
        names = (layout.parse_part(entry.name.removesuffix(layout.SET_ASIDE)) for entry in listed)
        return any(part.stem == place.stem for part in names if part)

    def _has(self, path: str) -> bool:
        return self._data.size(path) is not None

    def _sizes(self, place: Place, names: Mapping[int, str]) -> dict[str, int]:
        """The bytes of those files that are there, by number."""
        sizes = ((name, self._data.size(place.path(name))) for _, name in sorted(names.items()))
        return {name: size for name, size in sizes if size is not None}

    def _names(self, place: Place) -> _Names:
        with self._guard:
            if not self._is_kept:
                listed = _names_of(self._data.list(place.folder, prefix=place.stem))
            elif place.folder in self._folders:
                listed = self._folders[place.folder]
            else:
                listed = self._folders[place.folder] = _names_of(self._data.list(place.folder))
            return listed.get(place.stem, _Names())
