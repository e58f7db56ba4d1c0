"""What one part holds, as far as summaries and checks need it: plain values that another process can send."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from neptune_exporter.dataset.format.columns import has_value
from neptune_exporter.dataset.format.layout import Place
from neptune_exporter.dataset.format.times import python_times
from neptune_exporter.dataset.read import scan
from neptune_exporter.dataset.read.counting import KEYS, encoded, joined
from neptune_exporter.dataset.read.parts import Part
from neptune_exporter.dataset.read.tally import Tally
from neptune_exporter.dataset.read.wanted import VALUE_COLUMNS, Wanted
from neptune_exporter.model import TYPE_NAMES, RunKey, SysAttribute
from neptune_exporter.schema import FULL_SCHEMA

_ROWS = 65_536
_NAME_AND_TAGS = {SysAttribute.NAME: "string_value", SysAttribute.TAGS: "string_set_value"}
"""The column that holds each."""
_TEXTS = tuple(_NAME_AND_TAGS.values())
_WANTED = Wanted(attributes=frozenset(_NAME_AND_TAGS))


@dataclass
class RowFacts:
    """What is known only after every row of a part was decoded."""

    odd_times: int = 0
    """Times outside of the years 1 to 9999."""
    nulls: int = 0
    """Rows of series with a step or time and no value."""
    ids: dict[str, list[str | None]] = field(default_factory=dict)
    """The distinct values of `project_id` and `run_id`."""
    unknown_types: list[str | None] = field(default_factory=list)
    """Attribute types that this version does not know."""


@dataclass
class PartFacts:
    """What one part holds."""

    rows: int
    ours: bool
    """Whether this package wrote it."""
    identity: tuple[str, str] | None
    """Project id and run id; None without rows."""
    tally: Tally
    name: str | None = None
    """`sys/name`."""
    tags: tuple[str, ...] = ()
    """`sys/tags`."""
    decoded: RowFacts | None = None
    """None if not every row was decoded."""

    def to_json(self) -> dict[str, Any]:
        decoded = None if self.decoded is None else vars(self.decoded)
        return {**vars(self), "tally": self.tally.to_json(), "decoded": decoded}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> PartFacts:
        identity, decoded = value["identity"], value["decoded"]
        return cls(
            rows=value["rows"],
            ours=value["ours"],
            identity=None if identity is None else (identity[0], identity[1]),
            tally=Tally.from_json(value["tally"]),
            name=value["name"],
            tags=tuple(value["tags"]),
            decoded=None if decoded is None else RowFacts(**decoded),
        )


def name_and_tags(parts: Sequence[PartFacts]) -> tuple[str | None, tuple[str, ...]]:
    """`sys/name` and `sys/tags` of a run."""
    name = next((part.name for part in parts if part.name is not None), None)
    return name, tuple(sorted({tag for part in parts for tag in part.tags}))


def facts_of(parts: Sequence[Part], *, decode: bool) -> list[PartFacts]:
    """Read parts: few columns of them, or with `decode` every row. Raises DatasetError if one is missing or
    damaged.

    Each step is done for all parts before the next step. That takes at least a quarter less time, because the
    code of a short step stays in the processor's cache.
    """
    for part in parts:
        part.keep(sorted(part.columns) if decode else [*KEYS, *filter(part.may_have, _TEXTS)])
    decoded = [decode_rows(part) if decode else None for part in parts]
    tallies = scan.tallies(parts)
    named = _names_and_tags(parts, tallies)
    identities = [identity_of(part) for part in parts]
    return [
        PartFacts(part.rows, part.ours, identity, tally, name, tags, rows)
        for part, identity, tally, (name, tags), rows in zip(
            parts, identities, tallies, named, decoded, strict=True
        )
    ]


def identity_of(part: Part) -> tuple[str, str] | None:
    """Project id and run id: from the footer where the digests in the names of folder and part prove them."""
    if part.rows:
        project, run = part.extent(0, "project_id"), part.extent(0, "run_id")
        if project and run and project[0] == project[1] and run[0] == run[1]:
            key = RunKey(project[0], run[0], Place(part.path.rpartition("/")[0], "").kind)
            if _is_of(part, Place.of(key)) or any(_is_of(part, place) for place in Place.candidates(key)):
                return key.project_id, key.run_id
    return part.identity()


def _is_of(part: Part, place: Place) -> bool:
    return part.path.startswith(f"{place.folder}/{place.stem}_part_")


def _names_and_tags(
    parts: Sequence[Part], tallies: Sequence[Tally]
) -> list[tuple[str | None, tuple[str, ...]]]:
    """`sys/name` and `sys/tags` of each part, whose rows were counted."""
    names: list[str | None] = [None] * len(parts)
    tags: list[set[str]] = [set() for _ in parts]
    for several in _with_enough_rows(_rows_with_names(parts, tallies)):
        for number, batch, attribute, row in _found(several):
            if attribute == SysAttribute.NAME:
                names[number] = _cell(batch, "string_value", row) or names[number]
            else:
                tags[number].update(t for t in _cell(batch, "string_set_value", row) or () if t is not None)
    return [(name, tuple(sorted(of_part))) for name, of_part in zip(names, tags, strict=True)]


def _rows_with_names(parts: Sequence[Part], tallies: Sequence[Tally]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The number of a part, and rows among which a name or tags may be."""
    for number, (part, tally) in enumerate(zip(parts, tallies, strict=True)):
        named = {name for paths in tally.attributes.values() for name in _NAME_AND_TAGS if name in paths}
        columns = ["attribute_path", *(column for name, column in _NAME_AND_TAGS.items() if name in named)]
        groups = range(part.metadata.num_row_groups if named else 0)
        for group in groups if len(groups) == 1 else [g for g in groups if part.may_hold(g, _WANTED)]:
            for batch in part.read_group(group, columns, _ROWS):
                yield number, batch


