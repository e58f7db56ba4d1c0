"""Publishes each run completely or not at all, and finishes interrupted publications.

`docs/architecture.md` has the steps ("The receipt is the commit"). Parts that the new receipt does not name
are deleted; those that it calls damaged are renamed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from neptune_exporter.contract import DatasetError
from neptune_exporter.dataset.format import uploading
from neptune_exporter.dataset.format.layout import Place, parse_part, set_aside, temporary
from neptune_exporter.dataset.format.receipts import PartRecord, Receipt
from neptune_exporter.dataset.format.storage import Storage
from neptune_exporter.dataset.format.uploading import Upload
from neptune_exporter.toolkit import failpoint


@dataclass(frozen=True)
class Publication:
    """A run that is ready to be published: its new parts lie under temporary names."""

    place: Place
    receipt: Receipt
    content: bytes
    """The bytes of the receipt. They are made first, so that an error changes nothing."""
    unsynced: tuple[str, ...]
    """The present paths of the new parts."""
    old: tuple[str, ...]
    """The names of the parts that are there so far."""
    upload: Upload | None = None
    """Set if the storage cannot rename parts."""


def publish(storage: Storage, several: Sequence[Publication]) -> None:
    """Publish several runs, each on its own, but together: so they wait for the disk only once."""
    uploads = [(new.upload, new.receipt, new.content) for new in several if new.upload is not None]
    if uploads:
        uploading.publish(uploads)
        return
    for new in several:
        storage.create_whole(temporary(new.place.pending), new.content)
    storage.sync(path for new in several for path in (*new.unsynced, temporary(new.place.pending)))
    for new in several:
        storage.move(temporary(new.place.pending), new.place.pending)
        failpoint("dataset.pending-written")
    renamed = (path for new in several for path in (*new.unsynced, new.place.pending))
    storage.sync_folders(path.rpartition("/")[0] for path in renamed)
    _finish(storage, several)


def finish(storage: Storage, place: Place, there: Sequence[str]) -> Receipt | None:
    """Complete an interrupted publication, of which there is a pending receipt. `there`: the names of the
    parts on disk.

    Returns the receipt; None if some of its parts are missing: then the pending receipt is deleted and the
    run stays what it was before. Raises NewerVersionError if a newer version wrote the pending receipt, which
    stays.
    """
    try:
        new = Receipt.from_bytes(storage.read(place.pending), storage.describe(place.pending))
    except DatasetError:
        new = None
    if new is None or not all(_is_there(storage, place, part) for part in new.parts):
        storage.delete(place.pending)
        return None
    _finish(storage, [Publication(place, new, new.to_bytes(), (), tuple(there))])
    return new


def _finish(storage: Storage, several: Sequence[Publication]) -> None:
    for new in several:
        _name_parts(storage, new.place, new.receipt, new.old)
        failpoint("dataset.parts-named")
    storage.sync_folders(new.place.folder for new in several)
    for new in several:
        failpoint("dataset.before-receipt")
        # Not synced: if this name is lost, the pending receipt is back, and means the same.
        storage.move(new.place.pending, new.place.receipt)
        failpoint("dataset.published")


def _name_parts(storage: Storage, place: Place, new: Receipt, there: Sequence[str]) -> None:
    _set_aside(storage, place, new)
    numbered = sorted(new.parts, key=lambda part: number_of(part.name), reverse=True)
    moves = [part for part in numbered if storage.size(temporary(place.path(part.name))) == part.bytes]
    named = {part.name for part in new.parts}
    old = [name for name in there if name not in named and name not in new.set_aside]
    if len(moves) + len(old) > 1:
        moves += _hide_part_0(storage, place, new, moves)
    for part in moves[:-1]:
        storage.move(temporary(place.path(part.name)), place.path(part.name))
        failpoint("dataset.part-renamed")
    for name in reversed(old):
        storage.delete(place.path(name))
        failpoint("dataset.part-removed")
    for part in moves[-1:]:
        storage.move(temporary(place.path(part.name)), place.path(part.name))


def _hide_part_0(
    storage: Storage, place: Place, new: Receipt, moves: Sequence[PartRecord]
) -> list[PartRecord]:
    """Hide part 0: a reader that looks for it must not see a mixture of the old run and the new one. Returns
    it, if none of the moves brings another."""
    first = place.part_name(0)
    if storage.size(place.path(first)) is None:
        return []
    if any(part.name == first for part in moves):
        storage.delete(place.path(first))
        return []
    storage.move(place.path(first), temporary(place.path(first)))
    return [next(part for part in new.parts if part.name == first)]


def _set_aside(storage: Storage, place: Place, new: Receipt) -> None:
    """Rename the damaged parts, unless new parts already have their names."""
    named = {part.name for part in new.parts}
    for name in new.set_aside:
        path = place.path(name)
        taken = name in named and storage.size(temporary(path)) is None
        if not taken and storage.size(path) is not None:
            storage.move(path, set_aside(path))


def receipt_again(storage: Storage, path: str, fingerprint: str) -> Receipt:
    """A receipt that was read before, when it had this fingerprint. Raises DatasetError if it is not there,
    cannot be read, or is another."""
    if storage.size(path) is not None:
        found = Receipt.from_bytes(storage.read(path), storage.describe(path))
        if found.fingerprint == fingerprint:
            return found
    raise _changed(storage, path)


def check_receipt(storage: Storage, path: str, fingerprint: str) -> Receipt | None:
    """The receipt of a run that was found before, with the fingerprint of the receipt that it had then (or
    empty). Raises a DatasetError if there is another now."""
    storage.ask_again(path)
    if fingerprint:
        return receipt_again(storage, path, fingerprint)
    if storage.size(path) is not None:
        raise _changed(storage, path)
    return None


def _changed(storage: Storage, path: str) -> DatasetError:
    return DatasetError(
        f"it was exported again, or removed, since this command began ({storage.describe(path)}): "
        "run the command again"
    )


def number_of(name: str) -> int:
    """The number of a part that a receipt names."""
    part = parse_part(name)
    if part is None:
        raise DatasetError(f"a receipt names {name!r}, which is not the name of a part")
    return part.number


def _is_there(storage: Storage, place: Place, part: PartRecord) -> bool:
    for path in (temporary(place.path(part.name)), place.path(part.name)):
        if storage.size(path) == part.bytes and storage.sha256(path) == part.sha256:
            return True
    return False
