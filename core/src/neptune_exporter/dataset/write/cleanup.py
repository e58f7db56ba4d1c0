"""Deletes files that no published row names any more."""

from __future__ import annotations

from collections.abc import Callable

from neptune_exporter.dataset.format.file_names import is_ours
from neptune_exporter.dataset.format.layout import Place
from neptune_exporter.dataset.format.paths import folded
from neptune_exporter.dataset.format.receipts import Receipt
from neptune_exporter.dataset.format.storage import Entry, Storage
from neptune_exporter.dataset.read.named_files import named_files
from neptune_exporter.dataset.read.parts import Part


def sync_files(files: Storage, place: Place) -> list[Entry]:
    """Wait until the names of a run's files are on the disk. Returns the files."""
    found = files.list(place.files_folder, recursive=True)
    if found:
        below = [entry.path for entry in found if not entry.is_file]
        files.sync_folders([*below, place.files_folder, place.folder])
    return [entry for entry in found if entry.is_file]


def drop_unnamed_files(
    data: Storage,
    files: Storage,
    place: Place,
    receipt: Receipt,
    stored: list[Entry],
    keeps: Callable[[], bool],
) -> None:
    """Delete files in the run's own folder that an earlier export of ours stored and that no row names any
    more, in any spelling. Deletes nothing if `keeps` says that unreadable rows may name them."""
    ours = [entry for entry in stored if is_ours(entry.path.removeprefix(f"{place.files_folder}/"))]
    if not ours or len(stored) == receipt.files or keeps():
        return  # rows name all of them: every path in a row was stored, and no two rows share a file
    parts = [Part(data, place.path(part.name)) for part in receipt.parts]
    named = {folded(f"{place.project_folder}/{path}") for path in named_files(parts)}
    for entry in ours:
        if folded(entry.path) not in named:
            files.delete(entry.path)
    files.delete_empty_folders(place.files_folder)
