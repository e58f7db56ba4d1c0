"""What of an earlier export of a run stays when a new one is added to it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from neptune_exporter.contract import AttributeFailure, AttributeRequest, DatasetError
from neptune_exporter.dataset import scan
from neptune_exporter.dataset.layout import DAMAGED, Place, missing_parts
from neptune_exporter.dataset.parts import Part
from neptune_exporter.dataset.receipts import PartRecord, Receipt
from neptune_exporter.dataset.storage import Storage
from neptune_exporter.dataset.tally import Tally
from neptune_exporter.dataset.wanted import Wanted
from neptune_exporter.model import FILE_TYPES, AttributeType
from neptune_exporter.schema import step_as_float

_ROWS = 65_536
_STEP_COLUMNS = ("attribute_path", "step", "step_float64")
_TYPES = {kind.value: kind for kind in AttributeType}


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

    @classmethod
    def of(
        cls,
        asked: AttributeRequest,
        delivered: frozenset[str],
        failures: Iterable[AttributeFailure],
        old: Receipt | None,
        retried: Collection[str],
    ) -> Update:
        """With those failures of the old receipt that no row, failure or path in `retried` puts an end to."""
        update = cls(asked, delivered, frozenset(f.attribute_path for f in failures))
        if old is None or update.replaces_all:
            return update
        ended = {*retried, *delivered, *(update.failed - {""})}
        still_failed = tuple(f for f in old.failures if f.attribute_path not in ended)
        return replace(update, still_failed=still_failed, notes=old.notes)

    @property
    def replaces_all(self) -> bool:
        """Whether everything was read anew, so that nothing stays but rows of what failed."""
        return self.asked.wanted.is_everything and not self.asked.covered and "" not in self.failed

    @property
    def partly(self) -> frozenset[str]:
        """Paths of which some rows came in and others failed."""
        return self.delivered & self.failed

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
    damaged: list[str] = field(default_factory=list)
    """Names of those to be set aside: a person might still read them with other tools."""
    notes: list[str] = field(default_factory=list)


def keep(
    data: Storage,
    place: Place,
    names: Iterable[str],
    receipt: Receipt | None,
    update: Update,
    steps: dict[str, pa.Array],
    write: Callable[[pa.RecordBatch], None],
) -> Kept:
    """Sort out the old parts of a run.

    A part of which all rows stay is left alone. Of any other, the rows worth keeping
    are written anew: those of attributes that stay, and of attributes that came in only
    partly those at steps that did not come. A part that cannot be read is to be set aside.

    Args:
        data: Where the parts are.
        place: Of the run.
        names: Of the old parts.
        receipt: Of the earlier export, if it has one.
        update: Decides what stays.
        steps: For attributes that came in and failed, the steps that came in (`delivered_steps`).
        write: Takes the rows that are worth keeping.
    """
    known = {part.name: part for part in receipt.parts} if receipt else {}
    kept = Kept()

    def damaged(name: str, error: _UnreadableError) -> None:
        kept.damaged.append(name)
        kept.notes.append(f"{name} of an earlier export was damaged and is now {name}{DAMAGED} ({error})")

    counted: dict[str, tuple[Part, PartRecord, Tally]] = {}
    held: dict[str, set[AttributeType | None]] = {}
    for name in names:
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
    for name, (part, record, tally) in counted.items():
        here = frozenset[str]().union(*tally.attributes.values())
        stay = here & staying
        if stay == here and stay.isdisjoint(steps):
            kept.parts.append(record)
            kept.tally.merge(tally)
            continue
        try:
            for batch in _readable(part.batches(Wanted(attributes=stay), _ROWS)) if stay else ():
                write(_without_steps(batch, steps))
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


def delivered_steps(parts: Iterable[Part], paths: Collection[str]) -> dict[str, pa.Array]:
    """The steps of each of these attributes, as float64."""
    found: dict[str, list[pa.Array]] = {path: [] for path in paths}
    if found:
        for part in parts:
            for batch in part.batches(Wanted(_STEP_COLUMNS, attributes=frozenset(paths)), _ROWS):
                for path in pc.unique(batch.column(0)).to_pylist():
                    rows = batch.filter(pc.equal(batch.column(0), pa.scalar(path)))
                    found[path].append(step_as_float(rows).unique())
    return {path: pa.concat_arrays([pa.nulls(0, pa.float64()), *steps]) for path, steps in found.items()}


def _without_steps(batch: pa.RecordBatch, steps: dict[str, pa.Array]) -> pa.RecordBatch:
    """The rows except those of an attribute at one of its steps."""
    column = batch.column("attribute_path")
    for path in set(pc.unique(column).to_pylist()) & steps.keys() if steps else ():
        column = batch.column("attribute_path")
        came = pc.is_in(step_as_float(batch), steps[path])
        batch = batch.filter(pc.invert(pc.and_(pc.equal(column, pa.scalar(path)), came)))
    return batch


def what_others_left_out(place: Place, parts: Sequence[str], unfinished: Sequence[str]) -> list[str]:
    """Notes on what another tool's export of a run lacks.

    Args:
        parts: Names of the parts that are there.
        unfinished: Names of those that it did not finish.
    """
    missing = [f"{name} of another tool's export was missing" for name in missing_parts(place, parts)]
    left = "was not finished: it stays as it is, and is no part of the run"
    return [*missing, *(f"{name} of another tool's export {left}" for name in unfinished)]
