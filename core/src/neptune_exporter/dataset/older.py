"""What of an earlier export of a run stays when a new one is added to it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from neptune_exporter.contract import DatasetError
from neptune_exporter.dataset.layout import DAMAGED, Place, missing_parts
from neptune_exporter.dataset.parts import Part
from neptune_exporter.dataset.receipts import PartRecord, Receipt
from neptune_exporter.dataset.storage import Storage
from neptune_exporter.dataset.wanted import Wanted
from neptune_exporter.schema import step_as_float

_ROWS = 65_536
_STEP_COLUMNS = ("attribute_path", "step", "step_float64")


@dataclass
class Kept:
    """Old parts that stay as they are, and what must be told about others."""

    parts: list[PartRecord] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    """Names of those to be set aside: a person might still read them with other tools."""
    notes: list[str] = field(default_factory=list)


def keep(
    data: Storage,
    place: Place,
    names: Iterable[str],
    receipt: Receipt | None,
    delivered: frozenset[str],
    steps: dict[str, pa.Array],
    write: Callable[[pa.RecordBatch], None],
) -> Kept:
    """Sort out the old parts of a run.

    A part without a row of what came in stays. Of any other, the rows worth keeping
    are written anew: those of other attributes, and of attributes that came in only
    partly those at steps that did not come. A part that cannot be read is to be set aside.

    Args:
        data: Where the parts are.
        place: Of the run.
        names: Of the old parts.
        receipt: Of the earlier export, if it has one.
        delivered: Attribute paths of which rows came in.
        steps: For those of them that also failed, the steps that came in (`delivered_steps`).
        write: Takes the rows that are worth keeping.
    """
    known = {part.name: part for part in receipt.parts} if receipt else {}
    wanted = Wanted(without=delivered - steps.keys())
    kept = Kept()
    for name in names:
        part = Part(data, place.path(name))
        try:
            with _reading():
                record = _record(data, name, part, known.get(name))
                affected = part.holds_any(delivered)
            if not affected:
                kept.parts.append(record)
                continue
            for batch in _readable(part.batches(wanted, _ROWS)):
                write(_without_steps(batch, steps))
        except _UnreadableError as error:
            kept.damaged.append(name)
            kept.notes.append(f"{name} of an earlier export was damaged and is now {name}{DAMAGED} ({error})")
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