def _with_enough_rows(
    batches: Iterable[tuple[int, pa.RecordBatch]],
) -> Iterator[list[tuple[int, pa.RecordBatch]]]:
    """The batches, as many at a time as have `_ROWS` rows or a little more."""
    several, rows = [], 0
    for number, batch in batches:
        several.append((number, batch))
        rows += len(batch)
        if rows >= _ROWS:
            yield several
            several, rows = [], 0
    if several:
        yield several


def _found(
    batches: Sequence[tuple[int, pa.RecordBatch]],
) -> Iterator[tuple[int, pa.RecordBatch, str, int]]:
    """The rows of a name or of tags: the number of the part, the batch, which of the two, and where."""
    texts, codes = joined([encoded(batch.column("attribute_path")) for _, batch in batches])
    starts = [0, *itertools.accumulate(len(batch) for _, batch in batches)]
    for attribute in _NAME_AND_TAGS:
        rows = (codes == texts.index(attribute)).nonzero()[0].tolist() if attribute in texts else ()
        for row in rows:
            at = bisect.bisect_right(starts, row) - 1
            yield *batches[at], attribute, row - starts[at]


def _cell(batch: pa.RecordBatch, column: str, row: int) -> Any:
    return batch.column(column)[row].as_py() if column in batch.schema.names else None


def decode_rows(part: Part) -> RowFacts:
    """Decode every page, which checks its checksum where it has one, and look at every row. Raises
    DatasetError if the part is missing or damaged."""
    found = RowFacts()
    ids: dict[str, set[str | None]] = {"project_id": set(), "run_id": set()}
    unknown: set[str | None] = set()
    for group in range(part.metadata.num_row_groups):
        doubtful = part.columns_with_doubt(group, VALUE_COLUMNS)
        for stored in part.read_group(group, sorted(part.columns), _ROWS):
            scan.validate(part, stored)
            batch = part.with_nan(part.converted(stored, FULL_SCHEMA.names), doubtful)
            if batch.column("attribute_path").null_count or batch.column("attribute_type").null_count:
                part.identified(batch.filter(has_value(batch, VALUE_COLUMNS)))
            if doubtful:
                found.nulls += scan.null_points(batch, has_value(batch, VALUE_COLUMNS))
            found.odd_times += sum(
                python_times(batch.column(name)).null_count - batch.column(name).null_count
                for name in ("timestamp", "datetime_value")
            )
            for name, values in ids.items():
                values.update(_distinct(batch.column(name)))
            unknown.update(v for v in _distinct(batch.column("attribute_type")) if v not in TYPE_NAMES)
    found.ids = {name: sorted(values, key=str) for name, values in ids.items()}
    found.unknown_types = sorted(unknown, key=str)
    return found


def _distinct(column: pa.Array) -> list[str | None]:
    if not pa.types.is_dictionary(column.type):
        return column.unique().to_pylist()  # type: ignore[no-any-return]
    if len(column.dictionary) == 1 and len(column) and not column.null_count:
        return column.dictionary.to_pylist()  # type: ignore[no-any-return]
    used = column.indices.unique().to_pylist()
    return [None if code is None else column.dictionary[code].as_py() for code in used]
