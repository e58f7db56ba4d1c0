"""Stores the files of runs: streams and digests each under a temporary name, and renames it at the end."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from decimal import Decimal

from neptune_exporter.contract import FileWriter, OpenFile, StoredFile
from neptune_exporter.dataset.format.file_names import file_name
from neptune_exporter.dataset.format.layout import UNFINISHED_FILES, Place
from neptune_exporter.dataset.format.storage import Output, Storage
from neptune_exporter.model import RunKey
from neptune_exporter.toolkit import failpoint


class DatasetFiles(FileWriter):
    """Writes below the files folder of a dataset."""

    def __init__(self, storage: Storage, place_of: Callable[[RunKey], Place]) -> None:
        self._storage = storage
        self._place_of = place_of

    def create(
        self,
        run: RunKey,
        attribute_path: str,
        *,
        name: str = "",
        step: Decimal | float | None = None,
        ordinal: int = 0,
    ) -> OpenFile:
        return _Writing(self._storage, self._place_of(run), file_name(attribute_path, name, step, ordinal))


class _Writing(OpenFile):
    def __init__(self, storage: Storage, place: Place, name: str) -> None:
        self._storage = storage
        self._place = place
        self._name = name
        self._output: Output | None = None
        self._stored: StoredFile | None = None

    def write(self, data: bytes) -> None:
        self._open.write(data)

    @property
    def size(self) -> int:
        return self._open.size

    def restart(self) -> None:
        self._open.discard()
        self._output = self._begin()

    @property
    def stored(self) -> StoredFile:
        if self._stored is None:
            raise ValueError("the file is not stored: its `with` block has not ended well")
        return self._stored

    def __enter__(self) -> OpenFile:
        self._output = self._begin()
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        output = self._open
        if error is not None:
            output.discard()
            return
        output.close()
        self._storage.sync([output.path])
        failpoint("dataset.file-written")
        target = f"{self._place.files_folder}/{self._free_name(output)}"
        self._storage.move(output.path, target)
        relative = target.removeprefix(f"{self._place.project_folder}/")
        self._stored = StoredFile(relative, output.size, output.sha256)

    def _free_name(self, output: Output) -> str:
        """The file's name, or a variant if another content has that name.

        A file with this name may belong to the published state of the run, which stays complete until it is
        replaced. Then files that are no longer named are deleted.
        """
        at = f"{self._place.files_folder}/{self._name}"
        self._storage.look(self._place.files_folder, recursive=True)
        size = self._storage.size(at)
        if size is None or (size == output.size and self._storage.sha256(at) == output.sha256):
            return self._name
        folder, slash, leaf = self._name.rpartition("/")
        base, dot, extension = leaf.partition(".")
        return f"{folder}{slash}{base}-{output.sha256[:16]}{dot}{extension}"

    @property
    def _open(self) -> Output:
        if self._output is None:
            raise ValueError("use the file in a `with` block")
        return self._output

    def _begin(self) -> Output:
        return self._storage.create(f"{UNFINISHED_FILES}/{uuid.uuid4().hex}")
