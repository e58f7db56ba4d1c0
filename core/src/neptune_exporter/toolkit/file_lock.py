"""Locks an open file for one process: by the operating system, so a lock ends with its process."""

from __future__ import annotations

import sys
from typing import IO

if sys.platform == "win32":
    import msvcrt

    _FAR = 1 << 30  # Windows forbids reading locked bytes, so lock one behind the content

    def _change(file: IO[bytes], how: int) -> None:
        place = file.tell()
        try:
            file.seek(_FAR)
            msvcrt.locking(file.fileno(), how, 1)
        finally:
            file.seek(place)

    def _lock(file: IO[bytes]) -> None:
        _change(file, msvcrt.LK_NBLCK)

    def _unlock(file: IO[bytes]) -> None:
        _change(file, msvcrt.LK_UNLCK)

else:
    import fcntl

    def _lock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)


def lock_file(file: IO[bytes]) -> bool:
    """Whether the file is locked now, until it is closed; False if it was opened and locked elsewhere.

    Raises:
        OSError: its file system has no locks.

    Examples:
        >>> with open("acme.lock", "ab") as file, open("acme.lock", "ab") as again:
        ...     lock_file(file), lock_file(again)
        (True, False)
    """
    try:
        _lock(file)
    except (BlockingIOError, PermissionError):  # EAGAIN; EACCES on Windows and some file systems
        return False
    return True


def unlock_file(file: IO[bytes]) -> None:
    """Let go of the lock before the file is closed.

    Examples:
        >>> with open("acme.lock", "ab") as file, open("acme.lock", "ab") as again:
        ...     _ = lock_file(file)
        ...     unlock_file(file)
        ...     lock_file(again)
        True
    """
    _unlock(file)
