"""Searches folders for what the clients left: every log and database once, and no place left out silently."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path

from neptune_exporter.contract import UsageError
from neptune_exporter.toolkit import clean
from neptune_exporter_offline import oplog
from neptune_exporter_offline.folders import DATABASE, Folder, describe_database, describe_log
from neptune_exporter_offline.problems import shown

DATA = ".neptune"
"""What a client calls its own folder."""


class Search:
    """What lies in and below the given paths.

    Links to folders are followed: logs are often kept elsewhere, on a scratch disk. A
    folder is named by where it really is, so a run is the same however it was found.
    """

    def __init__(self, paths: tuple[str, ...]) -> None:
        """Search the paths. Raises UsageError if one is not there."""
        self.closed: list[str] = []
        """Places that could not be searched, and why: runs may lie there."""
        self._seen: set[tuple[int, int, bool]] = set()
        found: dict[Path, Folder] = {}
        for given in paths:
            for folder in self._below(_existing(given), DATA in Path(given).parts):
                found.setdefault(folder.path, folder)
        epoch = datetime.fromtimestamp(0, timezone.utc)
        self.folders = sorted(found.values(), key=lambda f: (f.started_at or epoch, str(f.path)))
        """Each once, in the order in which they were begun."""

    def _below(self, path: Path, is_data: bool) -> Iterator[Folder]:
        """The logs and databases in a folder and below it, or the one database that the path names.

        `is_data`: a part of the path, or a link on the way, is called `.neptune`.
        """
        if path.is_file():
            yield _given_database(path, is_data)
            return
        pending = [(path, is_data)]
        while pending:
            here, is_data = pending.pop()
            entries = self._entries(here, is_data)
            is_log = any(oplog.is_log_name(entry.name) for entry in entries)
            if is_log:
                entries = [entry for entry in entries if entry.name != oplog.UPLOADS]
            yield from _described(here, entries, is_log=is_log, is_data=is_data)
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
                return [entry for entry in entries if not _is_of_the_system(entry.name)]
        except OSError as error:
            self._close(folder, error)
            return []

    def _folders(
        self, here: Path, is_data: bool, entries: list[os.DirEntry[str]]
    ) -> Iterator[tuple[Path, bool]]:
        for entry in entries:
            name = entry.name
            try:
                folder = _folder_of(entry, here / name)
            except OSError as error:
                # Broken links are common and harmless; one called `.neptune` led to runs.
                if not isinstance(error, FileNotFoundError) or name == DATA:
                    self._close(here / name, error)
            else:
                if folder is not None:
                    yield folder, is_data or name == DATA

    def _close(self, path: Path, error: OSError) -> None:
        self.closed.append(f"{clean(shown(str(path)))} cannot be searched: {error.strerror}")


def find_again(path: Path) -> Folder | None:
    """A log or database that a search, maybe of another process, has found; None if it is gone."""
    if os.path.isdir(path):  # noqa: PTH112 - pathlib's raises in a closed folder
        return describe_log(path, is_data=True) if oplog.log_files(path) else None
    # A file that is gone or closed is an error of the reading, which names it.
    return describe_database(path, is_data=True) if os.path.isdir(path.parent) else None  # noqa: PTH112


def _given_database(path: Path, is_data: bool) -> Folder:
    """A file that the user named."""
    database = describe_database(path, is_data=is_data)
    if database is None:
        raise UsageError(
            f"--offline-path {shown(str(path))} is a file, and no database of neptune-scale; "
            "name the .neptune folder, or the folder of a run"
        )
    return database


def _described(
    here: Path, entries: list[os.DirEntry[str]], *, is_log: bool, is_data: bool
) -> Iterator[Folder]:
    """The log that a folder is, and the databases in it."""
    if is_log and (log := describe_log(here, is_data=is_data)) is not None:
        yield log
    for entry in entries:
        path = here / entry.name
        # Where it really is, its write-ahead log lies beside it.
        if _may_be_database(path) and (database := describe_database(path.resolve(), is_data=is_data)):
            yield database


def _folder_of(entry: os.DirEntry[str], path: Path) -> Path | None:
    """The folder that an entry is or links to."""
    if entry.is_dir(follow_symlinks=False):
        return path
    return path.resolve() if entry.is_symlink() and stat.S_ISDIR(path.stat().st_mode) else None


def _is_of_the_system(name: str) -> bool:
    """Whether an operating system or an archiver put it there: not the client, and not a person.

    AppleDouble files (`._name`) appear beside every file that a Mac copies to a disk of another system.
    """
    return name.startswith("._") or name in ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")


def _may_be_database(path: Path) -> bool:
    """Whether its name fits. Its content decides, because other programs have databases too."""
    return path.suffix.casefold() == ".sqlite3" and not os.path.isdir(path)  # noqa: PTH112 - pathlib's raises in a closed folder


def _existing(given: str) -> Path:
    try:
        path = Path(given).expanduser()
        path.stat()
    except RuntimeError:  # of expanduser
        raise UsageError(
            f"--offline-path {given}: the home folder is not known; write the whole path"
        ) from None
    except (FileNotFoundError, NotADirectoryError):
        others = unread_beside(path.absolute(), ()) if path.name == DATA else []
        where = clean(shown(", ".join(map(str, others))))
        hint = f"runs lie in {where}" if others else "name the .neptune folder (or one above it)"
        raise UsageError(f"--offline-path {given}: there is no such folder; {hint}") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(
            f"--offline-path {shown(given):.200}: {reason}; name a folder that you may read"
        ) from error
    return path.resolve()


_MOST_ENTRIES = 200
"""How many entries are looked at, here and in each folder beside: a home folder may hold thousands."""


def unread_beside(data: Path, read: Collection[Path]) -> list[Path]:
    """The folders beside `.neptune`, or the one above, in which databases lie that are not among those that
    were read."""

    def is_unread(path: Path) -> bool:
        is_file = path.suffix.casefold() == ".sqlite3" and os.path.isfile(path)  # noqa: PTH113 - pathlib's may raise
        return is_file and path.resolve() not in read and describe_database(path, is_data=False) is not None

    found = [data.parent] if any(map(is_unread, _entries(data.parent))) else []
    for folder in filter(os.path.isdir, _entries(data.parent)):
        inside = list(_entries(folder))
        # Since 0.13, each database lies in a folder of its own.
        if any(map(is_unread, (*inside, *(path / DATABASE for path in inside)))):
            found.append(folder)
    return found


def _entries(folder: Path) -> Iterator[Path]:
    """Visible entries, as far as they can be read: this is only for a hint."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in islice(entries, _MOST_ENTRIES))
    except OSError:
        return iter(())
    return (folder / name for name in names if not name.startswith("."))
