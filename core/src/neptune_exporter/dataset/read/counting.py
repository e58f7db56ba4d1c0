"""Counts the attributes of many batches together: a call of pyarrow or NumPy takes as long as hundreds of
rows, and most parts have no more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from neptune_exporter.dataset.format.columns import ENCODED
from neptune_exporter.dataset.read.tally import Tally
from neptune_exporter.model import FILE_TYPE_NAMES

KEYS = ("attribute_path", "attribute_type")
_ROWS = 1 << 18
"""After so many rows, what was added is counted."""
_FEW = 1 << 18
"""Up to so many combinations of batch, type and path are counted in an array with a place for each, more by
sorting."""


class _Added(NamedTuple):
    tally: Tally
    paths: pa.DictionaryArray
    kinds: pa.DictionaryArray
    of_files: Mapping[str, pa.Array]


class Counting:
    """Adds the attributes and files of batches to tallies."""

    def __init__(self) -> None:
        self._added: list[_Added] = []
        self._rows = 0

    def add(self, tally: Tally, batch: pa.RecordBatch, of_files: Mapping[str, pa.Array]) -> None:
        """Add a batch with paths and types of attributes to a tally, which is complete after `finish`.

        `of_files`: the columns for `Tally.add_files`.
        """
        self._added.append(_Added(tally, *_encoded_keys(batch), of_files))
        self._rows += len(batch)
        if self._rows >= _ROWS:
            self.finish()

    def finish(self) -> None:
        """Count what was added."""
        added, self._added, self._rows = self._added, [], 0
        files: Counter[int] = Counter()
        for number, kind, rows in _attributes([(each.paths, each.kinds) for each in added]):
            added[number].tally.add_attributes(kind, rows)
            if kind in FILE_TYPE_NAMES:
                files[number] += sum(rows.values())
        for number, count in files.items():
            added[number].tally.add_files(count, added[number].of_files)


def attributes(batch: pa.RecordBatch) -> Iterator[tuple[str, dict[str, int]]]:
    """The types in a batch, and by path how many rows it has of each."""
    for _, kind, rows in _attributes([_encoded_keys(batch)]):
        yield kind, rows


def _encoded_keys(batch: pa.RecordBatch) -> tuple[pa.DictionaryArray, pa.DictionaryArray]:
    return encoded(batch.column("attribute_path")), encoded(batch.column("attribute_type"))


def _attributes(
    batches: Sequence[tuple[pa.DictionaryArray, pa.DictionaryArray]],
) -> Iterator[tuple[int, str, dict[str, int]]]:
    """The number of a batch, and as of `attributes`; from encoded paths and types, without nulls."""
    if not any(len(paths) for paths, _ in batches):
        return  # as of a part whose rows have no value, or none of the run that is meant
    (names, paths), (types, kinds) = (joined(columns) for columns in zip(*batches, strict=True))
    batch = np.repeat(np.arange(len(batches)), [len(column) for column, _ in batches])
    found, counts = _counted((batch * len(types) + kinds) * len(names) + paths)
    path, rows = [names[code] for code in (found % len(names)).tolist()], counts.tolist()
    of_types, starts = np.unique(found // len(names), return_index=True)
    ends = [*starts[1:].tolist(), len(rows)]
    for of_type, start, end in zip(of_types.tolist(), starts.tolist(), ends, strict=True):
        number, kind = divmod(of_type, len(types))
        yield number, types[kind], dict(zip(path[start:end], rows[start:end], strict=True))


def joined(columns: Sequence[pa.DictionaryArray]) -> tuple[list[str], npt.NDArray[np.int32]]:
    """The different texts in these columns, and the index of its text for each row."""
    whole = pa.concat_arrays(columns)
    texts = whole.dictionary.to_pylist()
    if len(set(texts)) < len(texts):
        whole = whole.cast(pa.string()).dictionary_encode()
        texts = whole.dictionary.to_pylist()
    return texts, _codes_of(whole)


def _counted(numbers: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The different numbers, sorted, and how often each occurs."""
    if not len(numbers) or numbers.max() >= _FEW:
        return np.unique(numbers, return_counts=True)
    counts = np.bincount(numbers)
    (found,) = counts.nonzero()  # half the time of `flatnonzero`
    return found, counts[found]


def _codes_of(column: pa.DictionaryArray) -> npt.NDArray[np.int32]:
    """The index in the dictionary for each row, not copied; -1 for null."""
    indices = column.indices
    if indices.null_count:
        return np.array([-1 if code is None else code for code in indices.to_pylist()], np.int32)
    if not len(indices):
        return np.zeros(0, np.int32)
    return np.frombuffer(indices.buffers()[1], np.int32, len(indices), 4 * indices.offset)


def encoded(column: pa.Array) -> pa.DictionaryArray:
    """A column of texts as a dictionary array of type `ENCODED`."""
    return column if column.type == ENCODED else column.cast(pa.string()).dictionary_encode()
