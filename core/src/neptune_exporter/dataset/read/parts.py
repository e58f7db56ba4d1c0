"""Reads one part, ours or another tool's: only what is requested, and only rows with a value."""

from __future__ import annotations

import bisect
import contextlib
import itertools
import json
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq

from neptune_exporter.contract import DatasetError
from neptune_exporter.dataset.format.columns import as_schema, with_nan
from neptune_exporter.dataset.format.encoding import EXTRAS_KEY, METADATA_KEY
from neptune_exporter.dataset.format.pieces import cut, slices
from neptune_exporter.dataset.format.storage import Storage
from neptune_exporter.dataset.read import refused
from neptune_exporter.dataset.read.damage import DamageAsErrors
from neptune_exporter.dataset.read.leaves import GroupStatistics, Leaves, columns_to_decide, leaves_of
from neptune_exporter.dataset.read.wanted import Wanted, Within, empty_columns
from neptune_exporter.schema import EXTRA_COLUMNS, FULL_SCHEMA
from neptune_exporter.toolkit.cached import cached_property

_BATCH_BYTES = 16 << 20
_SMALL_ROWS, _SMALL_BYTES = 20_000, 2 << 20
"""Parts up to this many rows and uncompressed bytes are decoded once and cached."""
EXPANDED_BYTES = 64 << 20
_NAMED = 3
_EXTRAS = frozenset(EXTRA_COLUMNS.names)
_TYPES = {field.name: field.type for field in FULL_SCHEMA}
_KEYS = ("attribute_path", "attribute_type")
_AS_DICTIONARY = ["project_id", "run_id", *_KEYS]
ALL_AS_DICTIONARY = [*_AS_DICTIONARY, "string_value"]


