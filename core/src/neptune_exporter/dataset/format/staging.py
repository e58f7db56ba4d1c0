"""A folder of this machine for unfinished objects, before they are uploaded to an object store."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import weakref
from pathlib import Path

from neptune_exporter.toolkit.file_lock import lock_file, unlock_file

_PREFIX = "neptune-exporter-staging-"
_LOCK = "in-use"


class Staging:
    """A temporary folder that is deleted when its process ends. The folders of killed processes are deleted
    when the next one is made."""

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
