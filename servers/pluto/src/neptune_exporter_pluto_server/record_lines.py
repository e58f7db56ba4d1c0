"""Lines of /ingest/data and /ingest/logs: flat objects of numbers and strings."""

from __future__ import annotations

from typing import Any

import orjson
import pyarrow as pa
import pyarrow.json as pj

from neptune_exporter_pluto_server.lines import (
    BadLineError,
    Block,
    load_exact,
    looks_regular,
    members,
    stripped,
    text,
    unsigned,
)
from neptune_exporter_pluto_server.rows import DATA, LOGS

_FAST_BYTES = 1 << 14


class RecordKind:
    """A kind of line: its fields, and those that may not be blank."""

    def __init__(self, schema: pa.Schema, not_blank: tuple[str, ...]) -> None:
        self.schema = schema
        self.not_blank = not_blank
        self.names = tuple(schema.names)
        self.types = tuple(int if pa.types.is_unsigned_integer(field.type) else str for field in schema)
        self.quotes = 2 * (len(self.names) + self.types.count(str))


DATA_LINES = RecordKind(DATA, ("dataType", "logName"))
LOG_LINES = RecordKind(LOGS, ("logType",))


def read_records(block: Block, kind: RecordKind) -> tuple[pa.RecordBatch, BadLineError | None]:
    """The rows of a block, up to the first bad line, and what is wrong with that."""
    if len(block.text) >= _FAST_BYTES:
        batch = read_fast(block.text, kind)
        if batch is not None:
            return batch, None
    return read_exact(block, kind)


def read_fast(text: bytes, kind: RecordKind) -> pa.RecordBatch | None:
    """The rows of a block that is regular beyond doubt, else None."""
    lines = looks_regular(text)
    if lines == 0:
        return None
    try:
        table = pj.read_json(
            pa.BufferReader(text),
            read_options=pj.ReadOptions(use_threads=False, block_size=len(text) + 1),
            parse_options=pj.ParseOptions(explicit_schema=kind.schema, unexpected_field_behavior="error"),
        )
    except (pa.ArrowInvalid, UnicodeDecodeError):
        return None
    if table.num_rows != lines:
        return None
    (batch,) = table.combine_chunks().to_batches()
    if any(column.null_count for column in batch.columns):
        return None
    for name in kind.not_blank:
        if not all(value.strip() for value in batch.column(name).unique().to_pylist()):
            return None
    return batch


def read_exact(block: Block, kind: RecordKind) -> tuple[pa.RecordBatch, BadLineError | None]:
    """The same line by line."""
    rows: list[dict[str, Any]] = []
    error = None
    lines = block.text.split(b"\n")
    for number, line in enumerate(lines, 1):
        row = _plain(line, kind)
        if row is None:
            line = stripped(line)
            if not line:
                continue
            try:
                row = _exact(line, block.final and number == len(lines), kind)
            except BadLineError as bad:
                error = bad
                break
        rows.append(row)
    columns = [[row[name] for row in rows] for name in kind.names]
    arrays = [pa.array(c, f.type) for c, f in zip(columns, kind.schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=kind.schema), error


def _plain(line: bytes, kind: RecordKind) -> dict[str, Any] | None:
    """A line that has nothing special, or None."""
    if b"\\" in line or line.count(b'"') != kind.quotes:  # more quotes: a name given twice
        return None
    try:
        row = orjson.loads(line)
        if len(row) != len(kind.names):
            return None
        for name, wanted in zip(kind.names, kind.types, strict=True):
            value = row[name]
            if type(value) is not wanted or (isinstance(value, int) and value < 0):
                return None
        if any(not row[name].strip() for name in kind.not_blank):
            return None
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return dict(row)


def _exact(line: bytes, final: bool, kind: RecordKind) -> dict[str, Any]:
    row = members(load_exact(line, final), kind.names, line, final)
    for name, wanted in zip(kind.names, kind.types, strict=True):
        row[name] = (unsigned if wanted is int else text)(row[name], name, line, final)
    for name in kind.not_blank:
        if not row[name].strip():
            raise BadLineError.invalid("InvalidLogFormat (2006", f"'{name}' field cannot be empty")
    return row
