"""Small parts: opened once, and each column is decoded only once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from neptune_exporter.dataset.format.pieces import slices
from neptune_exporter.dataset.format.storage import Storage
from neptune_exporter.dataset.read import refused
from neptune_exporter.dataset.read.leaves import leaves_of
from neptune_exporter.dataset.read.parts import ALL_AS_DICTIONARY, Part
from neptune_exporter.toolkit.cached import cached_property

_FILE_BYTES = 1 << 20
_EXPANDED_BYTES = 4 << 20
"""Less than for other parts, because several of these are cached at a time."""


class PartInMemory(Part):
    """A `Part` that, if it is small, is opened only once. That halves the time of reading it."""

    def __init__(self, storage: Storage, path: str, expanded_bytes: int = _EXPANDED_BYTES) -> None:
        """`expanded_bytes`: as many may its rows take, at the very most, for it to be small."""
        super().__init__(storage, path)
        self._size = storage.size(path) or 0
        self._expanded_bytes = expanded_bytes
        self._kept: list[pa.RecordBatch] = []
        """The decoded columns, by row group."""
        self._kept_names: Sequence[str] = ()

    def load(self) -> None:
        """Read its bytes, if it is small. Raises DatasetError if it cannot be read."""
        if self._size <= _FILE_BYTES:
            self._content  # noqa: B018 - it is kept

    @property
    def holds_rows(self) -> bool:
        return super().holds_rows or "_content" in self.__dict__

    def forget_rows(self) -> None:
        super().forget_rows()
        for name in ("_file", "_content"):
            self.__dict__.pop(name, None)

    def open(self) -> None:
        """Let pyarrow read the footer, if the part is small. Raises DatasetError if it is missing or
        damaged."""
        if self._size <= _FILE_BYTES:
            self._file  # noqa: B018 - it is kept

    def keep(self, columns: Sequence[str]) -> None:
        names = [name for name in columns if name in self.columns]
        leaves = [leaf for name in names for leaf in self._footer[1].of[name]]
        if self._size > _FILE_BYTES or not self._are_small(leaves):
            return
        numbers = [self._footer[1].number[leaf] for leaf in leaves]
        for group in range(self.metadata.num_row_groups):
            with self._errors():
                table = self._file.read_row_group(group, numbers, use_threads=False)
            self._check_rows(len(table), self.group(group).rows)
            self._kept.append(_as_batch(table))
        self._kept_names = names

    def read_group(
        self, group: int, columns: Sequence[str], batch_rows: int, *, keep_rows: bool = False
    ) -> Iterator[pa.RecordBatch]:
        names = [name for name in dict.fromkeys(c.partition(".")[0] for c in columns) if name in self.columns]
        if not (self._kept and names and all(name in self._kept_names for name in names)):
            yield from super().read_group(group, columns, batch_rows, keep_rows=keep_rows)
            return
        kept = self._kept[group]
        yield from slices(kept if names == self._kept_names else kept.select(names), batch_rows)

    @contextlib.contextmanager
    def _opened(self, dictionary: list[str]) -> Iterator[pq.ParquetReader]:
        if self._size > _FILE_BYTES:
            with super()._opened(dictionary) as file:
                yield file
        else:
            yield self._file

    @cached_property
    def _content(self) -> pa.Buffer:
        refused.check(self._storage, self.path)
        return pa.py_buffer(self._storage.read(self.path))

    @cached_property
    def _file(self) -> pq.ParquetReader:
        content = self._content
        with self._errors():
            return _open(content)


_usual: list[int] = []
"""The indices of the texts in the part that was opened last: the next one has most likely the same."""


def _open(content: pa.Buffer) -> pq.ParquetReader:
    """Open a part so that texts are read as dictionaries.

    By indices: pyarrow looks names up in all columns, which takes a seventh of the time of opening a part.
    """
    global _usual
    expected = _usual
    file = _reader(content, expected)
    number = leaves_of(file).number
    texts = [number[name] for name in ALL_AS_DICTIONARY if name in number]
    if texts == expected:
        return file
    _usual = texts
    return _reader(content, texts)


def _reader(content: pa.Buffer, dictionary: list[int]) -> pq.ParquetReader:
    file = pq.ParquetReader()
    # Without `pre_buffer`, by which threads would copy what is in memory already.
    file.open(
        pa.BufferReader(content),
        read_dictionary=dictionary,
        page_checksum_verification=True,
        pre_buffer=False,
    )
    return file


def _as_batch(table: pa.Table) -> pa.RecordBatch:
    batches = table.to_batches()
    if len(batches) == 1:
        return batches[0]
    columns = [column.combine_chunks() for column in table.columns]
    return pa.RecordBatch.from_arrays(columns, names=table.column_names)