class Part:
    """One Parquet file of a run. Its footer is read when first needed."""

    def __init__(self, storage: Storage, path: str) -> None:
        """`path`: where it is in the storage."""
        self.path = path
        self.footer_bytes = 0  # until it is read
        self._storage = storage
        self._last_group: GroupStatistics | None = None
        self._keeping = threading.Lock()
        self._kept_columns = frozenset[str]()
        self._expanded_bytes = EXPANDED_BYTES

    @property
    def where(self) -> str:
        return self._storage.describe(self.path)

    @property
    def metadata(self) -> pq.FileMetaData:
        """The metadata in the file's footer. Raises DatasetError if the part is missing, cut short or
        damaged."""
        return self._footer[0]

    @cached_property
    def _footer(self) -> tuple[pq.FileMetaData, Leaves]:
        with self._opened([]) as file, self._errors():
            metadata = file.metadata
            leaves = leaves_of(file)
        if leaves.lacking:
            names = ", ".join(leaves.lacking[:_NAMED]) + ", …" * (len(leaves.lacking) > _NAMED)
            raise DatasetError(f"{self.where} is damaged, or not a part of a run: it has no column {names}")
        self.footer_bytes = int(metadata.serialized_size)
        return metadata, leaves

    @property
    def rows(self) -> int:
        return int(self.metadata.num_rows)

    @property
    def stored_bytes(self) -> int:
        """On disk; 0 if it is missing."""
        return self._storage.size(self.path) or 0

    @property
    def holds_rows(self) -> bool:
        """Whether its rows are in memory."""
        return "_groups" in self.__dict__

    def keep(self, columns: Sequence[str]) -> None:
        """Decode these columns now if the rows stay in memory. Raises DatasetError if the part is damaged."""

    def forget_rows(self) -> None:
        """Free the rows; they are read again when they are requested."""
        self.__dict__.pop("_groups", None)

    @property
    def ours(self) -> bool:
        """Written by this package: sorted, and no row without a value."""
        return self._noted[0]

    @property
    def known_ours(self) -> bool | None:
        """Whether the part is ours; None if it cannot be read, which reading it reports."""
        try:
            return self.ours
        except DatasetError:
            return None

    @property
    def columns(self) -> frozenset[str]:
        """The names of the top-level columns, without those that the part declares empty."""
        return self._noted[1]

    @cached_property
    def _noted(self) -> tuple[bool, frozenset[str]]:
        """`ours` and `columns`, from the notes in the footer."""
        metadata, leaves = self._footer
        notes = metadata.metadata or {}
        declared = notes.get(EXTRAS_KEY)
        empty = frozenset() if declared is None else _EXTRAS.difference(json.loads(declared))
        return METADATA_KEY in notes, leaves.columns - empty

    def identity(self) -> tuple[str, str] | None:
        """Project id and run id from the rows; None without rows. Raises DatasetError if they are no text."""
        for group in range(self.metadata.num_row_groups):
            for batch in self.read_group(group, ["project_id", "run_id"], 1):
                found = batch.column(0)[0].as_py(), batch.column(1)[0].as_py()
                if any(isinstance(value, (list, dict)) for value in found):
                    raise DatasetError(f"{self.where} is damaged: project_id or run_id is no text")
                return found
        return None

    def batches(
        self, wanted: Wanted, batch_rows: int, *, keep_rows: bool = False
    ) -> Iterator[pa.RecordBatch]:
        """Rows that have a value, in the wanted columns of `FULL_SCHEMA`, in batches of at most `batch_rows`.
        NaN is a value (`with_nan`). Raises DatasetError if the part is missing or damaged.

        `keep_rows`: read a small part and cache it, because more requests follow; of a part of ours without
        the columns that hold no value of its types.
        """
        schema = wanted.schema
        for group in range(self.metadata.num_row_groups):
            if not self.may_hold(group, wanted):
                continue
            here = replace(wanted, types=None) if self.is_all_of(group, wanted.types) else wanted
            doubtful = self.columns_with_doubt(group, wanted.value_columns)
            columns = self._columns_to_read(here, doubtful)
            for batch in self.read_group(group, columns, batch_rows, keep_rows=keep_rows):
                kept = here.among(self.with_nan(batch, doubtful), doubtful)
                if here.within is not None:
                    kept = here.within.among(self.converted(kept, here.within.columns))
                for piece in cut(self.identified(kept)):
                    with self._errors():
                        converted = as_schema(piece, schema)
                    yield converted

    def with_nan(self, batch: pa.RecordBatch, doubtful: Sequence[str]) -> pa.RecordBatch:
        """The batch, which has what `columns_to_decide` names, with NaN where another tool stored it as null.

        Raises DatasetError if a value is no number.
        """
        if "float_value" not in doubtful:
            return batch
        with self._errors():
            return with_nan(batch)

    def identified(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch. Raises DatasetError if a row does not name its attribute, as far as that was read."""
        schema = batch.schema
        for name in _KEYS:
            index = schema.get_field_index(name)
            if index >= 0 and batch.column(index).null_count:
                raise DatasetError(f"{self.where} is damaged: it has a row without {name}")
        return batch

    def converted(self, batch: pa.RecordBatch, columns: Sequence[str]) -> pa.RecordBatch:
        """The batch with some of its columns in the types of the schema; what holds text may stay encoded.

        Raises DatasetError if a value is of no such type.
        """
        for name in columns:
            index, kind = batch.schema.get_field_index(name), _TYPES.get(name)
            given = None if index < 0 or kind is None else batch.column(index)
            if given is not None and given.type != kind and not pa.types.is_dictionary(given.type):
                with self._errors():
                    batch = batch.set_column(index, name, given.cast(kind))
        return batch

    def may_hold(self, group: int, wanted: Wanted) -> bool:
        """Whether statistics, and the rows in memory, allow that a row group holds something wanted."""
        held = self.__dict__.get("_groups")
        if held is not None and self.ours and wanted.has_no_type_of(held[group]):
            return False
        return (
            self._overlaps(group, "attribute_type", wanted.types)
            and self._overlaps(group, "attribute_path", wanted.attributes)
            and (wanted.within is None or self._may_lie_within(group, wanted.within))
        )

    def _may_lie_within(self, group: int, within: Within) -> bool:
        is_decimal = self.valid_count(group, "step_float64") == 0
        steps = self.unscaled(group, "step", "scale=6") if is_decimal else None
        return within.may_be_of(steps, self.unscaled(group, "timestamp", "milliseconds"))

    def is_all_of(self, group: int, types: frozenset[str] | None) -> bool:
        """Whether statistics prove that every row of a group is of one wanted type."""
        extent = self.extent(group, "attribute_type") if types is not None else None
        if types is None or extent is None or extent[0] != extent[1] or extent[0] not in types:
            return False
        return self.valid_count(group, "attribute_type") == self.group(group).rows

    def single(self, group: int) -> tuple[str, str] | None:
        """Attribute path and type of all rows of a group, where its statistics prove that there is one."""
        if not self.ours:
            return None
        path, kind = self.extent(group, "attribute_path"), self.extent(group, "attribute_type")
        if path and kind and path[0] == path[1] and kind[0] == kind[1]:
            return path[0], kind[0]
        return None

    def extent(self, group: int, leaf: str) -> tuple[str, str] | None:
        """The least and the greatest text of a column in a row group; None if the file does not say."""
        statistics = self.group(group).of(leaf)
        if statistics is None or not statistics.has_min_max:
            return None
        with self._errors():
            return statistics.min, statistics.max

    def unscaled(self, group: int, leaf: str, unit: str) -> tuple[int, int] | None:
        """Least and greatest value of a column that is stored as whole numbers of a unit."""
        return self.group(group).unscaled(leaf, unit)

    def valid_count(self, group: int, leaf: str) -> int | None:
        """How many values of a column are not null; None if the file does not say."""
        count = self.group(group).valid_count(leaf)
        return 0 if count is None and leaf.partition(".")[0] not in self.columns else count

    def may_have(self, column: str) -> bool:
        """Whether statistics allow that a column has a value."""
        leaves, groups = self._footer[1].of.get(column, ()), range(self.metadata.num_row_groups)
        return any(self.group(group).valid_counts()[leaf] != 0 for group in groups for leaf in leaves)

    def columns_with_doubt(self, group: int, value_columns: Sequence[str]) -> list[str]:
        """The value columns that must be read to know which rows have a value; empty if all rows have one."""
        if self.ours:
            return []
        rows, counts = self.group(group).rows, self.group(group).valid_counts()
        valid = {name: counts.get(leaf or "") for name, leaf in self._footer[1].valued.items()}
        if sum(filter(None, valid.values())) == rows:
            return []
        # If every number is null, some of the rows may stand for NaN.
        set_somewhere = [name for name, count in valid.items() if count != 0 or name == "float_value"]
        return [name for name in set_somewhere if name in value_columns] or ["float_value"]

    def read_group(
        self, group: int, columns: Sequence[str], batch_rows: int, *, keep_rows: bool = False
    ) -> Iterator[pa.RecordBatch]:
        """The named columns (as far as the part has them) of one row group, as they are stored.

        Names and types of attributes come dictionary-encoded, and so may strings.
        """
        if keep_rows:
            try:
                self.keep_if_small()
            except DatasetError:  # the damage may be in another row group
                self.is_small = False
        groups = self.__dict__.get("_groups")
        there = [name for name in columns if name.partition(".")[0] in self.columns]
        names = dict.fromkeys(name.partition(".")[0] for name in there)
        if groups is not None and (keep_rows or self._kept_columns.issuperset(names)):
            kept = [name for name in names if name in self._kept_columns] or [_KEYS[1]]
            for batch in groups[group]:
                yield from slices(batch.select(kept), batch_rows)
        else:
            yield from self._decoded(group, there, batch_rows)

    def _decoded(self, group: int, there: Sequence[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
        """Columns of one row group, read from the file."""
        meta = self.metadata.row_group(group)
        leaves = self._leaves_in(there)
        size = sum(meta.column(i).total_uncompressed_size for i in leaves)
        batch_rows = max(1, min(batch_rows, _BATCH_BYTES * max(1, meta.num_rows) // max(1, size)))
        # A short page can stand for very long texts, many times over.
        if "string_value" in there and "string_value" not in self._footer[1].number:
            raise DatasetError(f"{self.where} is damaged: its column string_value holds no plain texts")
        texts = "string_value" in there and self.group(group).column("string_value").has_dictionary_page
        with self._opened(ALL_AS_DICTIONARY if texts else _AS_DICTIONARY) as file:
            # Without threads: several threads read already, and more would only hinder each other.
            batches = file.iter_batches(batch_rows, [group], leaves, use_threads=False)
            rows = 0
            while True:
                with self._errors():
                    batch = next(batches, None)
                if batch is None:
                    break
                rows += len(batch)
                yield batch
        self._check_rows(rows, meta.num_rows)

    def _leaves_in(self, columns: Collection[str]) -> list[int]:
        """The indices of the leaves of some columns, or of some leaves."""
        return [
            i
            for leaf, i in self._footer[1].number.items()
            if leaf in columns or leaf.partition(".")[0] in columns
        ]

    def _check_rows(self, found: int, expected: int) -> None:
        """pyarrow does not report pages whose numbers of values differ from the footer."""
        if found != expected:
            raise DatasetError(f"{self.where} is damaged: of {expected:,} rows {found:,} can be read")

    def keep_if_small(self) -> None:
        """Decode the part now, once for all requests, if it is small."""
        with self._keeping:
            if self.is_small:
                self._groups  # noqa: B018 - it is kept

    @cached_property
    def is_small(self) -> bool:
        return self._are_small(self._footer[1].number)

    def _are_small(self, leaves: Iterable[str]) -> bool:
        if self.rows > _SMALL_ROWS:
            return False
        size = expanded = 0
        for group in range(self.metadata.num_row_groups):
            for leaf in leaves:
                column = self.group(group).column(leaf)
                size += (of_column := column.total_uncompressed_size)
                if column.has_dictionary_page and leaf not in ALL_AS_DICTIONARY:
                    expanded += column.num_values * of_column  # at the very most
        return size <= _SMALL_BYTES and expanded <= self._expanded_bytes

    @cached_property
    def _groups(self) -> list[list[pa.RecordBatch]]:
        """All rows, by row group, in the `_kept_columns`."""
        with self._opened(ALL_AS_DICTIONARY) as file, self._errors():
            kinds = file.read_all(self._leaves_in([_KEYS[1]]), use_threads=False)[0]
            self._kept_columns = self.columns - (empty_columns(kinds) if self.ours else frozenset())
            # In one call: each call takes as long as thousands of rows.
            table = file.read_all(self._leaves_in(self._kept_columns), use_threads=False)
        meta = self.metadata
        self._check_rows(len(table), int(meta.num_rows))
        lengths = [meta.row_group(group).num_rows for group in range(meta.num_row_groups)]
        starts = itertools.accumulate(lengths, initial=0)
        return [table.slice(start, n).to_batches() for start, n in zip(starts, lengths, strict=False)]

    def _columns_to_read(self, wanted: Wanted, doubtful: Sequence[str]) -> list[str]:
        columns = dict.fromkeys(wanted.columns)
        if wanted.types is not None:
            columns["attribute_type"] = None
        if wanted.attributes is not None:
            columns["attribute_path"] = None
        if wanted.within is not None:
            columns.update(dict.fromkeys(wanted.within.columns))
        for name in columns_to_decide(doubtful):
            if name.partition(".")[0] not in columns:
                columns[name] = None
        if not any(name.partition(".")[0] in self.columns for name in columns):
            columns["attribute_type"] = None  # a column is needed to know how many rows there are
        return list(columns)

    def _overlaps(self, group: int, leaf: str, values: frozenset[str] | None) -> bool:
        extent = self.extent(group, leaf) if values is not None else None
        if values is None or extent is None:
            return True
        ordered = sorted(values)
        nearest = bisect.bisect_left(ordered, extent[0])
        return nearest < len(ordered) and ordered[nearest] <= extent[1]

    def group(self, number: int) -> GroupStatistics:
        """The metadata of a row group. Only the last one is cached: all take as much memory as the footer."""
        last = self._last_group
        if last is None or last.group != number:
            metadata, leaves = self._footer
            last = self._last_group = GroupStatistics(metadata.row_group(number), number, leaves)
        return last

    @contextlib.contextmanager
    def _opened(self, dictionary: list[str]) -> Iterator[pq.ParquetReader]:
        refused.check(self._storage, self.path)
        with self._storage.open_input(self.path) as source:
            with self._errors():
                known = self.__dict__.get("_footer")
                file = pq.ParquetReader()
                file.open(
                    source,
                    metadata=known and known[0],
                    read_dictionary=dictionary,
                    page_checksum_verification=True,
                )
            yield file

    def _errors(self) -> DamageAsErrors:
        return DamageAsErrors(self)
