"""The files that the rows of a run name."""

from __future__ import annotations

from typing import BinaryIO

from neptune_exporter.contract import MissingFileError, RunView
from neptune_exporter.dataset.format import paths
from neptune_exporter.dataset.format.layout import Place
from neptune_exporter.dataset.format.storage import Storage


class RunFiles(RunView):
    """The part of `StoredRun` that reads files."""

    def __init__(self, files: Storage, place: Place) -> None:
        self._files = files
        self.place = place

    def open_file(self, file: str) -> BinaryIO:
        path = self.file_path(file)
        if path is None:
            there = self._files.describe(f"{self.place.project_folder}/{file}")
            raise MissingFileError(f"{there}, a file of {self.key}, is not there")
        return self._files.open_bytes(path)

    def file_path(self, file: str) -> str | None:
        """The path in the folder of files that `file_value.path` names; None if the file is missing. Raises
        UnsafePathError as `open_file` does."""
        self._files.look(self.place.files_folder, recursive=True)
        return paths.find(self._files, self.place.project_folder, file, self.key)

    def files_there(self) -> dict[str, int]:
        """The bytes of the files in the run's own folder, by the path that rows give."""
        found = self._files.list(self.place.files_folder, recursive=True)
        return {e.path.removeprefix(f"{self.place.project_folder}/"): e.size for e in found if e.is_file}

    def file_size(self, file: str) -> int | None:
        """The bytes of the file that `file_value.path` names; None if it is missing. Raises UnsafePathError
        as `open_file` does."""
        path = self.file_path(file)
        return None if path is None else self._files.size(path)
