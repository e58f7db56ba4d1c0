"""One writer per run, for workers on several machines: the storage holds a lock for each run.

A worker that the cluster believes dead may still work while its unit is tried again elsewhere. So may the
workers of a killed command. On a disk, a lock ends with the process that holds it.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from neptune_exporter.dataset.format.layout import OWN_FOLDER, Place
from neptune_exporter.dataset.format.storage import Storage
from neptune_exporter.interruption import pause

_FOLDER = f"{OWN_FOLDER}/writing"
_TRIES_EVERY = 0.2
"""Seconds between two attempts to get a lock that another process holds."""


@contextlib.contextmanager
def held(data: Storage, places: Iterable[Place], seconds: float) -> Iterator[list[Place]]:
    """Hold the locks of these runs. Yields the places whose locks others still hold after so many seconds in
    all."""
    until = time.monotonic() + seconds
    busy: list[Place] = []
    with contextlib.ExitStack() as locks:
        # Always in the same order, so that no two processes wait for each other.
        for place in sorted(places, key=lock_name):
            while (lock := data.try_lock(lock_path(place))) is None and time.monotonic() < until:
                pause(_TRIES_EVERY)
            if lock is None:
                busy.append(place)
            else:
                locks.callback(lock.release)
        yield busy


def clear(data: Storage, left: Callable[[Mapping[str, Any]], object]) -> set[str]:
    """Delete the files of free locks, and return the names of those that are held. Call it as the only writer
    of the dataset. `left` gets the note of each lock that its owner did not release."""
    busy = set()
    for entry in data.list(_FOLDER):
        lock = data.try_lock(entry.path)
        if lock is None:
            busy.add(entry.name)
        else:
            left(lock.note)
            lock.release()
    data.delete_empty_folders(_FOLDER)
    return busy


def lock_path(place: Place) -> str:
    """The path of a run's lock while it is held."""
    return f"{_FOLDER}/{lock_name(place)}"


def lock_name(place: Place) -> str:
    """The name of the file of a run's lock."""
    digest = hashlib.sha256(place.files_folder.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{digest[:32]}.parquet"
