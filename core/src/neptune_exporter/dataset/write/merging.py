"""What of an earlier export of a run stays when a new one is added to it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from neptune_exporter.contract import AttributeFailure, AttributeRequest, AttributeSelection, DatasetError
from neptune_exporter.dataset.format.layout import set_aside
from neptune_exporter.dataset.format.receipts import PartRecord, Receipt
from neptune_exporter.dataset.format.storage import Storage
from neptune_exporter.dataset.read import scan
from neptune_exporter.dataset.read.earlier import Earlier
from neptune_exporter.dataset.read.parts import Part
from neptune_exporter.dataset.read.tally import Tally
from neptune_exporter.dataset.read.wanted import Wanted
from neptune_exporter.model import FILE_TYPES, AttributeType
from neptune_exporter.schema import step_as_float

NOTHING_ASKED = AttributeRequest(AttributeSelection(classes=frozenset(), others=False))
_ROWS = 65_536
_POINT_COLUMNS = ("attribute_path", "step", "step_float64", "timestamp")
_TYPES = {kind.value: kind for kind in AttributeType}


class Stays(Enum):
    """Which of the rows that are there stay when an export of their run comes in. Rows of what failed always
    do, unless nothing does."""

    NOT_ASKED_FOR = "not asked for"
    """Those of attributes that the export did not ask for."""
    NOT_DELIVERED = "not delivered"
    """All but those of attributes that come in: what is there may be more than the source has."""
    NOTHING = "nothing"
    """None: they are of another run, or of another part of it, and are replaced by force."""


@dataclass(frozen=True)
class Update:
    """What was asked for and what came of it: that decides which rows of earlier exports stay."""

    asked: AttributeRequest
    delivered: frozenset[str] = frozenset()
    """Attribute paths of which rows came in."""
    failed: frozenset[str] = frozenset()
    """Paths of what failed now; an empty one is the whole run."""
    still_failed: tuple[AttributeFailure, ...] = ()
    """Failures of earlier exports that this one neither ended nor met again."""
    notes: tuple[str, ...] = ()
    """Of earlier exports. They do not tell what they are of, so they stay until all is read anew."""
    joins: bool = False
    """Both are parts of the run: of an attribute that both have, those points stay that did not come in."""

    @classmethod
    def of(
        cls,
        asked: AttributeRequest,
        delivered: frozenset[str],
        failures: Iterable[AttributeFailure],
        old: Receipt | None,
        retried: Collection[str],
        *,
        joins: bool = False,
        read_again: bool = False,
    ) -> Update:
        """With those failures of the old receipt that no row, failure or path in `retried` puts an end to.

        `read_again`: all that the source has was read since something of it was lost on disk.
        """
        update = cls(asked, delivered, frozenset(f.attribute_path for f in failures), joins=joins)
        if old is None or update.replaces_all:
            return update
        ended = {*retried, *delivered, *(update.failed - {""})}
        still_failed = tuple(
            f for f in old.failures if not (read_again if f.lost else f.attribute_path in ended)
        )
        # What another tool had exported may have been all there was.
        lost = [f.message for f in old.failures if f.lost and read_again and old.foreign]
        return replace(update, still_failed=still_failed, notes=(*old.notes, *lost))

    @property
    def replaces_all(self) -> bool:
        """Whether everything was read anew, so that nothing stays but rows of what failed."""
        return self.asked.wanted.is_everything and not self.asked.covered and "" not in self.failed

    @property
    def partly(self) -> frozenset[str]:
        """Paths of which rows came in, and others are to be had from what is there only."""
        return self.delivered if self.joins else self.delivered & self.failed

    @cached_property
    def _unread(self) -> frozenset[str]:
        """Paths of which nobody knows what they hold now, so that old rows are all there is."""
        return self.failed.union(f.attribute_path for f in self.still_failed) - {""}

    def keeps(self, path: str, kind: AttributeType | None) -> bool:
        """Whether rows of an attribute stay: it was not asked for, or they are all there is of it."""
        if path in self.delivered:
            return path in self.partly
        return path in self._unread or "" in self.failed or not self.asked.includes(path, kind)

    def staying(self, held: Mapping[str, Collection[AttributeType | None]]) -> frozenset[str]:
        """The attribute paths, of those that are held, of which rows stay.

        A source may deliver more with a file than the file itself, as attributes below it (names of
        images, files of an artifact). It does so when it reads the file: with this they stay or go.
        """
        stay = {path for path, kinds in held.items() if any(self.keeps(path, kind) for kind in kinds)}
        above = {path for path in stay if not FILE_TYPES.isdisjoint(held[path])} | self._unread
        if above:
            rest = held.keys() - stay - self.delivered
            stay |= {path for path in rest if not above.isdisjoint(_namespaces(path))}
        return frozenset(stay)


def _namespaces(path: str) -> Iterator[str]:
    """The paths that it lies below."""
    return (path[:at] for at, character in enumerate(path) if character == "/")


@dataclass
class Kept:
    """Old parts that stay as they are, and what must be told about others."""

    parts: list[PartRecord] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    """Of their rows."""
    damaged: dict[str, str] = field(default_factory=dict)
    """Those to be set aside, with what is to be told of each: a person might still read them with other
    tools."""
    left_out: list[str] = field(default_factory=list)
    """What is to be told of those that should be there and are not."""
    any_rows: bool = False
    """Whether rows stay, in these parts or written anew."""


def keep(
    earlier: Earlier,
    update: Update,
    came: Callable[[frozenset[str]], dict[str, pa.Array]],
    write: Callable[[pa.RecordBatch], None],
) -> Kept:
    """Sort out the old parts of a run.

    A part of which all rows stay is left alone. Of any other, the rows worth keeping
    are written anew: those of attributes that stay, and of attributes that came in only
    partly those at points that did not come. A part that cannot be read is to be set aside.

    Args:
        earlier: What is there.
        update: Decides what stays.
        came: Gives the points of attributes that came in (`points_of`).
        write: Takes the rows that are worth keeping.
    """
    data, place, receipt = earlier.data, earlier.place, earlier.receipt
    known = {part.name: part for part in receipt.parts} if receipt else {}
    kept = Kept(left_out=earlier.left_out())

    def damaged(name: str, error: _UnreadableError) -> None:
        where = set_aside(place.path(name))
        kept.damaged[name] = f"{name} of an earlier export was damaged and is now {where} ({error})"

    counted: dict[str, tuple[Part, PartRecord, Tally]] = {}
    held: dict[str, set[AttributeType | None]] = {}
    for name in earlier.parts:
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
    staying = update.staying(held)
    kept.any_rows = bool(staying)
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


class _UnreadableError(Exception):
    """An old part is damaged; in contrast to errors of writing the new ones."""


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
    if data.sha256(part.path) != known.sha256:  # a changed footer would hide rows without any error
        raise DatasetError("its content changed since it was written")
    return known


def points_of(parts: Iterable[Part], paths: Collection[str], *, timed: bool) -> dict[str, pa.Array]:
    """The points of each of these attributes (`_points`)."""
    found: dict[str, list[pa.Array]] = {path: [] for path in paths}
    if found:
        for part in parts:
            for batch in part.batches(Wanted(_POINT_COLUMNS, attributes=frozenset(paths)), _ROWS):
                for path in pc.unique(batch.column(0)).to_pylist():
                    rows = batch.filter(pc.equal(batch.column(0), pa.scalar(path)))
                    found[path].append(_points(rows, timed).unique())
    return {path: pa.chunked_array(points).combine_chunks() for path, points in found.items() if points}


def _points(rows: pa.RecordBatch, timed: bool) -> pa.Array:
    """What tells the points of an attribute apart: the step and, if `timed`, the time.

    What one process logged a point again for has its step. Two processes of one run may have counted the
    same steps, each for points of its own.
    """
    steps = step_as_float(rows)
    if not timed:
        return steps
    times = rows.column("timestamp").cast(pa.int64())
    as_bytes = (column.view(pa.binary(8)).cast(pa.binary()) for column in (steps, times))
    return pc.binary_join_element_wise(*as_bytes, b"", null_handling="replace", null_replacement=b"-")


def _without(batch: pa.RecordBatch, points: dict[str, pa.Array], timed: bool) -> pa.RecordBatch:
    """The rows except those of an attribute at one of its points."""
    for path in set(pc.unique(batch.column("attribute_path")).to_pylist()) & points.keys():
        came = pc.is_in(_points(batch, timed), points[path])
        batch = batch.filter(
            pc.invert(pc.and_(pc.equal(batch.column("attribute_path"), pa.scalar(path)), came))
        )
    return batch
