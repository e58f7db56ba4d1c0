"""Errors of the disk that holds the state of loads, in plain words."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path

from neptune_exporter.contract import SinkError, UsageError
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
def disk_errors(base_dir: Path) -> Iterator[None]:
    """Report an error of the disk with the file, or the folder where the state of loads is. Raises a
    SinkError that says what is wrong and what to do."""
    try:
        yield
    except OSError as error:
        where = error.filename or base_dir.absolute()
        raise SinkError(f"{where}: {error.strerror or error}{remedy(error)}") from error


def remedy(error: OSError) -> str:
    """What a person can do, to stand behind the message; empty where nothing special helps."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ": free some space there, or name another folder with --pluto-base-dir"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return ": load with fewer --workers and --pluto-file-connections, or raise the limit (ulimit -n 1024)"
    return ""
