"""One writer per run, where workers on several machines write a dataset: a lock of the system for each run.

A worker that is taken for dead may still be at work when its unit is tried again elsewhere, and so may the
workers of a command that was killed. The lock ends with the process that holds it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from neptune_exporter.dataset.format import rowless
from neptune_exporter.dataset.format.layout import OWN_FOLDER, Place
from neptune_exporter.dataset.format.lock import release, try_lock
from neptune_exporter.interruption import pause

_FOLDER = f"{OWN_FOLDER}/writing"
_TRIES_EVERY = 0.2


class RunLocks:
    """The locks of the runs of a dataset."""

    def __init__(self, data_path: Path) -> None:
        self._folder = data_path / _FOLDER

    @contextlib.contextmanager
    def held(self, places: Iterable[Place], seconds: float) -> Iterator[list[Place]]:
        """Hold the locks of these runs.

        Args:
            places: Where the runs lie.
            seconds: How long to wait for those that others hold, in all.

        Yields:
            The places whose locks others still hold.
        """
        until = time.monotonic() + seconds
        busy: list[Place] = []
        with contextlib.ExitStack() as locks:
            for place in sorted(
                places, key=_name
            ):  # in one order everywhere, so that no two wait for each other
                file = self._wait_for(self._folder / _name(place), until)
                if file is None:
                    busy.append(place)
                else:
                    locks.callback(_give_back, file)
            yield busy

    def _wait_for(self, path: Path, until: float) -> IO[bytes] | None:
        while True:
            file = _locked(path)
            if file is not None or time.monotonic() >= until:
                return file
            pause(_TRIES_EVERY)

    def clear(self) -> set[str]:
        """Delete the files of locks that are free. Call it as the one writer of the dataset.

        Returns:
            The names of those that are held.
        """
        busy = set()
        for path in self._folder.glob("*.parquet"):
            file = _locked(path)
            if file is None:
                busy.add(path.name)
                continue
            with contextlib.suppress(OSError):  # Windows deletes no open file: another time
                path.unlink()
            _give_back(file)
        with contextlib.suppress(OSError):
            self._folder.rmdir()
        return busy

    def name(self, place: Place) -> str:
        """Of the file of a run's lock."""
        return _name(place)


def _name(place: Place) -> str:
    digest = hashlib.sha256(place.files_folder.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{digest[:32]}.parquet"


def _locked(path: Path) -> IO[bytes] | None:
    """The file with its lock, None if another holds it."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
        try:
            try_lock(file)
        except OSError:
            file.close()
            return None
        try:
            same = os.path.samestat(os.fstat(file.fileno()), path.stat())
        except FileNotFoundError:
            same = False
        if same:
            if not path.stat().st_size:
                file.write(rowless.wrapped(b""))
                file.flush()
            return file
        _give_back(file)  # it was deleted meanwhile: that lock is nobody's


def _give_back(file: IO[bytes]) -> None:
    release(file)
    file.close()
