"""What the dataset needs from the place where it is stored, a disk or an object store.

Paths are relative to a root and written with `/`. Only `local_storage` and `object_storage` know which of the
two it is.
"""

from __future__ import annotations

import contextlib
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa

from neptune_exporter.contract import DatasetError
from neptune_exporter.location import Location

CHUNK = 1 << 20
"""How many bytes are read at a time."""


class Entry(NamedTuple):
    """A file or folder in a listing."""

    path: str
    """Relative to the root."""
    is_file: bool
    size: int
    version: int | None = None
    """For a file: if this and the size are unchanged, so is the content. None if a listing cannot say."""

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


class HeldLock(NamedTuple):
    """A lock that is held."""

    release: Callable[[], None]
    note: Mapping[str, Any] = MappingProxyType({})
    """The note that was stored with it; empty if locks end with their process."""


class Storage(ABC):
    """A folder, as a tree of relative paths. Every error is a DatasetError that names the path."""

    location: Location
    renames = True
    """Whether renaming a file is cheap. If not, parts get their final name at once, and count as soon as a
    receipt names them."""

    @abstractmethod
    def describe(self, path: str) -> str:
        """The path as people know it."""

    def exists(self) -> bool:
        """Whether the root exists."""
        return self.holds("")

    @abstractmethod
    def holds(self, folder: str) -> bool:
        """Whether a folder has any content."""

    @abstractmethod
    def size(self, path: str, *, certain: bool = False) -> int | None:
        """The bytes of a file; None if there is no such file. `certain`: do not trust an earlier listing, as
        the file seems to be missing."""

    @abstractmethod
    def stamp(self, path: str) -> tuple[int, int] | None:
        """The size, and a number that changes with the content: on disk, the time of change in ns. None if
        there is no such file."""

    @abstractmethod
    def list(self, folder: str = "", *, recursive: bool = False, prefix: str = "") -> list[Entry]:
        """The content of a folder, sorted by path; empty if there is no such folder.

        With `recursive`, also what lies in the folders below it, but neither symbolic links nor what lies
        behind them, as they may leave the dataset. With `prefix`, only names that begin with it.
        """

    def look(self, folder: str, *, prefix: str = "", recursive: bool = False) -> None:  # noqa: B027
        """List a folder in advance, if that is faster than asking for each file."""

    def ask_again(self, path: str) -> None:  # noqa: B027
        """Trust no earlier listing about this file, because others may have written it since."""

    def forget(self) -> None:  # noqa: B027
        """Forget all listings, because others may have written."""

    def clear_uploads(self) -> None:  # noqa: B027
        """Delete interrupted uploads. Call it as the only writer."""

    @abstractmethod
    def read(self, path: str) -> bytes:
        """The content of a file."""

    @abstractmethod
    def open_input(self, path: str) -> pa.NativeFile:
        """Open a file for random access."""

    @abstractmethod
    def open_bytes(self, path: str) -> BinaryIO:
        """Open a file as an ordinary Python file."""

    @abstractmethod
    def create(self, path: str) -> Output:
        """Open a file for writing; missing folders are made."""

    def create_whole(self, path: str, data: bytes) -> None:
        """Write a small file with one call, without waiting for the disk."""
        output = self.create(path)
        try:
            output.write(data)
            output.close()
        except BaseException:
            output.discard()
            raise

    @abstractmethod
    def move(self, source: str, target: str) -> None:
        """Rename a file and replace the target. Missing folders are made."""

    @abstractmethod
    def delete(self, path: str) -> None:
        """Delete a file."""

    @abstractmethod
    def delete_empty_folders(self, folder: str) -> None:
        """Delete this folder and the folders below it, as far as they are empty."""

    @abstractmethod
    def sha256(self, path: str) -> str:
        """The SHA-256 of a file in hex; the file is streamed."""

    def sync(self, paths: Iterable[str]) -> None:  # noqa: B027 - what an object store has accepted is durable
        """Wait until the bytes of the files are on the disk."""

    def sync_folders(self, folders: Iterable[str]) -> None:  # noqa: B027
        """Wait until the names in the folders are on the disk, if the system supports that."""

    def check_no_links(self, path: str) -> None:  # noqa: B027 - an object store has none
        """Raise UnsafePathError if any component of the path below the root is a symbolic link."""

    @abstractmethod
    def lock(self) -> AbstractContextManager[None]:
        """Be the only writer of this folder while the block runs. Raises DatasetError if another process is
        the writer (the message says which, and since when); or the folder cannot be written."""

    @abstractmethod
    def try_lock(self, path: str) -> HeldLock | None:
        """Take the lock of this name; None if another holds it. The lock has a file for as long as it is
        held."""

    @abstractmethod
    def errors(self, path: str, what: str) -> AbstractContextManager[None]:
        """Turn errors of the storage into a DatasetError: the path cannot be `what`, and why."""


class Output:
    """A file that is being written; counts and digests its bytes.

    It has the methods that `pyarrow.parquet.ParquetWriter` needs.
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
        """The SHA-256 in hex of what was written so far."""
        return self._digest.hexdigest()

    @property
    def closed(self) -> bool:
        return bool(self._stream.closed)

    def write(self, data: bytes) -> int:
        """Append bytes. Ignored after a failure or `discard`, because a Parquet writer writes when it is
        closed, and Arrow's buffers when they are destroyed; both would print errors."""
        if self._failure is not None or self._is_discarded:
            return len(data)
        try:
            with self._storage.errors(self.path, "written"):
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
        """Does nothing: `close` flushes."""

    def close(self) -> None:
        """Close the file. Its bytes may not be on the disk yet: see `Storage.sync`. Raises DatasetError if
        closing failed, or an earlier write failed."""
        if not self.closed:
            if self._failure is not None:
                raise self._failure
            with self._storage.errors(self.path, "written"):
                self._stream.close()

    def discard(self) -> None:
        """Close and delete."""
        self._is_discarded = True
        with contextlib.suppress(OSError):  # bytes that a full disk did not take
            self._stream.close()
        self._storage.delete(self.path)
