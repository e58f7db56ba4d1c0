"""Finds runs in the folders of a dataset, and reads their identity."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from neptune_exporter.contract import DatasetError
from neptune_exporter.dataset.format import receipt_index
from neptune_exporter.dataset.format.layout import (
    KIND_FOLDERS,
    PENDING,
    RECEIPT,
    RECEIPTS,
    Place,
    is_passed_over,
    parse_part,
    proven_id,
    sanitised,
)
from neptune_exporter.dataset.format.receipts import Receipt
from neptune_exporter.dataset.format.storage import Entry, Storage
from neptune_exporter.dataset.read import refused
from neptune_exporter.dataset.read.part_of_many import runs_in
from neptune_exporter.dataset.read.parts import Part
from neptune_exporter.dataset.read.probing import probed
from neptune_exporter.model import RunKey

NOT_READ = "is not read: it is a Parquet file whose name is not that of a part"
_PARQUET = ".parquet"


@dataclass(frozen=True)
class Found:
    """What a folder has under one name."""

    place: Place
    part_names: tuple[str, ...]
    """The names of the parts, by number."""
    has_receipt: bool
    pending: bool
    unfinished: tuple[str, ...] = ()
    """Parts that another tool did not finish, by number."""
    among_many: RunKey | None = None
    """The run that is meant, if the parts hold rows of several runs."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """The bytes of the parts by name, if their folder was listed."""
    indexed: bytes | None = None
    """The receipt, if an index was requested and is up to date for it."""

    @classmethod
    def among(cls, folder: str, key: RunKey, names: Sequence[str], unfinished: Sequence[str] = ()) -> Found:
        """A run in parts that hold rows of several runs."""
        place = Place(folder, sanitised(key.run_id), among_many=True)
        return cls(place, tuple(names), False, False, tuple(unfinished), key)

    def read_receipt(self, data: Storage) -> tuple[Receipt | None, list[str]]:
        """The receipt, or the problem with it."""
        if not self.has_receipt:
            return None, []
        where = data.describe(self.place.receipt)
        try:
            if self.indexed is not None:
                return Receipt.from_json(self.indexed, where), []
            return Receipt.from_bytes(data.read(self.place.receipt), where), []
        except DatasetError as error:
            return None, [str(error)]

    def key(self, data: Storage, receipt: Receipt | None) -> tuple[RunKey, str | None]:
        """The key of the run, from the receipt or else from the rows. If neither can be read: from the names
        on disk, and why."""
        if self.among_many is not None:
            return self.among_many, None
        if receipt is not None:
            return receipt.key, None
        if self.pending:
            with contextlib.suppress(DatasetError):
                return Receipt.from_bytes(data.read(self.place.pending), self.place.pending).key, None
        problem = "it has no rows that would tell its id"
        for name in (*self.part_names, *self.unfinished):
            path = self.place.path(name)
            try:
                facts = probed(data).facts(data, path)
                identity = Part(data, path).identity() if facts is None else facts.identity
            except DatasetError as error:
                problem = str(error)
                identity = refused.identity(data, path)
            if identity is not None:
                return RunKey(*identity, self.place.kind), None
        named = RunKey(proven_id(self.place.project_folder), proven_id(self.place.stem), self.place.kind)
        return named, problem


@dataclass
class _Collected:
    parts: dict[int, str] = field(default_factory=dict)
    unfinished: dict[int, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    has_receipt: bool = False
    pending: bool = False
    indexed: memoryview | None = None


class Folder(NamedTuple):
    """A folder that may hold runs: of a project, or of its models or model versions."""

    path: str
    entries: list[Entry]
    """Its listing."""


def listed_folders(data: Storage, *, not_read: list[str] | None = None) -> Iterator[Folder]:
    """All folders that may hold runs, sorted, each listed once.

    `not_read` gets the Parquet files in these folders, and above them, that are skipped because they are not
    parts.
    """
    stray = [] if not_read is None else not_read
    for entry in data.list():
        if entry.is_file and entry.name.endswith(_PARQUET) and not is_passed_over(entry.name):
            stray.append(entry.path)
        if entry.is_file or is_passed_over(entry.name):
            continue
        project = Folder(entry.path, data.list(entry.path))
        inside = {each.name for each in project.entries if not each.is_file}
        models = [f"{entry.path}/{sub}" for sub in KIND_FOLDERS.values() if sub and sub in inside]
        for folder in (project, *(Folder(path, data.list(path)) for path in models)):
            stray += [each.path for each in folder.entries if _is_stray(each)]
            yield folder


def _is_stray(entry: Entry) -> bool:
    name = entry.name
    return entry.is_file and name.endswith(_PARQUET) and not (parse_part(name) or is_passed_over(name))


def project_folders(data: Storage) -> list[str]:
    """The paths of `listed_folders`."""
    return [folder.path for folder in listed_folders(data)]


def found_runs(data: Storage, listed_folder: Folder, *, indexed: bool = False) -> Iterator[Found]:
    """What one folder holds, sorted by name; if requested, with receipts from the index."""
    folder = listed_folder.path
    collected: dict[str, _Collected] = defaultdict(_Collected)
    _collect_parts(collected, listed_folder.entries)
    _collect_receipts(collected, data, folder, indexed=indexed)
    for stem in sorted(collected):
        what = collected.pop(stem)  # drops what the index said about it
        names, unfinished = _by_number(what.parts), _by_number(what.unfinished)
        receipt = None if what.indexed is None else bytes(what.indexed)
        if stem:
            yield Found(
                Place(folder, stem),
                names,
                what.has_receipt,
                what.pending,
                unfinished,
                sizes=what.sizes,
                indexed=receipt,
            )
        else:
            yield from _found_among_many(data, folder, names, unfinished)


def _collect_parts(collected: dict[str, _Collected], entries: Iterable[Entry]) -> None:
    for entry in entries:
        part = parse_part(entry.name)
        if part and entry.is_file:
            what = collected[part.stem]
            (what.unfinished if part.unfinished else what.parts)[part.number] = entry.name
            what.sizes[entry.name] = entry.size


def _collect_receipts(collected: dict[str, _Collected], data: Storage, folder: str, *, indexed: bool) -> None:
    listed = data.list(f"{folder}/{RECEIPTS}")
    index = receipt_index.read(data, listed) if indexed else {}
    for entry in listed:
        name = entry.name
        if name.endswith(RECEIPT):
            what = collected[name.removesuffix(RECEIPT)]
            what.has_receipt, what.indexed = True, index.get(receipt_index.key(entry))
        elif name.endswith(PENDING):
            collected[name.removesuffix(PENDING)].pending = True


def _by_number(names: Mapping[int, str]) -> tuple[str, ...]:
    return tuple(names.values()) if len(names) < 2 else tuple(name for _, name in sorted(names.items()))


def _found_among_many(
    data: Storage, folder: str, names: Sequence[str], unfinished: tuple[str, ...]
) -> Iterator[Found]:
    """The runs in parts that hold rows of several runs; if one of the parts is damaged, all parts
    together."""
    place = Place(folder, "part", among_many=True)
    keys: set[RunKey] = set()
    probed(data).probe(data, map(place.path, names))
    try:
        for name in names:
            keys.update(runs_in(Part(data, place.path(name)), place.kind))
    except DatasetError:
        keys = set()
    if not keys:
        yield Found(place, tuple(names), False, False, unfinished)
    for key in sorted(keys):
        yield Found.among(folder, key, names, unfinished)
