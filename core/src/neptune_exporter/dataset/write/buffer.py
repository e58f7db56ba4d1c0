"""Rows of one run that wait to be written. They are checked on arrival and sorted on release."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from neptune_exporter import compute as pc
from neptune_exporter.contract import DatasetError
from neptune_exporter.dataset.format.sorting import Batch, Numbers, SortedRows, grouped, sort
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.schema import FULL_SCHEMA, VALUE_COLUMN
from neptune_exporter.toolkit import turn

_IDENTITY = ("project_id", "run_id")
_ATTRIBUTE = ("attribute_path", "attribute_type")
_KEYS = frozenset({*_IDENTITY, *_ATTRIBUTE})
_TYPES = dict(zip(FULL_SCHEMA.names, FULL_SCHEMA.types, strict=True))
_CodeOf = Callable[[int], int]
_TEXT = ("string_value", "string_set_value", "file_value", "histogram_value", "file_sha256")


class RowsError(DatasetError):
    """Rows of a run cannot be stored, because of an error in the rows and not in the dataset."""


class RunBuffer:
    """Collects batches of one run."""

    def __init__(self, run: RunKey) -> None:
        self._run = run
        self._codes_of: dict[tuple[str, str], int] = {}
        self._keys: list[tuple[str, str]] = []
        """The attribute path and type of each code."""
        self._batches: list[Batch] = []
        self._last: tuple[str, str] = ("", "")
        self.rows = 0
        """How many rows have arrived in all."""
        self.nbytes = 0
        self.rising = 0
        """How many of these bytes arrived in the order of a part: everything before them is probably
        complete."""

    @property
    def paths(self) -> frozenset[str]:
        """The paths of all attributes that have arrived."""
        return frozenset(path for path, _ in self._codes_of)

    def add(self, batch: pa.RecordBatch) -> None:
        """Add a batch of about `PIECE_BYTES` at most. Rows without a value are dropped. Raises RowsError if
        the batch belongs to another run, or does not fit the schema."""
        with turn(len(batch)):
            self._add(batch)

    def _add(self, batch: pa.RecordBatch) -> None:
        self._check_identity(batch)
        columns = {
            name: self._cast(name, column)
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
            if name not in _KEYS and column.null_count < len(batch)
        }
        paths = self._encoded(batch, "attribute_path")
        types = self._encoded(batch, "attribute_type")
        valid = self._with_value(types, columns)
        if valid is not None:
            paths, types = paths.filter(valid), types.filter(valid)
            left = {name: column.filter(valid) for name, column in columns.items()}
            columns = {name: column for name, column in left.items() if column.null_count < len(column)}
        if not len(paths):
            return
        # Grouped now, while the rows are few and close in memory: gathering them later takes ten times as
        # long.
        added = grouped(*self._coded(paths, types), columns)
        size = added.nbytes
        self._watch_order(added, size)
        self._batches.append(added)
        self.rows += added.ends[-1]
        self.nbytes += size

    def release(self) -> list[Batch]:
        """Release all rows in the order of arrival; the buffer is empty afterwards."""
        batches, self._batches = self._batches, []
        self.nbytes = self.rising = 0
        return batches

    def release_risen(self) -> list[Batch]:
        """Release the rows up to the attribute that arrived last, and keep those that belong after it."""
        batches, keys = self.release(), self._keys
        risen: list[Batch] = []
        for batch in batches:
            start = 0
            sides = [keys[code] <= self._last for code in batch.codes]
            for side, same in itertools.groupby(sides):
                stop = start + len(list(same))
                (risen if side else self._batches).append(batch.slice(start, stop))
                start = stop
        self.nbytes = sum(batch.nbytes for batch in self._batches)
        return risen

    def sorted(self, batches: list[Batch]) -> SortedRows:
        """Sort the released rows. Empties the list."""
        with turn(sum(batch.ends[-1] for batch in batches)):
            return sort(batches, self._keys)

    def _watch_order(self, added: Batch, size: int) -> None:
        keys = [self._last, *(self._keys[code] for code in added.codes)]
        if any(other < one for one, other in itertools.pairwise(keys)):
            self.rising = 0
        self.rising += size
        self._last = keys[-1]

    def _check_identity(self, batch: pa.RecordBatch) -> None:
        names = batch.schema.names
        if unknown := set(names) - _TYPES.keys():
            raise RowsError(f"rows of {self._run} have unknown columns: {', '.join(sorted(unknown))}")
        for name in _ATTRIBUTE:
            if name not in names:
                raise RowsError(f"rows of {self._run} come without {name}")
        for name, expected in zip(_IDENTITY, (self._run.project_id, self._run.run_id), strict=True):
            if name in names:
                found = pc.unique(batch.column(name)).to_pylist()
                if any(value != expected for value in found):
                    raise RowsError(f"rows of {self._run} say {name} {found[0]!r}")

    def _cast(self, name: str, column: pa.Array) -> pa.Array:
        try:
            if pa.types.is_dictionary(column.type):
                column = column.cast(column.type.value_type)
            expected = _TYPES[name]
            if column.type != expected:
                column = column.cast(expected)
            if name in _TEXT:
                column.validate(full=True)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise RowsError(f"{name} of {self._run} cannot be stored: {error}") from error
        return column

    def _encoded(self, batch: pa.RecordBatch, name: str) -> pa.DictionaryArray:
        column = batch.column(name)
        if column.null_count:
            raise RowsError(f"a row of {self._run} has no {name}")
        if pa.types.is_dictionary(column.type):
            if len(column.dictionary) <= max(len(column), 16):
                return column
            column = column.cast(column.type.value_type)
        return column.dictionary_encode()

    def _with_value(self, types: pa.DictionaryArray, columns: dict[str, pa.Array]) -> pa.Array | None:
        """For each row, whether it has a value; None if all rows have one."""
        kinds = types.dictionary.to_pylist()
        used = [0] if len(kinds) == 1 else np.unique(types.indices.to_numpy()).tolist()
        by_code: list[pa.Array | bool] = [False] * len(kinds)
        for code in used:
            by_code[code] = self._have_value(self._attribute_type(kinds[code]), columns)
        if all(by_code[code] is True for code in used):
            return None
        valid = pc.choose(types.indices, *by_code) if len(kinds) > 1 else by_code[0]
        if isinstance(valid, bool):
            return pa.repeat(pa.scalar(valid), len(types))
        return None if valid.true_count == len(valid) else valid

    def _have_value(self, kind: AttributeType, columns: dict[str, pa.Array]) -> pa.Array | bool:
        """For rows of this type: which have a value, or whether all or none have."""
        column = columns.get(VALUE_COLUMN[kind])
        if column is None:
            return False
        if column.null_count or kind.attribute_class.value == "files":
            return pc.is_valid(_naming(column))
        return True

    def _attribute_type(self, name: str) -> AttributeType:
        try:
            return AttributeType(name)
        except ValueError:
            raise RowsError(f"a row of {self._run} has an unknown attribute_type {name!r}") from None

    def _coded(self, paths: pa.DictionaryArray, types: pa.DictionaryArray) -> tuple[Numbers, _CodeOf]:
        """A number for the attribute path and type of each row in this batch, and the code of each number."""
        try:
            names, kinds = paths.dictionary.to_pylist(), types.dictionary.to_pylist()
        except UnicodeDecodeError as error:
            raise RowsError(f"an attribute path of {self._run} is not valid text: {error}") from error
        width = len(kinds)
        numbers = paths.indices.to_numpy()
        if width > 1:
            numbers = numbers.astype(np.int64) * width + types.indices.to_numpy()

        def code_of(number: int) -> int:
            key = (names[number // width], kinds[number % width])
            if key[0] is None:
                raise RowsError(f"a row of {self._run} has no attribute_path")
            if key not in self._codes_of:
                self._codes_of[key] = len(self._keys)
                self._keys.append(key)
            return self._codes_of[key]

        return numbers, code_of


def _naming(column: pa.Array) -> pa.Array:
    """The file name in each struct. A struct without a name is not a value."""
    is_file = pa.types.is_struct(column.type) and column.type.get_field_index("path") == 0
    return pc.struct_field(column, "path") if is_file else column
