"""What the dataset asks of the place where it lies: of a disk, or of an object store.

Paths are relative to a root and written with `/`. Only the modules `local_storage` and `object_storage` know
which of the two it is.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Protocol

import pyarrow as pa

from neptune_exporter.contract import DatasetError
from neptune_exporter.location import Location

CHUNK = 1 << 20
"""Bytes that are read at a time."""


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


class HeldLock(Protocol):
    """A lock that is held."""

    @property
    def note(self) -> dict[str, Any]:
        """What is kept with it: where locks end with their process, nothing."""

    def release(self) -> None:
        """Let others have it."""


class Storage(ABC):
    """A folder, as a tree of relative paths. Every error is a DatasetError that names the path."""

    location: Location
    renames = True
    """Whether a file can be renamed at no cost. Where it cannot, parts get their final name at once, and
    count once a receipt names them."""

    @abstractmethod
    def describe(self, path: str) -> str:
        """The path as a person knows it."""

    @abstractmethod
    def exists(self) -> bool:
        """Whether the root is there."""

    @abstractmethod
    def holds(self, folder: str) -> bool:
        """Whether there is anything in a folder."""

    @abstractmethod
    def size(self, path: str, *, certain: bool = False) -> int | None:
        """Bytes of a file, None if there is none.

        Args:
            path: Of the file.
            certain: Do not go by what a listing said before: of a file that is missed.
        """

    @abstractmethod
    def stamp(self, path: str) -> tuple[int, int] | None:
        """Size, and a number that changes with the content: on disk the time of change in ns. None if there
        is no such file."""

    @abstractmethod
    def list(self, folder: str = "", *, recursive: bool = False, prefix: str = "") -> list[Entry]:
        """What is in a folder, sorted by path; nothing if there is no such folder.

        With `recursive` what lies at or behind a symbolic link is left out: it may not be the dataset's.

        Args:
            folder: Whose content.
            recursive: Also what is in folders below it.
            prefix: Only that whose name begins so.
        """

    def look(self, folder: str, *, prefix: str = "", recursive: bool = False) -> None:  # noqa: B027
        """Learn what is in a folder, where asking for each file by itself takes longer."""

    def forget(self) -> None:  # noqa: B027
        """What was listed may no longer be so."""

    def clear_uploads(self) -> None:  # noqa: B027
        """Take back uploads that were cut off. Call it as the one writer."""

    @abstractmethod
    def read(self, path: str) -> bytes:
        """All bytes of a file."""

    @abstractmethod
    def open_input(self, path: str) -> pa.NativeFile:
        """Open for reading anywhere in it."""

    @abstractmethod
    def open_bytes(self, path: str) -> BinaryIO:
        """Open as an ordinary Python file."""

    @abstractmethod
    def create(self, path: str) -> Output:
        """Open for writing; folders are made as needed."""

    def create_whole(self, path: str, data: bytes) -> None:
        """Write a small file at once, without waiting for the disk."""
        with self.create(path) as output:
            output.write(data)

    @abstractmethod
    def move(self, source: str, target: str) -> None:
        """Rename; what was at the target is replaced. Folders are made as needed."""

    @abstractmethod
    def delete(self, path: str) -> None:
        """Delete a file."""

    @abstractmethod
    def delete_empty_folders(self, folder: str) -> None:
        """Delete the folders below (and) this one that hold nothing."""

    @abstractmethod
    def sha256(self, path: str) -> str:
        """Of a file, in hex; streamed."""

    @abstractmethod
    def sync(self, paths: Iterable[str]) -> None:
        """Have the bytes of files reach the disk."""

    @abstractmethod
    def sync_folders(self, folders: Iterable[str]) -> None:
        """Have the names in folders reach the disk, where the system knows such a thing."""

    @abstractmethod
    def check_no_links(self, path: str) -> None:
        """Raise UnsafePathError if any step of the path below the root is a symbolic link."""

    @abstractmethod
    def lock(self) -> AbstractContextManager[None]:
        """Be the one writer of what is here, for a while.

        Raises:
            DatasetError: another one is: says who, and since when. Or nothing can be written.
        """

    @abstractmethod
    def try_lock(self, path: str) -> HeldLock | None:
        """Take a lock of this name; None if another holds it. A file lies there as long as it is held."""

    @abstractmethod
    def errors(self, path: str, what: str) -> AbstractContextManager[None]:
        """Errors of the place as a DatasetError: the path cannot be `what`, and why."""


class Stream(Protocol):
    """What an `Output` writes to."""

    @property
    def closed(self) -> bool: ...
    def write(self, data: bytes, /) -> object: ...
    def close(self) -> object: ...


class Output:
    """A file being written: counts and digests its bytes.

    Enough of a file object for `pyarrow.parquet.ParquetWriter`.
    """

    def __init__(self, storage: Storage, path: str, stream: Stream) -> None:
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
        """Nothing to do before the end."""

    def close(self) -> None:
        """Close. The bytes may not have reached the disk yet: see `Storage.sync`.

        Raises:
            DatasetError: closing failed, or something could not be written before.
        """
        if not self.closed:
            if self._failure is not None:
                raise self._failure
            with self._storage.errors(self.path, "written"):
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
