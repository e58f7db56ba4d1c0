"""Publishes runs in an object store, where nothing can be renamed: writing the receipt is the commit.

Before the first part of a run is uploaded, a note with the lock of the run says which parts are there. New
parts get other names. The receipt is written last, and only if the old one has not changed meanwhile; it
names the parts that count. Then the old parts that it does not name are deleted, and the note too. If a note
is left behind, recovery deletes the new parts, or, if the receipt was written, the old ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from neptune_exporter.contract import DatasetError, NewerVersionError
from neptune_exporter.dataset.format.layout import Place, parse_part, set_aside, temporary
from neptune_exporter.dataset.format.receipts import Receipt
from neptune_exporter.dataset.format.run_locks import lock_path
from neptune_exporter.dataset.format.storage import HeldLock, Storage
from neptune_exporter.model import RunKey
from neptune_exporter.toolkit import failpoint

if TYPE_CHECKING:
    from neptune_exporter.dataset.format.object_storage import ObjectStorage

_AT_ONCE = 8
"""How many runs are published at the same time, because each waits for a few consecutive requests."""


@dataclass
class Upload:
    """Uploads the new parts of one run. Use it from one thread at a time."""

    storage: ObjectStorage
    place: Place
    old: tuple[str, ...]
    """The names of the existing parts."""
    before: Receipt | None
    """The receipt that names them."""
    is_announced: bool = False
    lock: HeldLock | None = None
    uploaded: list[str] = field(default_factory=list)

    def announce(self) -> None:
        """Write the note of the existing parts, before any new part is uploaded. Raises BusyRunError if
        another process writes the run."""
        if not self.is_announced:
            note = {
                "folder": self.place.folder,
                "stem": self.place.stem,
                "old": list(self.old),
                "before": _mark(self.before),
            }
            self.lock = self.storage.note(lock_path(self.place), note)
            self.is_announced = True

    def part(self, path: str, name: str) -> None:
        """Upload a complete part, and delete it here."""
        self.announce()
        self.storage.move(path, self.place.path(name))
        self.uploaded.append(name)
        failpoint("dataset.part-renamed")

    def commit(self, receipt: Receipt, content: bytes) -> None:
        """Make the run visible."""
        self.announce()
        for part in receipt.parts:
            path = temporary(self.place.path(part.name))
            if self.storage.size(path) is not None:
                self.part(path, part.name)
        failpoint("dataset.before-receipt")
        self.storage.commit(self.place.receipt, content)
        failpoint("dataset.published")
        _clear_away(self.storage, self.place, receipt, self.old)
        self._end()

    def discard(self) -> None:
        """Delete the uploaded parts."""
        for name in self.uploaded:
            self.storage.delete(self.place.path(name))
        self.uploaded = []
        self._end()

    def _end(self) -> None:
        self.is_announced = False
        if self.lock is not None:
            self.lock.release()
            self.lock = None


def numbers(storage: Storage, there: Sequence[str]) -> Iterator[int]:
    """Numbers for new parts: no existing part has one of them."""
    taken = {part.number for name in there if (part := parse_part(name))}
    if storage.renames:  # they get other names once it is known which existing parts stay
        return count(1 + max(taken, default=-1))
    return (number for number in count() if number not in taken)


def publish(several: Sequence[tuple[Upload, Receipt, bytes]]) -> None:
    """Publish several runs, each on its own. Raises the DatasetError of the first run that could not be
    published."""
    if len(several) == 1:
        upload, receipt, content = several[0]
        upload.commit(receipt, content)
        return
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="upload") as pool:
        futures = [pool.submit(upload.commit, receipt, content) for upload, receipt, content in several]
    for future in futures:
        future.result()


def roll_back(storage: Storage, note: Mapping[str, Any]) -> tuple[RunKey | None, list[str]]:
    """Clean up after a process that ended while it wrote a run, and left this note in its lock.

    Returns the run, if it was already published and only old parts were left; and the deleted parts. Raises
    DatasetError if the store does not answer; nothing was deleted then.
    """
    if storage.renames or not isinstance(note.get("old"), list):
        return None, []
    place, old = Place(str(note["folder"]), str(note["stem"])), {str(name) for name in note["old"]}
    there = _parts(storage, place)
    receipt, is_readable = _receipt_there(storage, place)
    if not is_readable:  # it may name any part
        return None, []
    if receipt is not None and _mark(receipt) != note.get("before"):
        return receipt.key, _clear_away(storage, place, receipt, there)
    kept = old.union(part.name for part in receipt.parts) if receipt else old
    new = [place.path(name) for name in there if name not in kept]
    for path in new:
        storage.delete(path)
    return None, new


def _receipt_there(storage: Storage, place: Place) -> tuple[Receipt | None, bool]:
    """The receipt of a run, if there is one, and whether it can be read."""
    if storage.size(place.receipt, certain=True) is None:
        return None, True
    content = storage.read(place.receipt)
    try:
        return Receipt.from_bytes(content, storage.describe(place.receipt)), True
    except (DatasetError, NewerVersionError):
        return None, False


def _parts(storage: Storage, place: Place) -> list[str]:
    """The names of the existing parts of a run."""
    names = [e.name for e in storage.list(place.folder, prefix=f"{place.stem}_part_") if e.is_file]
    return [name for name in names if (part := parse_part(name)) and part.stem == place.stem]


def _clear_away(storage: Storage, place: Place, receipt: Receipt, old: Sequence[str]) -> list[str]:
    """Delete the parts that the receipt does not name, and set aside those that it calls damaged."""
    named = {part.name for part in receipt.parts}
    deleted = []
    for name in reversed(old):
        path = place.path(name)
        if name in receipt.set_aside:
            if storage.size(path) is not None:
                storage.move(path, set_aside(path))
        elif name not in named:
            storage.delete(path)
            deleted.append(path)
            failpoint("dataset.part-removed")
    return deleted


def _mark(receipt: Receipt | None) -> str:
    """A value that differs between two receipts of a run."""
    return "" if receipt is None else f"{receipt.exported_at.isoformat()} {receipt.fingerprint}"
