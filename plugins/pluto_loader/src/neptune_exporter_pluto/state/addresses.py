"""Upload addresses of a run, in a file beside its journal.

Whoever has such an address can replace the file of the run until it expires. The journal stays, so the
addresses are elsewhere, and are removed as soon as everything for which they were given has arrived.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import orjson

_LIVES = 3_300.0
"""Seconds; Pluto's upload addresses are good for an hour."""


class Addresses:
    """Addresses by the number of their file, with which an interrupted upload goes on. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def good(self) -> dict[int, str]:
        """Those that have not expired."""
        now = time.time()
        with self._lock:
            return {file: url for file, url, at in self._entries() if 0 <= now - at < _LIVES}

    def _entries(self) -> Iterator[tuple[int, str, float]]:
        with suppress(FileNotFoundError):
            for line in self._path.read_bytes().splitlines():
                with suppress(ValueError):  # a kill has truncated it: the file is announced again
                    file, url, at = orjson.loads(line)
                    yield file, url, at

    def add(self, urls: Mapping[int, str]) -> None:
        """Keep addresses that were given now."""
        now = time.time()
        # Each line begins with its line end: a truncated one spoils none after it.
        lines = b"".join(b"\n" + orjson.dumps([file, url, now]) for file, url in urls.items())
        with self._lock:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "ab") as file:
                file.write(lines)

    def clear(self) -> None:
        """Remove all."""
        with self._lock:
            self._path.unlink(missing_ok=True)
