"""One writer per dataset: a lock of the operating system, which ends when its process ends."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import IO

from neptune_exporter.contract import DatasetError
from neptune_exporter.dataset.format import rowless
from neptune_exporter.dataset.format.storage import HeldLock
from neptune_exporter.toolkit.file_lock import lock_file, unlock_file


@contextlib.contextmanager
def held(path: Path, dataset: str) -> Iterator[None]:
    """Hold the lock file. Raises DatasetError if another process, or another part of this one, holds the lock
    (the message names it), or the folder cannot be written.

    The file stays; only the system's lock on it counts. So a dead process frees the file at once, and its
    process id need not be checked.
    """
    with _opened(path, dataset) as file:
        try:
            is_ours = lock_file(file) and _is_at(file, path)  # whoever made nothing deletes the file
        except OSError as error:
            raise DatasetError(
                f"{dataset} cannot be locked ({error.strerror}): its file system has no locks. "
                "Give a folder on a local disk, and copy it to its place afterwards."
            ) from error
        if not is_ours:
            raise DatasetError(
                f"{dataset} is being written by {_holder(path)}. Wait for it, or end it, and run again."
            )
        try:
            _note(file, dataset, _self_description())
            yield
            _note(file, dataset, rowless.wrapped(b""))
        finally:
            unlock_file(file)


def _opened(path: Path, dataset: str) -> IO[bytes]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Without a buffer, for closing the file would try to write that again.
        return path.open("a+b", buffering=0)
    except OSError as error:
        raise DatasetError(f"{dataset} cannot be written: {error.strerror}") from error


def _note(file: IO[bytes], dataset: str, content: bytes) -> None:
    try:
        file.truncate(0)
        file.write(content)
    except OSError as error:  # a full disk, mostly
        raise DatasetError(f"{dataset} cannot be written: {error.strerror}") from error


def _is_at(file: IO[bytes], path: Path) -> bool:
    """Whether an open file is still the one that has this path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _self_description() -> bytes:
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    value = {"host": socket.gethostname(), "pid": os.getpid(), "since": now}
    return rowless.wrapped(json.dumps(value).encode())


def _holder(path: Path) -> str:
    try:
        value = json.loads(rowless.unwrapped(path.read_bytes()))
        return f"process {value['pid']} on {value['host']} since {value['since']}"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "another process"


def try_file(path: Path) -> HeldLock | None:
    """Lock a file of this name, which has no other purpose; None if another holds it."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
        is_ours = False
        with contextlib.suppress(OSError):
            is_ours = lock_file(file)
        if not is_ours:
            file.close()
            return None
        if _is_at(file, path):
            if not path.stat().st_size:
                file.write(rowless.wrapped(b""))
                file.flush()
            return HeldLock(partial(_release, path, file))
        unlock_file(file)  # the file was deleted meanwhile, so this lock excludes no other process
        file.close()


def _release(path: Path, file: IO[bytes]) -> None:
    with contextlib.suppress(OSError):  # Windows cannot delete an open file: it is deleted another time
        path.unlink()
    unlock_file(file)
    file.close()
