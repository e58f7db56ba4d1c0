"""Errors of the machine (disk, memory, limits), in words that help: a person can end them."""

from __future__ import annotations

import errno
import re

_FEWER = "use fewer --workers (-j)"
_MOST_SHOWN = 200
"""Characters of a path that a message shows, for paths can be thousands long."""
_HINTS = {
    errno.ENOSPC: "free some space, or name another folder",
    errno.EDQUOT: "free some space, or name another folder",
    errno.ENAMETOOLONG: "give a shorter path",
    errno.EROFS: "name a folder that can be written",
}


def system_error(error: BaseException) -> str | None:
    """One line for an error that the machine caused; None for any other.

    >>> system_error(OSError(28, "No space left on device", "/data/x"))
    '/data/x: No space left on device: free some space, or name another folder'
    """
    if isinstance(error, MemoryError):
        return f"not enough memory{_needed(str(error))}: {_FEWER}, or give the process more memory"
    if isinstance(error, RecursionError):
        return None
    if not isinstance(error, OSError) or error.errno is None:
        return None
    where = "" if error.filename is None else f"{error.filename}: "
    where = where if len(where) <= _MOST_SHOWN else f"{where[:_MOST_SHOWN]}…: "
    text = f"{where}{error.strerror or error}"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return f"{text}: {_limit()}{_FEWER}, or raise the limit (ulimit -n 1024)"
    hint = _HINTS.get(error.errno)
    return f"{text}: {hint}" if hint else text


def _needed(message: str) -> str:
    """How much was asked for: Arrow says `malloc of size 64 failed`, numpy `Unable to allocate 1.2 GiB`."""
    if found := re.search(r"size (\d+) failed", message):
        return f" ({int(found[1]):,} bytes more are needed)"
    if found := re.search(r"allocate ([\d.]+ \w+)", message):
        return f" ({found[1]} more are needed)"
    return ""


def _limit() -> str:
    try:
        import resource
    except ImportError:  # Windows
        return ""
    return f"this process may open {resource.getrlimit(resource.RLIMIT_NOFILE)[0]:,} files; "
