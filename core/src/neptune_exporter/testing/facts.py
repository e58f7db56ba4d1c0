"""Facts: the rows of a run in a form that compares exactly and reads well in a failed test.

Sample runs, record batches and typed rows all become multisets of `Fact`s. Two
facts are equal if and only if the rows are, to the last bit of a float: NaN equals
NaN, 0.0 is not -0.0, 1 is not 1.0, and a step is its `canonical_step`.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

import pyarrow as pa

from neptune_exporter.contract.rows import FileEntry, Histogram, Parameter, Row, Step
from neptune_exporter.contract.run import ExportedRun
from neptune_exporter.model import FILE_TYPES, AttributeType
from neptune_exporter.schema import FULL_SCHEMA, VALUE_COLUMN
from neptune_exporter.testing.runs import SampleFile, SampleHistogram, SampleRun, Value, canonical_step

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LONG = 120
_SHOWN = 12


class Fact(NamedTuple):
    """One row, every part in a readable and exact form."""

    path: str
    type: str
    step: str
    timestamp: str
    value: str


Facts = Counter[Fact]
FileContent = Callable[[AttributeType, bytes], bytes]


class MalformedRowError(AssertionError):
    """A row breaks the schema: a value in a wrong column, none at all, an unknown type."""


def comparable_content(attribute_type: AttributeType, content: bytes) -> bytes:
    """The bytes of a file by which it is compared: of a file set, what is in the zip."""
    if attribute_type is not AttributeType.FILE_SET or not zipfile.is_zipfile(io.BytesIO(content)):
        return content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = sorted(i.filename for i in archive.infolist() if not i.is_dir())
        return b"".join(b"%r: %r\n" % (name, archive.read(name)) for name in members)


def facts_of_run(run: SampleRun, content: FileContent = comparable_content) -> Facts:
    """What a sample run holds."""
    return Counter(
        Fact(
            a.path,
            a.type.value,
            _step(e.step),
            _time(e.timestamp),
            render(
                SampleFile(content(a.type, e.value.content)) if isinstance(e.value, SampleFile) else e.value
            ),
        )
        for a in run.attributes
        for e in a.entries
    )


def facts_of_batch(batch: pa.RecordBatch, file_content: Callable[[dict[str, Any]], bytes]) -> Facts:
    """What a record batch says, checked against the schema on the way.

    Args:
        batch: Any of the columns of `FULL_SCHEMA`.
        file_content: Gives the comparable bytes of the file that a row (column by column) names.

    Raises:
        MalformedRowError: says which row breaks which rule.
    """
    check_schema(batch.schema)
    return Counter(_fact_of_cells(row, file_content) for row in _cells(batch))


def facts_of_rows(rows: Iterable[Row], file_content: Callable[[FileEntry], bytes]) -> Facts:
    """What typed rows say. `file_content` gives the comparable bytes of a file."""
    return Counter(_fact_of_row(row, file_content) for row in rows)


def facts_of_exported(run: ExportedRun, content: FileContent = comparable_content) -> Facts:
    """What an exported run holds, by its batches and the files that they name."""

    def read(row: dict[str, Any]) -> bytes:
        with run.open_file(row["file_value"]["path"]) as stream:
            return content(AttributeType(row["attribute_type"]), stream.read())

    return sum((facts_of_batch(batch, read) for batch in run.batches()), Counter())


def difference(expected: Facts, found: Facts) -> str:
    """What is missing and what is too much, line by line; empty if both are equal."""
    lines = []
    for sign, facts in (("missing", expected - found), ("too much", found - expected)):
        listed = sorted(facts.elements())
        lines += [f"{sign}: {_line(fact)}" for fact in listed[:_SHOWN]]
        if len(listed) > _SHOWN:
            lines.append(f"{sign}: … and {len(listed) - _SHOWN} more rows")
    return "\n".join(lines)


def check_schema(schema: pa.Schema) -> None:
    """Every column is one of `FULL_SCHEMA` with its type; texts may be dictionary-encoded.

    Raises:
        MalformedRowError: names the column.
    """
    if len(set(schema.names)) != len(schema.names):
        raise MalformedRowError(f"a column is there twice: {schema.names}")
    for field in schema:
        if field.name not in FULL_SCHEMA.names:
            raise MalformedRowError(f"column {field.name!r} is not in the schema: {FULL_SCHEMA.names}")
        wanted = FULL_SCHEMA.field(field.name).type
        is_dictionary = pa.types.is_dictionary(field.type)
        plain = field.type.value_type if is_dictionary else field.type
        if plain != wanted or (is_dictionary and wanted != pa.string()):
            raise MalformedRowError(f"column {field.name!r} is {field.type}, not {wanted}")


def render(value: Value) -> str:
    """A value as an exact text: equal texts mean equal values of equal type."""
    if isinstance(value, SampleHistogram):
        return f"{value.kind} edges {_floats(value.edges)} values {_floats(value.values)}"
    if isinstance(value, SampleFile):
        return f"{len(value.content)} bytes, sha256 {hashlib.sha256(value.content).hexdigest()[:16]}"
    if isinstance(value, datetime):
        return _time(value)
    if isinstance(value, tuple):
        return "{" + ", ".join(_text(v) for v in sorted(value)) + "}"
    return _text(value) if isinstance(value, str) else repr(value)


def _fact_of_row(row: Row, file_content: Callable[[FileEntry], bytes]) -> Fact:
    if isinstance(row, Parameter):
        value: Value = tuple(row.value) if isinstance(row.value, list) else row.value
        return Fact(row.path, row.type.value, "", "", render(value))
    if isinstance(row, FileEntry):
        value, kind = SampleFile(file_content(row)), row.type
    elif isinstance(row, Histogram):
        value, kind = SampleHistogram(row.edges, row.values, row.kind), AttributeType.HISTOGRAM_SERIES
    else:
        kind = AttributeType.STRING_SERIES if isinstance(row.value, str) else AttributeType.FLOAT_SERIES
        value = row.value
    return Fact(row.path, kind.value, _step(row.step), _time(row.timestamp), render(value))


def _cells(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """Rows as dicts; times as milliseconds, since Python's datetimes cannot hold all of them."""
    times = pa.timestamp("ms", tz="UTC")
    columns = [c.cast(pa.int64()) if c.type == times else c for c in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names).to_pylist()  # type: ignore[no-any-return]


