"""The only module that touches storage.

Paths are relative to a root and written with `/`. Everything goes through
`pyarrow.fs`; what it lacks on local disks (syncing, locks, seeing links) is here
too and nowhere else.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple

import pyarrow as pa
from pyarrow import fs

from neptune_exporter.contract import DatasetError, UnsafePathError

_CHUNK = 1 << 20
_SYNCS = 4
"""Files that are synced at a time."""
_SETTLED_NS = 2 * 10**9
"""After so long a change shows in a file's time: some file systems know only every other second."""


class Entry(NamedTuple):
    """One thing in a folder."""

    path: str
    """Relative to the root."""
    is_file: bool
    size: int
    version: int | None = None
    """Of a file: as long as it and the size stay, so does the content. None where a listing cannot tell."""

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


class Storage:
    """A folder on the local disk, as a tree of relative paths."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        self._root = str(self.root)
        self._fs = fs.SubTreeFileSystem(self.root.absolute().as_posix(), fs.LocalFileSystem())

    def describe(self, path: str) -> str:
        """The path as a person knows it."""
        return os.path.join(self._root, path.replace("/", os.sep)) if path else self._root  # noqa: PTH118

    def size(self, path: str) -> int | None:
        """Bytes of a file, None if there is none."""
        found = self._stat(path)
        return None if found is None else found.st_size

    def stamp(self, path: str) -> tuple[int, int] | None:
        """Size and time of change in ns, None if there is no such file: as long as they stay, so does it."""
        found = self._stat(path)
        return None if found is None else (found.st_size, found.st_mtime_ns)

    def _stat(self, path: str) -> os.stat_result | None:
        """Of a file. Not by pyarrow, which takes several times as long, and does this for each run."""
        try:
            found = os.stat(self._at(path))  # noqa: PTH116 - a path object costs more
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:  # a name that cannot be is not there
                return None
            raise
        return found if stat.S_ISREG(found.st_mode) else None

    def list(self, folder: str = "", *, recursive: bool = False) -> list[Entry]:
        """What is in a folder, sorted by path; nothing if there is no such folder.

        With `recursive` what lies at or behind a symbolic link is left out: it may not be the dataset's.
        """
        if recursive:
            with self._errors(folder, "listed"):
                return sorted(self._walk(folder), key=lambda entry: entry.path)
        with self._errors(folder, "listed"):
            try:
                found = os.scandir(self._at(folder))
            except FileNotFoundError:
                return []
            settled = time.time_ns() - _SETTLED_NS
            with found:
                return sorted(_entry(item, folder, settled) for item in found)

    def _walk(self, folder: str) -> Iterator[Entry]:
        try:
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

    # Everywhere `compression=None`: pyarrow would else unpack what is called `.gz` while it is read.

    def read(self, path: str) -> bytes:
        """The whole content. Not by pyarrow, which takes several times as long: this is done for each run."""
        with self._errors(path, "read"), open(self._at(path), "rb", buffering=0) as stream:  # noqa: PTH123
            return stream.read()

    def open_input(self, path: str) -> pa.NativeFile:
        """Open for reading anywhere in it."""
        with self._errors(path, "read"):
            return self._fs.open_input_file(path)

    def open_bytes(self, path: str) -> BinaryIO:
        """Open as an ordinary Python file."""
        with self._errors(path, "read"):
            return (self.root / path).open("rb")

    def create(self, path: str) -> Output:
        """Open for writing; folders are made as needed."""
        with self._errors(path, "written"):
            self._fs.create_dir(path.rpartition("/")[0], recursive=True)
            return Output(self, path, self._fs.open_output_stream(path, compression=None))

    def create_whole(self, path: str, data: bytes) -> None:
        """Write a small file at once, without waiting for the disk."""
        with self.create(path) as output:
            output.write(data)

    def move(self, source: str, target: str) -> None:
        """Rename; what was at the target is replaced. Folders are made as needed."""
        with self._errors(source, "renamed"):
            try:
                self._replace(source, target)
            except FileNotFoundError:
                self._fs.create_dir(target.rpartition("/")[0], recursive=True)
                self._replace(source, target)

    def _replace(self, source: str, target: str) -> None:
        # pyarrow cannot move onto something that exists on Windows.
        os.replace(self._at(source), self._at(target))  # noqa: PTH105 - a path object costs more

    def delete(self, path: str) -> None:
        with self._errors(path, "deleted"):
            self._fs.delete_file(path)

    def delete_empty_folders(self, folder: str) -> None:
        """Delete the folders below (and) this one that hold nothing."""
        for entry in sorted(self.list(folder, recursive=True), key=lambda e: e.path, reverse=True):
            if not entry.is_file:
                with contextlib.suppress(OSError):
                    (self.root / entry.path).rmdir()
        with contextlib.suppress(OSError):
            (self.root / folder).rmdir()

    def sha256(self, path: str) -> str:
        """Hex; streamed."""
        digest = hashlib.sha256()
        with self._errors(path, "read"), self._fs.open_input_stream(path, compression=None) as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
        return digest.hexdigest()

    def sync(self, paths: Iterable[str]) -> None:
        """Have the bytes of files reach the disk: at once, so that what the disk does for one serves others.

        Raises:
            DatasetError: one of them did not.
        """
        files = list(paths)
        others = _syncing().map(self._sync, files[1:])
        for path in files[:1]:  # here: waking a thread for it would cost more
            self._sync(path)
        list(others)

    def sync_folders(self, folders: Iterable[str]) -> None:
        """Have the names in folders reach the disk, where the system knows such a thing."""
        if os.name == "nt":
            return
        for folder in dict.fromkeys(folders):
            with contextlib.suppress(OSError):  # some network file systems refuse
                _sync(self._at(folder), os.O_RDONLY)

    def _sync(self, path: str) -> None:
        with self._errors(path, "written"):
            _sync(self._at(path), os.O_RDWR | getattr(os, "O_BINARY", 0))

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}"

    def check_no_links(self, path: str) -> None:
        """Raise UnsafePathError if any step of the path below the root is a symbolic link."""
        place = self.root
        for step in path.split("/"):
            place = place / step
            try:
                mode = place.lstat().st_mode
            except (OSError, ValueError):
                return  # not there: for the one who opens it to say
            if stat.S_ISLNK(mode):
                raise UnsafePathError(f"{place} is a symbolic link; it is not followed")

    @contextlib.contextmanager
    def _errors(self, path: str, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # Arrow's own text is several sentences long, and names the number as well.
            reason = os.strerror(error.errno) if error.errno else str(error).splitlines()[0]
            raise DatasetError(f"{self.describe(path)} cannot be {what}: {reason}") from error


def _entry(item: os.DirEntry[str], folder: str, settled: int) -> Entry:
    """What a folder holds; behind a link, what that names. Changes before `settled`, in ns, are old."""
    path = f"{folder}/{item.name}" if folder else item.name
    try:
        found = item.stat()
    except FileNotFoundError:  # it went meanwhile, or is a link that leads nowhere
        return Entry(path, False, 0)
    except OSError:
        if item.is_symlink():  # one that leads to itself
            return Entry(path, False, 0)
        raise
    if not stat.S_ISREG(found.st_mode):
        return Entry(path, False, 0)
    return Entry(path, True, found.st_size, found.st_mtime_ns if found.st_mtime_ns < settled else None)


class Output:
    """A file being written: counts and digests its bytes.

    Enough of a file object for `pyarrow.parquet.ParquetWriter`.
    """

    def __init__(self, storage: Storage, path: str, stream: pa.NativeFile) -> None:
        self.path = path
        self.size = 0
        self._storage = storage
        self._stream = stream
        self._digest = hashlib.sha256()
        self._failure: DatasetError | None = None
        self._is_discarded = False

    @property
    def sha256(self) -> str:
        """Hex, of what was written so far."""
        return self._digest.hexdigest()

    @property
    def closed(self) -> bool:
        return bool(self._stream.closed)

    def write(self, data: bytes) -> int:
        """Append. After a failure or `discard` nothing more: a Parquet writer that ends would fail aloud, and
        so would a buffer of Arrow's that is destroyed with bytes in it."""
        if self._failure is not None or self._is_discarded:
            return len(data)
        try:
            with self._storage._errors(self.path, "written"):
                self._stream.write(data)
        except DatasetError as error:
            self._failure = error
            raise
        self._digest.update(data)
        self.size += len(data)
        return len(data)

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        """Nothing to do before the end."""

    def close(self) -> None:
        """Close. The bytes may not have reached the disk yet: see `Storage.sync`.

        Raises:
            DatasetError: closing failed, or something could not be written before.
        """
        if not self.closed:
            if self._failure is not None:
                raise self._failure
            with self._storage._errors(self.path, "written"):
                self._stream.close()

    def discard(self) -> None:
        """Close and delete."""
        self._is_discarded = True
        self._stream.close()
        self._storage.delete(self.path)

    def __enter__(self) -> Output:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.discard()


@lru_cache(maxsize=1)
def _syncing() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_SYNCS, thread_name_prefix="sync")


if hasattr(os, "register_at_fork"):
    # A forked process has the pool and none of its threads: it would wait for them for ever.
    os.register_at_fork(after_in_child=_syncing.cache_clear)


def _sync(path: str, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
