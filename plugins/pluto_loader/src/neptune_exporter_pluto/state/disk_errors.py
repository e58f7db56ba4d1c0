"""Errors of the disk that holds the state of loads, in plain words."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path

from neptune_exporter.contract import UsageError
from neptune_exporter.toolkit.file_lock import lock_file


def check_writable(option: str, folder: Path) -> None:
    """Make a folder, and a locked file in it, for a moment: what was not there is not there afterwards.
    Raises UsageError if that cannot be done."""
    new = list(takewhile(lambda each: not each.exists(), (folder, *folder.parents)))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            lock_file(file)
        for each in new:
            with suppress(OSError):  # another load may have put something there by now
                each.rmdir()
    except OSError as error:
        # Lustre mounted without -o flock answers ENOSYS, NFS without a lock daemon ENOLCK.
        if error.errno in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
            raise UsageError(
                f"{option}: the file system of {folder} has no locks ({error.strerror}); "
                "name a folder on a local disk"
            ) from None
        raise UsageError(f"{option}: nothing can be written in {folder}: {error.strerror}") from None


@contextmanager
def named(base_dir: Path) -> Iterator[None]:
    """Name the folder where the state of loads is in an OSError that names no file, as of a full disk."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(base_dir.absolute())
        raise
