"""Claims a file for one process, for as long as it holds it open."""

from __future__ import annotations

import sys
from typing import IO

if sys.platform == "win32":
    import msvcrt

    def claim(file: IO[bytes]) -> bool:
        """Whether the file is this process's now; False while another process holds it."""
        try:
            file.seek(2**30)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        file.seek(0)
        return True

else:
    import fcntl

    def claim(file: IO[bytes]) -> bool:
        """Whether the file is this process's now; False while another process holds it."""
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
