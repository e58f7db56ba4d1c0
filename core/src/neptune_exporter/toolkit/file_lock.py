"""Locks an open file for one process: by the operating system, so a lock ends with its process."""

from __future__ import annotations

import sys
from typing import IO

if sys.platform == "win32":
    import msvcrt

    _FAR = 1 << 30  # Windows forbids reading locked bytes, so lock one behind the content

    def _change(file: IO[bytes], *, lock: bool) -> None:
        place = file.tell()
        try:
            file.seek(_FAR)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK if lock else msvcrt.LK_UNLCK, 1)
        finally:
            file.seek(place)

else:
    import fcntl

    def _change(file: IO[bytes], *, lock: bool) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB if lock else fcntl.LOCK_UN)


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
        _change(file, lock=True)
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
    _change(file, lock=False)
