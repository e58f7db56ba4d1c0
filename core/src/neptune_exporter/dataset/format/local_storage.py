"""A folder on a disk of this machine."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
from pyarrow import fs

from neptune_exporter.contract import DatasetError, UnsafePathError
from neptune_exporter.dataset.format import lock
from neptune_exporter.dataset.format.layout import LOCK, OWN_FOLDER
from neptune_exporter.dataset.format.storage import Entry, HeldLock, Output, Storage
from neptune_exporter.location import Location
from neptune_exporter.toolkit import first_line
from neptune_exporter.toolkit.measuring import measured

_SETTLED_NS = 2 * 10**9
"""After this time a change is certain to show in a file's time: some file systems store only even seconds."""
_SYNCS = 4
"""How many files are synced at a time."""


class LocalStorage(Storage):
    """Uses `pyarrow.fs`, and adds what that lacks: syncing, locks, and recognising links."""

    def __init__(self, location: Location | Path | str) -> None:
        self.location = Location.of(location)
        self.root = Path(self.location.address)
        self._root = str(self.root)
        self._fs = fs.SubTreeFileSystem(self.root.absolute().as_posix(), fs.LocalFileSystem())
        self._synced: set[str] = set()
        """Folders whose own names are on the disk."""

    def describe(self, path: str) -> str:
        return os.path.join(self._root, path.replace("/", os.sep)) if path else self._root  # noqa: PTH118

    def exists(self) -> bool:
        return self.root.is_dir()

    def holds(self, folder: str) -> bool:
        return bool(self.list(folder))

    def size(self, path: str, *, certain: bool = False) -> int | None:
        found = self._stat(path)
        return None if found is None else found.st_size

    def stamp(self, path: str) -> tuple[int, int] | None:
        found = self._stat(path)
        return None if found is None else (found.st_size, found.st_mtime_ns)

    def _stat(self, path: str) -> os.stat_result | None:
        """The stat of a file. Does not use pyarrow, which takes several times as long: this is done for each
        run."""
        try:
            found = os.stat(self._at(path))  # noqa: PTH116 - a path object is slower
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:  # a file with an invalid name cannot exist
                return None
            raise
        return found if stat.S_ISREG(found.st_mode) else None

    def list(self, folder: str = "", *, recursive: bool = False, prefix: str = "") -> list[Entry]:
        if recursive:
            with self.errors(folder, "listed"):
                return sorted(self._walk(folder), key=lambda entry: entry.path)
        with self.errors(folder, "listed"):
            try:
                found = os.scandir(self._at(folder))
            except FileNotFoundError:
                return []
            settled = time.time_ns() - _SETTLED_NS
            with found:
                return sorted(_entry(item, folder, settled) for item in found if item.name.startswith(prefix))

    def _walk(self, folder: str) -> Iterator[Entry]:
        try:
            try:
                os.lstat(self._at(folder))  # most runs have no files, and then there is nothing to check
            except FileNotFoundError:
                return
            except OSError:  # perhaps of a link to itself
                self.check_no_links(folder)
                raise
            self.check_no_links(folder)
            found = os.scandir(self._at(folder))
        except (FileNotFoundError, UnsafePathError):
            return
        with found:
            for item in found:
                if item.is_symlink():
                    continue
                path = f"{folder}/{item.name}"
                is_file = item.is_file(follow_symlinks=False)
                yield Entry(path, is_file, item.stat(follow_symlinks=False).st_size if is_file else 0)
                if not is_file and item.is_dir(follow_symlinks=False):
                    yield from self._walk(path)

    # Always `compression=None`: otherwise pyarrow unpacks files that are called `.gz` while it reads them.

    def read(self, path: str) -> bytes:
        # Does not use pyarrow, which takes several times as long: this is done for each run.
        try:
            with open(self._at(path), "rb", buffering=0) as stream:  # noqa: PTH123
                return stream.read()
        except OSError as error:
            raise self._error(path, "read", error) from error

    def open_input(self, path: str) -> pa.NativeFile:
        with self.errors(path, "read"):
            return self._fs.open_input_file(path)

    def open_bytes(self, path: str) -> BinaryIO:
        with self.errors(path, "read"):
            return (self.root / path).open("rb")

    def create(self, path: str) -> Output:
        # Does not use pyarrow, which takes several times as long: this is done for each run.
        with self.errors(path, "written"):
            try:
                stream = self._created(path)
            except FileNotFoundError:
                self._fs.create_dir(path.rpartition("/")[0], recursive=True)
                stream = self._created(path)
            return Output(self, path, stream)

    def _created(self, path: str) -> BinaryIO:
        return open(self._at(path), "wb", opener=_through_no_link)

    def move(self, source: str, target: str) -> None:
        with self.errors(source, "renamed"):
            try:
                self._replace(source, target)
            except FileNotFoundError:
                self._fs.create_dir(target.rpartition("/")[0], recursive=True)
                self._replace(source, target)

    def _replace(self, source: str, target: str) -> None:
        # On Windows, pyarrow cannot move a file onto an existing one.
        os.replace(self._at(source), self._at(target))  # noqa: PTH105 - a path object is slower

    def delete(self, path: str) -> None:
        with self.errors(path, "deleted"):
            self._fs.delete_file(path)

    def delete_empty_folders(self, folder: str) -> None:
        for entry in sorted(self.list(folder, recursive=True), key=lambda e: e.path, reverse=True):
            if not entry.is_file:
                with contextlib.suppress(OSError):
                    (self.root / entry.path).rmdir()
        with contextlib.suppress(OSError):
            (self.root / folder).rmdir()

    def sha256(self, path: str) -> str:
        with self.errors(path, "read"), self._fs.open_input_stream(path, compression=None) as stream:
            return measured(stream)[1]

    def sync(self, paths: Iterable[str]) -> None:
        """Sync several files at once, so that one flush of the disk serves all of them."""
        files = list(paths)
        shares = [files[first::_SYNCS] for first in range(min(_SYNCS, len(files)))]
        others = _syncing().map(self._sync, shares[1:])
        for share in shares[:1]:  # in this thread: waking another would cost more
            self._sync(share)
        list(others)

    def sync_folders(self, folders: Iterable[str]) -> None:
        wanted = dict.fromkeys(folders)
        # Each folder may be new, and its name is in the folder that holds it.
        named = [name for folder in wanted for name in (folder, *_holders(folder))]
        unnamed = [
            name for name in named if name and _holder(name) not in wanted and name not in self._synced
        ]
        _sync_folders(map(self._at, (*wanted, *dict.fromkeys(map(_holder, unnamed)))))
        self._synced.update(unnamed)

    def _sync(self, paths: Iterable[str]) -> None:
        for path in paths:
            with self.errors(path, "written"):
                _sync(self._at(path), os.O_RDWR | getattr(os, "O_BINARY", 0))

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}"

    def check_no_links(self, path: str) -> None:
        place = self._root
        for step in path.split("/"):
            place = f"{place}/{step}"
            try:
                mode = os.lstat(place).st_mode
            except (OSError, ValueError):
                return  # missing: whoever opens it reports that
            if stat.S_ISLNK(mode):
                raise UnsafePathError(f"{Path(place)} is a symbolic link; it is not followed")

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        path = self.root / LOCK
        new = [folder for folder in path.parents if not folder.exists()]
        with lock.held(path, str(self.location)):
            _sync_folders(str(folder.parent) for folder in new[1:])
            try:
                yield
            finally:
                if new and self._holds_only_a_lock():
                    _delete(path, new)

    def _holds_only_a_lock(self) -> bool:
        with contextlib.suppress(OSError):
            there = [path for folder in ("", OWN_FOLDER) for path in (self.root / folder).iterdir()]
            return there == [self.root / OWN_FOLDER, self.root / LOCK]
        return False

    def try_lock(self, path: str) -> HeldLock | None:
        with self.errors(path, "locked"):
            return lock.try_file(self.root / path)

    @contextlib.contextmanager
    def errors(self, path: str, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._error(path, what, error) from error

    def _error(self, path: str, what: str, error: OSError) -> DatasetError:
        # Arrow's own text has several sentences, and repeats the number.
        reason = os.strerror(error.errno) if error.errno else first_line(error)
        return DatasetError(f"{self.describe(path)} cannot be {what}: {reason}")


def _delete(path: Path, folders: Iterable[Path]) -> None:
    """Delete a file, and these folders if they are empty then; not on Windows while the file is open."""
    with contextlib.suppress(OSError):
        path.unlink()
        for folder in folders:
            folder.rmdir()


def _holder(path: str) -> str:
    """The folder in which the name of a file or folder is; empty for the root."""
    return path.rpartition("/")[0]


def _holders(path: str) -> Iterator[str]:
    while path := _holder(path):
        yield path


def _entry(item: os.DirEntry[str], folder: str, settled: int) -> Entry:
    """One item of a folder; a link counts as what it leads to. Times of change before `settled` (in ns) can
    be trusted."""
    path = f"{folder}/{item.name}" if folder else item.name
    try:
        found = item.stat()
    except FileNotFoundError:  # it was deleted meanwhile, or is a link to nothing
        return Entry(path, False, 0)
    except OSError:
        if item.is_symlink():  # a link to itself
            return Entry(path, False, 0)
        raise
    if not stat.S_ISREG(found.st_mode):
        return Entry(path, False, 0)
    return Entry(path, True, found.st_size, found.st_mtime_ns if found.st_mtime_ns < settled else None)


@lru_cache(maxsize=1)
def _syncing() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_SYNCS, thread_name_prefix="sync")


if hasattr(os, "register_at_fork"):
    # A forked process inherits the pool without its threads, and would wait for them without end.
    os.register_at_fork(after_in_child=_syncing.cache_clear)


def _through_no_link(path: str, flags: int) -> int:
    # A link at this name would lead out of the folder.
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def _sync_folders(paths: Iterable[str]) -> None:
    if os.name == "nt":
        return
    for path in paths:
        with contextlib.suppress(OSError):  # some network file systems refuse to sync a folder
            _sync(path, os.O_RDONLY)


def _sync(path: str, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
