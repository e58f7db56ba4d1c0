"""How a part is encoded, and where its rows are cut into row groups."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from neptune_exporter.dataset.format.sorting import SortedRows
from neptune_exporter.dataset.format.storage import Output
from neptune_exporter.model import RunKey
from neptune_exporter.schema import EXTRA_COLUMNS, FULL_SCHEMA
from neptune_exporter.toolkit import turn

PART_BYTES = 50 << 20
"""A part is closed once it has this size on disk."""

OWN_ROWS = 8_192
"""A series with at least this many rows gets row groups of its own; shorter ones share."""
SHARED_ROWS = 32_768
"""Short series share a row group of up to this many rows."""
MAX_ROWS = 262_144
"""Rows of a row group at most."""
MAX_BYTES = 16 << 20
"""Uncompressed size of a row group."""

_WRITE_BYTES = 1 << 20
"""Bytes that are collected before they go to the file: pyarrow makes many small writes."""
_BATCH_ROWS = 8_192
"""Rows that the writer takes between checks of the page size. Its default, 1,024, is slower."""

METADATA_KEY = b"neptune-exporter"
METADATA = {METADATA_KEY: json.dumps({"part": 1, "sorted": True, "null_rows": False}).encode()}
"""The version of our parts: what a reader may rely on."""
EXTRAS_KEY = b"neptune-exporter.extras"
"""The extra columns that have values in this part, as JSON. (Every part has all the columns.)"""

_REPEATED = ("project_id", "run_id", "attribute_path", "attribute_type")
_CODED = pa.dictionary(pa.int32(), pa.string())
_DICTIONARY = [*_REPEATED, "histogram_value.type"]
_ENCODINGS = {
    "step": "DELTA_BINARY_PACKED",
    "timestamp": "DELTA_BINARY_PACKED",
    "int_value": "DELTA_BINARY_PACKED",
    "float_value": "BYTE_STREAM_SPLIT",
    "datetime_value": "DELTA_BINARY_PACKED",
    "step_float64": "BYTE_STREAM_SPLIT",
    "file_size": "DELTA_BINARY_PACKED",
}
_LEVELS = {
    **dict.fromkeys(_ENCODINGS, -1),
    "attribute_path": 3,
    "string_value": 3,
    "string_set_value.list.element": 3,
    "file_value.path": 3,
    "file_sha256": 3,
    "histogram_value.edges.list.element": 3,
    "histogram_value.values.list.element": 3,
}
"""Levels of zstd. At level 3, encoded numbers would be 3 % smaller and take twice as long. Columns that are
not here take a few bits for many rows anyway."""
_STATISTICS = ["attribute_path", "attribute_type", "step", "timestamp"]
"""Columns with statistics: none with doubles, because pyarrow leaves NaN out of them, and DuckDB 2.0.1 then
finds no NaN in the file and reports the greatest other number as the maximum."""
_FEW_VALUES, _FEW_BYTES = 64, 1 << 10
"""In a small part, compressing a column with fewer values takes longer than it is worth."""


class OpenPart:
    """A part that is being written, in the order of attribute path, type and step."""

    def __init__(self, output: Output, run: RunKey, only: SortedRows | None = None) -> None:
        """`only`: the rows, if there will be no others. A small part takes less time to write then."""
        self.output = output
        self.rows = 0
        self._run = run
        self._extras: set[str] = set()
        """The extra columns that have values."""
        self._last: tuple[str, str, float] = ("", "", float("-inf"))
        self._schema, stored = _schemas()
        is_small = only is not None and len(only) < OWN_ROWS
        levels = _levels_of(only) if only is not None and is_small else _LEVELS
        self._in_memory = pa.BufferOutputStream() if is_small else None
        self._buffered = self._in_memory or pa.BufferedOutputStream(
            pa.PythonFile(output, mode="w"), _WRITE_BYTES
        )
        self._writer = pq.ParquetWriter(
            self._buffered,
            self._schema,
            compression=dict.fromkeys(levels, "zstd"),
            compression_level=levels,
            use_dictionary=_DICTIONARY,
            column_encoding=_ENCODINGS,
            write_statistics=_STATISTICS,
            write_batch_size=_BATCH_ROWS,
            write_page_index=not is_small,  # it would be an index of one page
            write_page_checksum=True,
            store_decimal_as_integer=True,
            store_schema=False,
        )
        self._writer.writer.add_key_value_metadata(stored)

    def accepts(self, rows: SortedRows) -> bool:
        """Whether the rows belong after those that are written."""
        return (*rows.keys[0], rows.step_at(0)) >= self._last

    def write(self, rows: SortedRows, start: int, stop: int, keys: list[tuple[str, str, int]]) -> None:
        """Append the rows from `start` to `stop` as one row group. `keys`: attribute path, type and number of
        rows of each series in it."""
        count = stop - start
        with turn(count):
            table = self._table(rows, start, count, keys)
        self._writer.write_table(table, row_group_size=count)
        self._extras.update(rows.columns.keys() & EXTRA_COLUMNS.names)
        self.rows += count
        self._last = (*keys[-1][:2], rows.step_at(stop - 1))

    def _table(self, rows: SortedRows, start: int, count: int, keys: list[tuple[str, str, int]]) -> pa.Table:
        columns = rows.part(start, count)
        paths, kinds, lengths = zip(*keys, strict=True)
        columns["project_id"] = _repeated((self._run.project_id,), (count,))
        columns["run_id"] = _repeated((self._run.run_id,), (count,))
        columns["attribute_path"] = _repeated(paths, lengths)
        columns["attribute_type"] = _repeated(kinds, lengths)
        arrays = [columns.get(name, null) for name, null in _nulls(count).items()]
        return pa.Table.from_arrays(arrays, schema=self._schema)

    @property
    def full(self) -> bool:
        return bool(self._buffered.tell() >= PART_BYTES)

    def close(self) -> None:
        """Write the footer and close."""
        self._writer.writer.add_key_value_metadata({EXTRAS_KEY.decode(): json.dumps(sorted(self._extras))})
        self._writer.close()
        if self._in_memory is not None:  # at once: each call of Arrow into Python takes time
            self.output.write(self._in_memory.getvalue())
        else:
            self._buffered.flush()
        self.output.close()

    def discard(self) -> None:
        """Discard the part."""
        with contextlib.suppress(Exception):  # a row group may have ended in the middle
            self._writer.close()
        self.output.discard()


def _levels_of(rows: SortedRows) -> dict[str, int]:
    """The levels of the columns that are worth compressing, of a part with these rows only."""
    most = _FEW_BYTES + 9 * len(rows)  # a column of numbers takes a bit more than 8 bytes for a row
    large = {"attribute_path"}
    for name, column in rows.columns.items():
        if len(column) - column.null_count >= _FEW_VALUES or column.nbytes > most:
            large.add(name)
    return {leaf: level for leaf, level in _LEVELS.items() if leaf.partition(".")[0] in large}


def row_groups(rows: SortedRows) -> Iterator[tuple[int, int, list[tuple[str, str, int]]]]:
    """Where to cut: a long series gets groups of its own, short ones share, and no group is too large for
    memory.

    Yields first row, end, and attribute path, type and number of rows of each series.
    """
    shared: list[tuple[str, str, int]] = []
    first = 0
    for (path, kind), start, end in rows.series():
        count = end - start
        alone = count >= OWN_ROWS or (shared and shared[-1][2] >= OWN_ROWS)
        if shared and (alone or start - first + count > SHARED_ROWS):
            yield from _bounded(rows, first, shared)
            shared = []
        if not shared:
            first = start
        shared.append((path, kind, count))
    if shared:
        yield from _bounded(rows, first, shared)


def _bounded(
    rows: SortedRows, first: int, keys: list[tuple[str, str, int]]
) -> Iterator[tuple[int, int, list[tuple[str, str, int]]]]:
    count = sum(n for _, _, n in keys)
    size = sum(column.nbytes for column in rows.part(first, count).values())
    if count == 1 or (count <= MAX_ROWS and size <= MAX_BYTES):
        yield first, first + count, keys
        return
    half, left = count // 2, []
    while keys and half:
        path, kind, n = keys[0]
        left.append((path, kind, min(n, half)))
        keys = keys[1:] if n <= half else [(path, kind, n - half), *keys[1:]]
        half -= left[-1][2]
    yield from _bounded(rows, first, left)
    yield from _bounded(rows, first + count // 2, keys)


@lru_cache(maxsize=1)
def _schemas() -> tuple[pa.Schema, dict[str, str]]:
    """The schema of what the Parquet writer gets, and the schema that the part declares to readers.

    Columns that repeat their values are written as dictionaries, so that the writer takes each value once.
    Readers shall see plain strings, so the part declares the plain schema.
    """
    metadata = {key.decode(): value.decode() for key, value in METADATA.items()}
    metadata["ARROW:schema"] = base64.b64encode(FULL_SCHEMA.with_metadata(METADATA).serialize()).decode()
    kinds = [pa.field(f.name, _CODED) if f.name in _REPEATED else f for f in FULL_SCHEMA]
    return pa.schema(kinds), metadata


@lru_cache(maxsize=1)
def _most_nulls() -> dict[str, pa.Array]:
    """For each column, as many as a row group may have rows. All share the memory of one."""
    nulls = pa.nulls(MAX_ROWS, pa.struct(list(FULL_SCHEMA)))
    return {name: nulls.field(name) for name in FULL_SCHEMA.names}


@lru_cache(maxsize=16)
def _nulls(count: int) -> dict[str, pa.Array]:
    """Each column without values. Of small runs, many have as many rows."""
    return {name: column.slice(0, count) for name, column in _most_nulls().items()}


@lru_cache(maxsize=1)
def _zeros() -> pa.Array:
    return pa.repeat(pa.scalar(0, pa.int32()), MAX_ROWS)


def _repeated(values: tuple[str, ...], counts: tuple[int, ...]) -> pa.Array:
    """Each string, repeated as often as its number says."""
    few = sum(counts) < OWN_ROWS and len(values) < OWN_ROWS // 8
    return _known_repeated(values, counts) if few else _made_repeated(values, counts)


def _made_repeated(values: tuple[str, ...], counts: tuple[int, ...]) -> pa.Array:
    # The codes are made here, so they need no check against the dictionary: "safe" would read them all again.
    code_of = {value: code for code, value in enumerate(dict.fromkeys(values))}
    strings = pa.array(list(code_of), pa.string())
    if len(code_of) == 1:
        return pa.DictionaryArray.from_arrays(_zeros().slice(0, sum(counts)), strings, safe=False)
    codes = np.repeat(np.array([code_of[value] for value in values], np.int32), counts)
    return pa.DictionaryArray.from_arrays(pa.array(codes), strings, safe=False)


_known_repeated = lru_cache(maxsize=16)(_made_repeated)
"""Of small runs, many have the same attributes with as many points."""
