"""Decides which rows of earlier exports of a run stay when a new export is added."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property

import pyarrow as pa

from neptune_exporter import compute as pc
from neptune_exporter.contract import AttributeFailure, AttributeRequest, AttributeSelection, DatasetError
from neptune_exporter.dataset.format.layout import set_aside
from neptune_exporter.dataset.format.receipts import PartRecord, Receipt
from neptune_exporter.dataset.format.storage import Storage
from neptune_exporter.dataset.read import scan
from neptune_exporter.dataset.read.parts import Part
from neptune_exporter.dataset.read.run_folder import RunFolder
from neptune_exporter.dataset.read.tally import Tally
from neptune_exporter.dataset.read.wanted import Wanted
from neptune_exporter.model import FILE_TYPES, AttributeType, RunKey
from neptune_exporter.schema import step_as_float

NOTHING_ASKED = AttributeRequest(AttributeSelection(classes=frozenset(), others=False))
_ROWS = 65_536
_POINT_COLUMNS = ("attribute_path", "step", "step_float64", "timestamp")
_TYPES = {kind.value: kind for kind in AttributeType}
_READ_AGAIN = "export everything of the run to have what it held"
_FOREIGN = "it is unknown whether the source still has all of it"
_IN_ANOTHER_PART = (
    "restore it from a copy; if all parts of the run are still there, export them at once with --force"
)


class Stays(Enum):
    """Which existing rows of a run stay when a new export is added. Rows of attributes that failed stay too,
    except with `NOTHING`."""

    NOT_ASKED_FOR = "not asked for"
    """Rows of attributes that the export did not request."""
    NOT_DELIVERED = "not delivered"
    """All rows except those of delivered attributes: the dataset may have more than the source."""
    NOTHING = "nothing"
    """No rows: they belong to another run, or to another partial export, and --force replaces them."""


@dataclass(frozen=True)
class Update:
    """What an export requested and what it delivered. This decides which rows of earlier exports stay."""

    asked: AttributeRequest
    delivered: frozenset[str] = frozenset()
    """The attribute paths of the delivered rows."""
    failed: frozenset[str] = frozenset()
    """Paths that failed in this export; an empty path stands for the whole run."""
    still_failed: tuple[AttributeFailure, ...] = ()
    """Failures of earlier exports that this export neither ended nor met again."""
    notes: tuple[str, ...] = ()
    """Notes of earlier exports. They do not say what they are about, so they stay until everything is read
    again."""
    joins: bool = False
    """Both exports are partial: if both have an attribute, its points stay that were not delivered now."""
    read_again: bool = False
    """Everything that the source has was read, so that losses on disk end."""

    @classmethod
    def of(
        cls,
        asked: AttributeRequest,
        delivered: frozenset[str],
        failures: Iterable[AttributeFailure],
        old: Receipt | None,
        retried: Collection[str],
        ended: Collection[str] = (),
        *,
        joins: bool = False,
        read_again: bool = False,
    ) -> Update:
        """Add the failures of the old receipt that no row, failure or path in `retried` ends.

        `ended`: messages of failures of the whole run that end.
        """
        failed = frozenset(f.attribute_path for f in failures)
        update = cls(asked, delivered, failed, joins=joins, read_again=read_again)
        if old is None or update.replaces_all:
            return update
        paths = {*retried, *delivered, *(update.failed - {""})}

        def has_ended(f: AttributeFailure) -> bool:
            return f.attribute_path in paths or (not f.attribute_path and f.message in ended)

        still_failed = tuple(f for f in old.failures if not (read_again if f.lost else has_ended(f)))
        # What another tool had exported may have been the only copy.
        lost = [f.message for f in old.failures if f.lost and read_again and old.foreign]
        return replace(update, still_failed=still_failed, notes=(*old.notes, *lost))

    @property
    def replaces_all(self) -> bool:
        """Whether everything was read again, so that only rows of failed attributes stay."""
        return self.asked.wanted.is_everything and not self.asked.covered and "" not in self.failed

    @property
    def partly(self) -> frozenset[str]:
        """Paths with delivered rows that also have rows which only the dataset has."""
        return self.delivered if self.joins else self.delivered & self.failed

    @cached_property
    def _unread(self) -> frozenset[str]:
        """Paths that could not be read, so that the old rows are the only copy."""
        return self.failed.union(f.attribute_path for f in self.still_failed) - {""}

    def keeps(self, path: str, kind: AttributeType | None) -> bool:
        """Whether the old rows of an attribute stay: it was not requested, or they are the only copy."""
        if path in self.delivered:
            return path in self.partly
        return path in self._unread or "" in self.failed or not self.asked.includes(path, kind)

    def staying(self, held: Mapping[str, Collection[AttributeType | None]]) -> frozenset[str]:
        """Those of the held attribute paths whose rows stay.

        With a file, a source may also deliver attributes below it (names of images, files of an artifact). It
        does so when it reads the file, so they stay or go together with the file.
        """
        stay = {path for path, kinds in held.items() if any(self.keeps(path, kind) for kind in kinds)}
        above = {path for path in stay if not FILE_TYPES.isdisjoint(held[path])} | self._unread
        if above:
            rest = held.keys() - stay - self.delivered
            stay |= {path for path in rest if not above.isdisjoint(_namespaces(path))}
        return frozenset(stay)


def reads_all_again(old: Receipt | None, asked: AttributeRequest) -> bool:
    """Whether a request is for everything that was in the dataset or selected, according to the receipt."""
    wanted = asked.wanted
    if old is None or asked.covered or not wanted.is_of_all_paths or any(f.lost for f in old.failures):
        return False
    classes = {kind.attribute_class for kind in old.types}.union(*(s.classes for s in old.selections))
    return classes <= wanted.classes and wanted.others >= any(s.others for s in old.selections)


def _namespaces(path: str) -> Iterator[str]:
    """The paths above this path."""
    return (path[:at] for at, character in enumerate(path) if character == "/")


@dataclass
class Kept:
    """The old parts that stay as they are, and the messages about the others."""

    parts: list[PartRecord] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    """The counts of their rows."""
    damaged: dict[str, str] = field(default_factory=dict)
    """Damaged parts to set aside, with a message for each. A person may still read them with other tools."""
    left_out: list[str] = field(default_factory=list)
    """Messages about missing parts."""
    staying: frozenset[str] = frozenset()
    """The attributes of which rows stay, in these parts or written again."""

    def noted(self, failures: Iterable[AttributeFailure]) -> tuple[AttributeFailure, ...]:
        """The failures, with whether rows of their attributes stay."""
        return tuple(replace(f, kept=f.attribute_path in self.staying) for f in failures)


def keep(
    folder: RunFolder,
    update: Update,
    came: Callable[[frozenset[str]], dict[str, pa.Array]],
    write: Callable[[pa.RecordBatch], None],
) -> Kept:
    """Decide about each old part of a run.

    A part whose rows all stay is kept as it is. Of any other part, the rows to keep are written again: those
    of attributes that stay, and, for attributes that were delivered only partly, the points that were not
    delivered. An unreadable part is set aside.

    `folder`: what earlier exports left. `came` returns the delivered points of attributes (`points_of`).
    `write` gets the rows to keep.
    """
    data, place, receipt = folder.data, folder.place, folder.receipt
    known = {part.name: part for part in receipt.parts} if receipt else {}
    kept = Kept(left_out=folder.left_out())

    def damaged(name: str, error: _UnreadableError) -> None:
        where = set_aside(place.path(name))
        kept.damaged[name] = f"{name} of an earlier export was damaged and is now {where} ({error})"

    counted: dict[str, tuple[Part, PartRecord, Tally]] = {}
    held: dict[str, set[AttributeType | None]] = {}
    for name in folder.listed.part_names:
        part = Part(data, place.path(name))
        try:
            with _reading():
                record, tally = _record(data, name, part, known.get(name)), scan.tally([part])
        except _UnreadableError as error:
            damaged(name, error)
            continue
        counted[name] = part, record, tally
        for kind, paths in tally.attributes.items():
            for path in paths:
                held.setdefault(path, set()).add(_TYPES.get(kind))
    kept.staying = staying = update.staying(held)
    for name, (part, record, tally) in counted.items():
        here = frozenset[str]().union(*tally.attributes.values())
        stay = here & staying
        points = came(here & update.partly)
        if stay == here and not points:
            kept.parts.append(record)
            kept.tally.merge(tally)
            continue
        try:
            for batch in _readable(part.batches(Wanted(attributes=stay), _ROWS)) if stay else ():
                write(_without(batch, points, update.joins))
        except _UnreadableError as error:
            damaged(name, error)
    return kept


def losses(key: RunKey, kept: Kept, update: Update, *, foreign: bool) -> list[AttributeFailure]:
    """What was lost of the old parts, as failures of the run.

    If everything was read again, only what another tool had exported (`foreign`) may be lost for good.
    """
    if update.read_again:
        messages, hint = list(kept.damaged.values()) if foreign else [], _FOREIGN
    else:  # what was lost may not be requested now
        messages = [*kept.left_out, *kept.damaged.values()]
        hint = _IN_ANOTHER_PART if update.joins else _READ_AGAIN
    return [
        AttributeFailure(key, "", None, f"{message}; {hint}", attempts=0, permanent=True, lost=True)
        for message in messages
    ]


class _UnreadableError(Exception):
    """An old part is damaged. (Errors of writing new parts have another type.)"""


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except DatasetError as error:
        raise _UnreadableError(str(error)) from error


def _readable(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    with _reading():
        yield from batches


def _record(data: Storage, name: str, part: Part, known: PartRecord | None) -> PartRecord:
    size = data.size(part.path) or 0
    if known is None:
        return PartRecord(name, part.rows, size, data.sha256(part.path))
    if known.bytes != size:
        raise DatasetError(f"it has {size} bytes instead of {known.bytes}")
    if data.sha256(part.path) != known.sha256:  # a changed footer could hide rows without an error
        raise DatasetError("its content changed since it was written")
    return known


def points_of(parts: Iterable[Part], paths: Collection[str], *, timed: bool) -> dict[str, pa.Array]:
    """The points of each of these attributes, by `_points`."""
    found: dict[str, list[pa.Array]] = {path: [] for path in paths}
    if found:
        for part in parts:
            for batch in part.batches(Wanted(_POINT_COLUMNS, attributes=frozenset(paths)), _ROWS):
                for path in pc.unique(batch.column(0)).to_pylist():
                    rows = batch.filter(pc.equal(batch.column(0), pa.scalar(path)))
                    found[path].append(_points(rows, timed).unique())
    return {path: pa.chunked_array(points).combine_chunks() for path, points in found.items() if points}


def _points(rows: pa.RecordBatch, timed: bool) -> pa.Array:
    """Keys of the points of an attribute: the step and, if `timed`, the time.

    If one process logs a point again, it has the same step. But two processes of one run may have counted the
    same steps for different points.
    """
    steps = step_as_float(rows)
    if not timed:
        return steps
    times = rows.column("timestamp").cast(pa.int64())
    as_bytes = (column.view(pa.binary(8)).cast(pa.binary()) for column in (steps, times))
    return pc.binary_join_element_wise(*as_bytes, b"", null_handling="replace", null_replacement=b"-")


def _without(batch: pa.RecordBatch, points: dict[str, pa.Array], timed: bool) -> pa.RecordBatch:
    """The rows, without the rows of an attribute at any of the given points."""
    for path in set(pc.unique(batch.column("attribute_path")).to_pylist()) & points.keys():
        came = pc.is_in(_points(batch, timed), points[path])
        batch = batch.filter(
            pc.invert(pc.and_(pc.equal(batch.column("attribute_path"), pa.scalar(path)), came))
        )
    return batch
