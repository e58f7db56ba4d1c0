"""Locks in an object store: objects that only one process can create, with their owner and a heartbeat.

The owner rewrites its lock every minute. If it has not done so for `STALE` seconds by the clock of the store,
it probably ended without releasing the lock, and another process takes the lock over. An owner that was only
away (a suspended laptop) notices this before it commits anything.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from neptune_exporter.contract import DatasetError
from neptune_exporter.dataset.format import rowless
from neptune_exporter.dataset.format.layout import OWN_FOLDER
from neptune_exporter.dataset.format.object_store import ConflictError, Object, ObjectStore, is_of_store
from neptune_exporter.interruption import pause

STALE = 300.0
"""Seconds without a sign of life after which a lock may be taken over."""
BEAT = 60.0
"""Seconds between two signs of life: several may be lost before a lock counts as stale."""
_CONFIRM = 1.0
"""For this many seconds after a takeover, another process may have taken the lock over too."""


@dataclass
class ObjectLock:
    """A lock that is held. Its `note` is stored with it, for whoever takes it over."""

    store: ObjectStore
    path: str
    note: dict[str, Any] = field(default_factory=dict)
    within: str = ""
    """The token of the lock of the dataset, if the owner holds that too. It excludes all other owners."""
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    since: str = field(default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds"))
    beats: int = 0
    alive: float = 0.0
    """The last time at which the lock was certainly ours, in seconds since 1970."""
    lost: bool = False
    guard: threading.RLock = field(default_factory=threading.RLock)

    def take(self) -> bool:
        """Take the lock, if it is free or its owner has ended."""
        with contextlib.suppress(ConflictError):
            self._write(create=True)
            return True
        found = self.store.head(self.path)
        if found is None:
            return False  # just released: the next try gets it
        holder = holder_of(self.store, self.path)
        # the answer to our first request was lost, and the library sent the request again
        if holder.get("token") == self.token:
            return True
        # its owner held the lock of the dataset, which is now ours
        is_left = bool(self.within and holder.get("within"))
        if not is_left and age(self.store, found) < STALE:
            return False
        self.note = self.note or holder.get("note") or {}
        return self._take_over(found)

    def _take_over(self, found: Object) -> bool:
        try:
            self._write(etag=found.etag)
        except ConflictError:
            return False
        pause(_CONFIRM)  # not every store refuses the second of two writers
        return holder_of(self.store, self.path).get("token") == self.token

    def write_note(self, note: dict[str, Any]) -> None:
        """Store this note with the lock."""
        with self.guard:
            self.check()
            self.note = note
            self._write()

    def beat(self) -> None:
        """Write the lock again."""
        with self.guard:
            if self.lost or not self.alive:
                return
            if time.time() - self.alive > STALE / 2 and not self._is_ours():
                self.lost = True
                return
            self._write()

    def check(self) -> None:
        """Check before a commit that the lock is still ours. Raises DatasetError if another process has taken
        it over."""
        with self.guard:
            if time.time() - self.alive > STALE / 2:
                self.beat()
            if self.lost:
                raise DatasetError(
                    f"the lock {self.path} was taken over by another process, as this one gave no sign of "
                    f"life for {STALE:.0f} s: nothing more is written; run again when the other has ended"
                )

    def release(self) -> None:
        """Release the lock."""
        with self.guard:
            ours = not self.lost and (time.time() - self.alive < STALE / 2 or self._is_ours())
            self.alive = 0.0
            if ours:
                self.store.delete(self.path)

    def _is_ours(self) -> bool:
        return holder_of(self.store, self.path).get("token") == self.token

    def _write(self, *, create: bool = False, etag: str = "") -> None:
        self.beats += 1
        value = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "since": self.since,
            "token": self.token,
            "beats": self.beats,
            "within": self.within,
            "note": self.note,
        }
        now = time.time()
        self.store.put(self.path, rowless.wrapped(json.dumps(value).encode()), create=create, etag=etag)
        self.alive = now


class HeldLocks(dict[str, ObjectLock]):
    """The locks that a storage holds, by path. A thread of its own writes them again in time."""

    def __init__(self) -> None:
        super().__init__()
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, lock: ObjectLock) -> None:
        """Keep a lock alive until it is removed."""
        with self._guard:
            self[lock.path] = lock
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="signs of life", daemon=True)
                self._thread.start()

    def check(self) -> None:
        """Raise DatasetError if one of the locks was lost."""
        for lock in list(self.values()):
            lock.check()

    def _run(self) -> None:
        while True:
            time.sleep(BEAT)
            with self._guard:
                if not self:
                    self._thread = None
                    return
                locks = list(self.values())
            for lock in locks:
                try:
                    lock.beat()
                except Exception as error:
                    if not is_of_store(error):
                        raise  # otherwise the next process may take the lock


def holder_of(store: ObjectStore, path: str) -> dict[str, Any]:
    """What a lock says about its owner; empty if it cannot be read."""
    try:
        value = json.loads(rowless.unwrapped(store.get(path)))
    except (FileNotFoundError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def age(store: ObjectStore, found: Object) -> float:
    """Seconds since an object was written, by the store's own clock, because clocks of machines differ."""
    probe = f"{OWN_FOLDER}/clock-{uuid.uuid4().hex}"
    store.put(probe, b"now")
    try:
        now = store.head(probe)
    finally:
        store.delete(probe)
    if now is None or now.changed is None or found.changed is None:
        return 0.0
    return (now.changed - found.changed).total_seconds()


def described(store: ObjectStore, path: str) -> str:
    """The owner of a lock, for messages."""
    holder = holder_of(store, path)
    found = store.head(path)
    if not holder or found is None:
        return "another process"
    seconds = max(0.0, age(store, found))
    return (
        f"process {holder.get('pid')} on {holder.get('host')} since {holder.get('since')} "
        f"(last sign of life {seconds:.0f} s ago)"
    )
