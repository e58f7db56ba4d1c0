"""A folder in an object store.

Nothing is renamed there: unfinished objects lie in a folder of this machine (`Staging`) and are uploaded
under their final names once they are complete. Listings are remembered (`KnownObjects`), because each request
takes tens of milliseconds and costs money.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import pyarrow as pa

from neptune_exporter.contract import DatasetError, UsageError
from neptune_exporter.dataset.format.layout import LOCK, UNFINISHED
from neptune_exporter.dataset.format.local_storage import LocalStorage
from neptune_exporter.dataset.format.object_listing import KnownObjects
from neptune_exporter.dataset.format.object_lock import STALE, HeldLocks, ObjectLock, described
from neptune_exporter.dataset.format.object_reading import Contents, RangedReader
from neptune_exporter.dataset.format.object_store import (
    ConflictError,
    Object,
    code_of,
    is_of_store,
    object_store,
    reason_of,
)
from neptune_exporter.dataset.format.storage import CHUNK, Entry, HeldLock, Output, Storage
from neptune_exporter.errors import BusyRunError
from neptune_exporter.interruption import pause
from neptune_exporter.location import Location
from neptune_exporter.toolkit.file_lock import lock_file, unlock_file
from neptune_exporter.toolkit.measuring import measured

_T = TypeVar("_T")
_SMALL = 8 << 20
"""Objects of at most this many bytes are read and written with one request."""
_APPEARS_WITHIN = (0.2, 0.5, 1.0, 2.0)
"""Seconds to wait for an object that was written and cannot be read yet: some stores are eventually
consistent."""
_written = itertools.count(1 << 60)
_PREFIX, _LOCK = "neptune-exporter-staging-", "in-use"
"""How the names of staging folders begin, and the file that the process holds in each."""


class ObjectStorage(Storage):
    """A `Storage`. Paths that begin with `UNFINISHED` lie on this machine."""

    renames = False

    def __init__(self, location: Location) -> None:
        """Raises UsageError if a package is not installed, or an option is wrong."""
        self.location = location
        self._store = object_store(location)
        self._known = KnownObjects()
        self._contents = Contents()
        self._locks = HeldLocks()

    @cached_property
    def _staging(self) -> LocalStorage:
        self._staged = Staging()  # deleted with this storage
        return LocalStorage(self._staged.folder)

    def describe(self, path: str) -> str:
        if _is_staged(path):
            return self._staging.describe(path)
        return f"{self.location}/{path}" if path else str(self.location)

    def holds(self, folder: str) -> bool:
        with self.errors(folder, "listed"):
            try:
                return self._store.holds(folder)
            except FileNotFoundError:  # the bucket does not exist: writing reports that
                return False

    def size(self, path: str, *, certain: bool = False) -> int | None:
        if _is_staged(path):
            return self._staging.size(path)
        found = self._find(path, certain=certain)
        return None if found is None else found.size

    def stamp(self, path: str) -> tuple[int, int] | None:
        if _is_staged(path):
            return self._staging.stamp(path)
        found = self._find(path)
        return None if found is None else (found.size, found.version)

    def _find(self, path: str, *, certain: bool = False) -> Object | None:
        found = self._known.get(path)
        if found is None and (certain or not self._known.knows(path)):
            with self.errors(path, "read"):
                found = self._store.head(path)
            if found is not None:
                self._known.written(found)
        return found if found is not None and found.is_file else None

    def list(self, folder: str = "", *, recursive: bool = False, prefix: str = "") -> list[Entry]:
        if _is_staged(folder):
            return self._staging.list(folder, recursive=recursive, prefix=prefix)
        known = self._known.tree(folder) if recursive else self._known.listed(folder, prefix)
        if known is None:
            with self.errors(folder, "listed"):
                found = self._store.list(folder, recursive=recursive, prefix=prefix)
            if recursive:
                self._known.learn_tree(folder, found)
            else:
                self._known.learn(folder, prefix, found)
            known = sorted(found)
        return [Entry(e.path, e.is_file, e.size, e.version if e.is_file else None) for e in known]

    def look(self, folder: str, *, prefix: str = "", recursive: bool = False) -> None:
        if not self._known.has_looked(folder, prefix, recursive):
            self.list(folder, prefix=prefix, recursive=recursive)

    def ask_again(self, path: str) -> None:
        with self.errors(path, "read"):
            found = self._store.head(path)
        known = self._known.get(path)
        if found is None:
            self._known.deleted(path)
        elif known is None or known.version != found.version:
            self._known.written(found)

    def forget(self) -> None:
        self._known.forget()

    def read(self, path: str) -> bytes:
        if _is_staged(path):
            return self._staging.read(path)
        found = self._find(path)
        if found is None or found.size > _SMALL:
            with self.errors(path, "read"):
                return self._patiently(lambda: self._store.get(path))
        return self._content(found)

    def _content(self, found: Object) -> bytes:
        if not found.size:
            return b""  # stores refuse an empty range
        with self.errors(found.path, "read"):
            return self._contents.get(
                found.path, found.version, lambda: self._patiently(lambda: self._store.get(found.path))
            )

    def _patiently(self, get: Callable[[], _T]) -> _T:
        for seconds in _APPEARS_WITHIN:
            try:
                return get()
            except FileNotFoundError:
                pause(seconds)
        return get()

    def open_input(self, path: str) -> pa.NativeFile:
        if _is_staged(path):
            return self._staging.open_input(path)
        found = self._there(path)
        if found.size <= _SMALL:
            return pa.BufferReader(self._content(found))
        return pa.PythonFile(io.BufferedReader(self._ranged(found), CHUNK), mode="r")

    def open_bytes(self, path: str) -> BinaryIO:
        if _is_staged(path):
            return self._staging.open_bytes(path)
        found = self._there(path)
        if found.size <= _SMALL:
            return io.BytesIO(self._content(found))
        return io.BufferedReader(self._ranged(found), CHUNK)

    def _there(self, path: str) -> Object:
        found = self._find(path, certain=True)
        if found is None:
            raise DatasetError(f"{self.describe(path)} cannot be read: there is no such object")
        return found

    def _ranged(self, found: Object) -> RangedReader:
        def get(start: int, end: int) -> bytes:
            with self.errors(found.path, "read"):
                return self._patiently(lambda: self._store.get(found.path, start, end))

        return RangedReader(get, found.size)

    def create(self, path: str) -> Output:
        if not _is_staged(path):
            raise ValueError(f"{path} is written under a temporary name, and moved when it is whole")
        return self._staging.create(path)

    def move(self, source: str, target: str) -> None:
        if _is_staged(target):
            self._staging.move(source, target)
            return
        with self.errors(target, "written"):
            if not _is_staged(source):
                self._store.copy(source, target)
                self._note_written(target, self.size(source) or 0)
                self.delete(source)
                return
            file = Path(self._staging.describe(source))
            size = file.stat().st_size
            if size <= _SMALL:
                self._store.put(target, file.read_bytes())
            else:
                self._store.put_file(target, file)
        self._note_written(target, size)
        self._staging.delete(source)

    def _note_written(self, path: str, size: int) -> None:
        self._known.written(Object(path, True, size, f"written {next(_written)}"))

    def commit(self, path: str, content: bytes) -> None:
        """Write a small object, but only if it has not changed since it was last read. Raises DatasetError if
        another process wrote it meanwhile, or has taken over a lock of ours."""
        self._locks.check()
        found = self._find(path)
        etag = "" if found is None or found.etag.startswith("written ") else found.etag
        with self.errors(path, "written"):
            try:
                self._store.put(path, content, create=found is None, etag=etag)
            except ConflictError:
                # Perhaps our first request succeeded, its answer was lost, and the library sent the request
                # again.
                if self._patiently(lambda: self._store.get(path)) != content:
                    raise DatasetError(
                        f"{self.describe(path)} was written by another process meanwhile: export again"
                    ) from None
        self._note_written(path, len(content))

    def delete(self, path: str) -> None:
        if _is_staged(path):
            self._staging.delete(path)
            return
        with self.errors(path, "deleted"):
            self._store.delete(path)
        self._known.deleted(path)

    def delete_empty_folders(self, folder: str) -> None:
        if _is_staged(folder):
            self._staging.delete_empty_folders(folder)

    def sha256(self, path: str) -> str:
        with self.open_bytes(path) as stream:
            return measured(stream, piece=_SMALL)[1]

    def clear_uploads(self) -> None:
        with self.errors("", "cleaned"):
            self._store.clear_uploads()

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        if self.location.scheme in ("http", "https"):
            raise UsageError(
                f"{self.location} is a web server, to which nothing can be written: name a folder or a bucket"
            )
        held = self.try_lock(LOCK)
        if held is None:
            with self.errors(LOCK, "read"):
                holder = described(self._store, LOCK)
            raise DatasetError(
                f"{self.location} is being written by {holder}. Wait for it, or end it, and run again: a "
                f"lock whose owner was killed is free {STALE / 60:.0f} minutes after its last sign of life."
            )
        self.forget()
        try:
            yield
        finally:
            held.release()

    def try_lock(self, path: str) -> HeldLock | None:
        if path in self._locks:
            return None
        return self._hold(ObjectLock(self._store, path, within=self._token))

    def _hold(self, lock: ObjectLock) -> HeldLock | None:
        with self.errors(lock.path, "locked"):
            if not lock.take():
                return None
        self._locks.add(lock)
        return HeldLock(partial(self._release, lock), lock.note)

    def _release(self, lock: ObjectLock) -> None:
        del self._locks[lock.path]
        with self.errors(lock.path, "given back"):
            lock.release()

    def note(self, path: str, note: dict[str, Any]) -> HeldLock | None:
        """Store a note with a lock: one that is held, or a new one, which is returned."""
        if (held := self._locks.get(path)) is not None:
            with self.errors(path, "written"):
                held.write_note(note)
            return None
        taken = self._hold(ObjectLock(self._store, path, note, self._token))
        if taken is None:
            raise BusyRunError(f"another process is writing it: export again ({self.describe(path)})")
        return taken

    @property
    def _token(self) -> str:
        """The token of the lock of the dataset; empty if another process holds it."""
        held = self._locks.get(LOCK)
        return "" if held is None else held.token

    @contextlib.contextmanager
    def errors(self, path: str, what: str) -> Iterator[None]:
        try:
            yield
        except DatasetError:
            raise
        except Exception as error:
            if not is_of_store(error):
                raise
            code = code_of(error)
            reason = reason_of(error) + (f" ({code})" if code and code not in str(error) else "")
            raise DatasetError(f"{self.describe(path)} cannot be {what}: {reason}") from error


class Staging:
    """A folder of this machine for unfinished objects, before they are uploaded. It is deleted when its
    process ends. The folders of killed processes are deleted when the next one is made."""

    def __init__(self) -> None:
        _sweep()
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._lock = (self.folder / _LOCK).open("w+b")
        lock_file(self._lock)
        self._end = weakref.finalize(self, shutil.rmtree, self.folder, True)

    def close(self) -> None:
        """Delete it."""
        self._lock.close()
        self._end()


def _sweep() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError), (folder / _LOCK).open("r+b") as file:
            if lock_file(file):  # else its process still runs
                unlock_file(file)
                shutil.rmtree(folder, ignore_errors=True)


def _is_staged(path: str) -> bool:
    return path.startswith(UNFINISHED)
