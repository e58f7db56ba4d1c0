"""An export that writes nothing, such as one that is refused, leaves no folders behind."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from neptune_exporter.contract import DatasetError, UsageError
from neptune_exporter.dataset.format.layout import LOCK, OWN_FOLDER, OWNER
from neptune_exporter.dataset.format.local_storage import LocalStorage
from neptune_exporter.dataset.format.storage import Storage


@contextlib.contextmanager
def locked_unless_unused(data: Storage, files: Storage) -> Iterator[None]:
    """Hold the lock of the data folder. Folders of the dataset that were made meanwhile and hold nothing are
    removed at the end."""
    local = [each.root for each in (data, files) if isinstance(each, LocalStorage)]
    made = [(root, _first_missing(root / OWN_FOLDER)) for root in local] if len(local) == 2 else []
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(data.lock())
        except DatasetError:  # not `_is_removed`: a process that was faster may be at work
            for root, missing in made[:1]:
                _remove_empty(root / OWN_FOLDER, missing)
            raise
        try:
            yield
        except UsageError:  # refused: also a new folder of files goes, beside data that was there
            all(_is_removed(*each) for each in reversed(made))
            raise
        finally:
            all(_is_removed(*each) for each in made)  # files of data that stays stay


def _remove_empty(folder: Path, last: Path | None) -> None:
    """Remove a folder and those above it, up to the last, as far as they are there and empty."""
    for each in (folder, *folder.parents):
        if last is None or not each.is_relative_to(last):
            return
        with contextlib.suppress(OSError):
            each.rmdir()


def _is_removed(root: Path, made: Path | None) -> bool:
    """Remove a folder, unless it was there before or is used."""
    ours = [root / LOCK, root / OWNER]
    if made is None or any(path.is_file() and path not in ours for path in root.rglob("*")):
        return False
    with contextlib.suppress(OSError):  # Windows deletes no open file
        for path in ours:
            path.unlink(missing_ok=True)
        for folder in sorted(filter(Path.is_dir, made.rglob("*")), reverse=True):
            folder.rmdir()
        made.rmdir()
    return True


def _first_missing(folder: Path) -> Path | None:
    """The highest folder that is not there, of this one and those above it."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    return missing[-1] if missing else None
