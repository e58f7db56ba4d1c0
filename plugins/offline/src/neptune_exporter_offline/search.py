"""Searches folders for what the clients left: every log and database once, and no place left out silently."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from neptune_exporter.contract import UsageError
from neptune_exporter.toolkit import clean
from neptune_exporter_offline import oplog
from neptune_exporter_offline.folders import DATABASE, Folder, describe_database, describe_log
from neptune_exporter_offline.text import shown

_DATA = ".neptune"
"""What a client calls its own folder."""


class Search:
    """What lies in and below the given paths.

    Links to folders are followed: logs are often kept elsewhere, on a scratch disk. A
    folder is named by where it really is, so a run is the same however it was found.
    """

    def __init__(self, paths: tuple[str, ...]) -> None:
        """Search.

        Raises:
            UsageError: a path is not there.
        """
        self.closed: list[str] = []
        """Places that could not be searched, and why: runs may lie there."""
        self._seen: set[tuple[int, int, bool]] = set()
        found: dict[Path, Folder] = {}
        for given in paths:
            for folder in self._below(_existing(given), _DATA in Path(given).parts):
                found.setdefault(folder.path, folder)
        epoch = datetime.fromtimestamp(0, timezone.utc)
        self.folders = sorted(found.values(), key=lambda f: (f.started_at or epoch, str(f.path)))
        """Each once, in the order in which they were begun."""

    def _below(self, path: Path, is_data: bool) -> Iterator[Folder]:
        """`is_data`: a part of the path or a link that led there is called `.neptune`."""
        if path.is_file():
            if (database := describe_database(path)) is not None:
                yield database
            return
        pending = [(path, is_data)]
        while pending:
            here, is_data = pending.pop()
            entries = self._entries(here, is_data)
            names = [entry.name for entry in entries]
            is_log = any(map(oplog.is_log_name, names))
            if is_log:
                yield describe_log(here)
            for name in names:
                if _is_database(here / name, is_data) and (
                    # Where it really is, its write-ahead log lies beside it.
                    database := describe_database((here / name).resolve())
                ):
                    yield database
            if not is_log:
                pending += self._folders(here, is_data, entries)

    def _entries(self, folder: Path, is_data: bool) -> list[os.DirEntry[str]]:
        """What is in a folder; nothing if it was searched before, which also ends loops of links."""
        try:
            status = folder.stat()
            place = (status.st_dev, status.st_ino, is_data)
            if place in self._seen:
                return []
            self._seen.add(place)
            with os.scandir(folder) as entries:
                return list(entries)
        except OSError as error:
            self._close(folder, error)
            return []

    def _folders(
        self, here: Path, is_data: bool, entries: list[os.DirEntry[str]]
    ) -> Iterator[tuple[Path, bool]]:
        for entry in entries:
            path, name = here / entry.name, entry.name
            try:
                if entry.is_dir(follow_symlinks=False):
                    yield path, is_data or name == _DATA
                elif entry.is_symlink() and stat.S_ISDIR(path.stat().st_mode):
                    yield path.resolve(), is_data or name == _DATA
            except OSError as error:
                # Links that lead nowhere are everywhere; this one had led to runs.
                if not isinstance(error, FileNotFoundError) or name == _DATA:
                    self._close(path, error)

    def _close(self, path: Path, error: OSError) -> None:
        self.closed.append(f"{clean(shown(str(path)))} cannot be searched: {error.strerror}")


def _is_database(path: Path, is_data: bool) -> bool:
    """By its name: other programs keep databases too, which are not to be opened."""
    is_named_so = path.name == DATABASE or (is_data and path.suffix == ".sqlite3")
    return is_named_so and not os.path.isdir(path)  # noqa: PTH112 - pathlib's raises in a closed folder


def _existing(given: str) -> Path:
    path = Path(given).expanduser()
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(
            f"--offline-path {given}: there is no such folder; name the .neptune folder (or one above it)"
        ) from None
    except OSError as error:
        raise UsageError(f"--offline-path {given}: {error.strerror}") from error
    return path.resolve()