def _fact_of_cells(row: dict[str, Any], file_content: Callable[[dict[str, Any]], bytes]) -> Fact:
    path, type_name = row.get("attribute_path"), row.get("attribute_type")
    if path is None or type_name not in {t.value for t in AttributeType}:
        raise MalformedRowError(f"a row of {path!r} has the attribute type {type_name!r}")
    kind = AttributeType(type_name)
    column = VALUE_COLUMN[kind]
    filled = sorted(c for c in set(VALUE_COLUMN.values()) if row.get(c) is not None)
    if filled != [column]:
        raise MalformedRowError(f"a row of {path!r} ({kind}) has values in {filled}, not just in {column}")
    value = render(SampleFile(file_content(row))) if kind in FILE_TYPES else _cell(kind, row[column])
    time = row.get("timestamp")
    return Fact(path, kind.value, _step(step_of(row)), "" if time is None else _milliseconds(time), value)


def _cell(kind: AttributeType, cell: Any) -> str:
    if kind is AttributeType.HISTOGRAM_SERIES:
        return render(SampleHistogram(tuple(cell["edges"]), tuple(cell["values"]), cell["type"]))
    if kind is AttributeType.STRING_SET:
        return render(tuple(cell))
    return _milliseconds(cell) if kind is AttributeType.DATETIME else render(cell)


def step_of(row: dict[str, Any]) -> Step | None:
    """The step of a row given as a dict of columns."""
    exact: Step | None = row.get("step_float64")
    return row.get("step") if exact is None else exact


def _step(step: Step | None) -> str:
    return "" if step is None else f"{canonical_step(step)}"


def _time(time: datetime | None) -> str:
    return "" if time is None else _milliseconds((time - _EPOCH) // timedelta(milliseconds=1))


def _milliseconds(milliseconds: int) -> str:
    try:
        return (_EPOCH + timedelta(milliseconds=milliseconds)).isoformat(timespec="milliseconds")
    except OverflowError:
        return f"{milliseconds} ms"


def _floats(values: tuple[float, ...]) -> str:
    return "[" + ", ".join(map(repr, values)) + "]"


def _text(text: str) -> str:
    """Exact however long: a digest stands for the rest of a long text."""
    if len(text) <= _LONG:
        return repr(text)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{text[:40]!r}… ({len(text)} characters, sha256 {digest})"


def _line(fact: Fact) -> str:
    step = f" step {fact.step}" if fact.step else ""
    time = f" at {fact.timestamp}" if fact.timestamp else ""
    path = fact.path if len(fact.path) <= _LONG else f"{fact.path[:40]}…{fact.path[-20:]}"
    return f"{path!r} ({fact.type}){step}{time} = {fact.value}"
