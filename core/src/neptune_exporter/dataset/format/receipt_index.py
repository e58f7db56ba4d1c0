"""The content of all receipts of a folder in one file, so that an overview of 10,000 runs opens only that
one.

An index is never trusted over the receipts. An entry counts only if the folder's listing shows that receipt
with the same size and version; all other receipts are read. Without an index, or with a damaged one, every
receipt is read. Checks, exports and loads always read the receipts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from neptune_exporter.contract import DatasetError
from neptune_exporter.dataset.format import rowless
from neptune_exporter.dataset.format.layout import INDEX, RECEIPT, RECEIPTS, temporary
from neptune_exporter.dataset.format.storage import Entry, Storage

_FORMAT = 1
"""An index of another format is not read, and is written again."""
_FEW = 20
"""A folder with fewer receipts than this gets no index: reading them is as fast."""

ReceiptIndex: TypeAlias = "Mapping[tuple[str, int, int | None], memoryview]"
"""The content of each receipt, by name, size and version. `Receipt.from_json` takes its bytes."""


def key(receipt: Entry) -> tuple[str, int, int | None]:
    """The key of a receipt in an index; None if the listing cannot show whether it changed."""
    return receipt.name, receipt.size, receipt.version


def read(data: Storage, listed: Iterable[Entry]) -> ReceiptIndex:
    """Read the index in the listing of a folder of receipts; empty if there is none, or it is damaged."""
    path = next((entry.path for entry in listed if entry.name == INDEX), None)
    if path is None:
        return {}
    try:
        lines = rowless.unsealed_lines(data.read(path))
        header = json.loads(bytes(next(lines, b"")))
        if header["format"] != _FORMAT:
            return {}
        return dict(zip(map(tuple, header["receipts"]), lines, strict=True))
    except (DatasetError, ValueError, KeyError, TypeError):
        return {}


def update(data: Storage, folder: str) -> None:
    """Update the index of a folder. Call it under the lock of the dataset. Raises DatasetError if the index
    cannot be written.

    Leaves out damaged receipts, and receipts of which a listing cannot show yet whether they changed.
    """
    listed = data.list(f"{folder}/{RECEIPTS}")
    receipts = {
        key(entry): entry.path
        for entry in listed
        if entry.name.endswith(RECEIPT) and entry.version is not None
    }
    known = read(data, listed)
    if len(receipts) < _FEW or receipts.keys() == known.keys():
        return
    contents = {key: known.get(key) or _content(data, path) for key, path in receipts.items()}
    kept = {key: bytes(content) for key, content in contents.items() if content is not None}
    head = json.dumps({"format": _FORMAT, "receipts": list(kept)}).encode()
    path = f"{folder}/{RECEIPTS}/{INDEX}"
    # Not synced: a truncated index is ignored.
    data.create_whole(temporary(path), rowless.sealed_lines([head, *kept.values()]))
    data.move(temporary(path), path)


def _content(data: Storage, path: str) -> bytes | None:
    try:
        return rowless.unsealed(data.read(path))
    except (DatasetError, ValueError):
        return None
