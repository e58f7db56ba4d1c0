"""Writes the new parts of a run, under temporary names until it is known which names are free."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from neptune_exporter.dataset.format import uploading
from neptune_exporter.dataset.format.encoding import OpenPart, row_groups
from neptune_exporter.dataset.format.layout import Place, temporary
from neptune_exporter.dataset.format.receipts import PartRecord
from neptune_exporter.dataset.format.sorting import SortedRows
from neptune_exporter.dataset.format.storage import Storage
from neptune_exporter.dataset.format.uploading import Upload
from neptune_exporter.dataset.read.parts import Part
from neptune_exporter.model import RunKey
from neptune_exporter.toolkit import failpoint


class NewParts:
    """Writes one part after another. Not thread-safe."""

    def __init__(
        self, key: RunKey, data: Storage, place: Place, there: Sequence[str], upload: Upload | None
    ) -> None:
        """`there`: the names of the existing parts. `upload`: for a storage that cannot rename parts."""
        self._key = key
        self._data = data
        self._place = place
        self._numbers = uploading.numbers(data, there)
        self._upload = upload
        self._part: OpenPart | None = None
        self._written: list[tuple[PartRecord, str]] = []
        """The finished parts, each with its present path."""
        self.in_order = True
        """Whether all rows so far arrived in the order of a part."""

    def append(self, rows: SortedRows, *, last: bool = False) -> None:
        """Write sorted rows: into the open part if they belong after its rows, else into a new part. `last`:
        no others follow."""
        if self._part is not None and not self._part.accepts(rows):
            self.close()
            self.in_order = False  # the rows overlap with what is written: larger pieces make fewer parts
        for start, stop, keys in row_groups(rows):
            part = self._part or self._open(rows if last and stop - start == len(rows) else None)
            part.write(rows, start, stop, keys)
            if part.full:
                self.close()

    def close(self) -> None:
        """Finish the open part, if there is one."""
        part = self._part
        if part is not None:
            is_full = part.full  # a closed part cannot tell
            part.close()
            self._part = None
            output, path = part.output, part.output.path
            # so that a large run takes little space on this machine
            if self._upload is not None and is_full:
                self._upload.part(path, self._name)
                path = self._place.path(self._name)
            self._written.append((PartRecord(self._name, part.rows, output.size, output.sha256), path))
            failpoint("dataset.part-written")

    def add_empty(self) -> None:
        """Write a part without rows."""
        self._open()
        self.close()

    def discard(self) -> None:
        """Delete all new parts."""
        if self._part is not None:
            self._part.discard()
            self._part = None
        for part, path in self._written:
            if path != self._place.path(part.name):
                self._data.delete(path)
        if self._upload is not None:
            self._upload.discard()
        self._written = []

    def placed(self, taken: Collection[int]) -> list[PartRecord]:
        """The parts with their final names: the lowest free ones if the storage can rename."""
        if self._upload is None:
            numbers = (n for n in range(len(taken) + len(self._written)) if n not in taken)
            for index, ((part, path), number) in enumerate(zip(self._written, numbers, strict=False)):
                name = self._place.part_name(number)
                beside = temporary(self._place.path(name))
                if beside != path:
                    self._data.move(path, beside)
                self._written[index] = replace(part, name=name), beside
        return [part for part, _ in self._written]

    @property
    def rows(self) -> int:
        """How many rows the finished parts have."""
        return sum(part.rows for part, _ in self._written)

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of the finished parts."""
        return tuple(path for _, path in self._written)

    @property
    def closed(self) -> list[Part]:
        """The finished parts, ready to be read."""
        return [Part(self._data, path) for path in self.paths]

    def _open(self, only: SortedRows | None = None) -> OpenPart:
        self._name = self._place.part_name(next(self._numbers))
        output = self._data.create(temporary(self._place.path(self._name)))
        self._part = OpenPart(output, self._key, only)
        return self._part
