"""Locks an open file for one process: by the operating system, so a lock ends with its process."""

from __future__ import annotations

import sys
from typing import IO

if sys.platform == "win32":
    import msvcrt

    _FAR = 1 << 30  # Windows forbids reading locked bytes, so lock one behind the content

    def _lock(file: IO[bytes], how: int) -> None:
        place = file.tell()
        try:
            file.seek(_FAR)
            msvcrt.locking(file.fileno(), how, 1)
        finally:
            file.seek(place)

    def lock_file(file: IO[bytes]) -> bool:
        try:
            _lock(file, msvcrt.LK_NBLCK)
        except OSError:
            return False
        return True

    def unlock_file(file: IO[bytes]) -> None:
        _lock(file, msvcrt.LK_UNLCK)

else:
    import fcntl

    def lock_file(file: IO[bytes]) -> bool:
        """Whether the file is locked now, until it is closed; False if it was opened and locked elsewhere.

        Raises:
            OSError: its file system has no locks.

        Examples:
            >>> import tempfile
            >>> with tempfile.NamedTemporaryFile() as file, open(file.name, "rb") as again:
            ...     lock_file(file), lock_file(again)
            (True, False)
        """
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # EAGAIN, or EACCES on some file systems
            return False
        return True

    def unlock_file(file: IO[bytes]) -> None:
        """Let go of the lock before the file is closed.

        Examples:
            >>> import tempfile
            >>> with tempfile.NamedTemporaryFile() as file, open(file.name, "rb") as again:
            ...     _ = lock_file(file)
            ...     unlock_file(file)
            ...     lock_file(again)
            True
        """
        fcntl.flock(file, fcntl.LOCK_UN)
