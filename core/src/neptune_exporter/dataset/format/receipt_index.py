"""What the receipts in one folder say, in one file: so that an overview of 10,000 runs opens one and not all.

An index is built from receipts and never trusted over them. What it has of a receipt counts only as long as
the folder's listing shows that receipt with the same size and version; every other receipt is read, and so is
each one where there is no index, or a damaged one. What checks, resumes or loads runs reads the receipts.
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
_FEW = 20
"""Fewer receipts are read as fast as an index of them."""

ReceiptIndex: TypeAlias = "Mapping[tuple[str, int, int | None], bytes]"
"""By name, size and version of each receipt: what it says, as `Receipt.from_json` takes it."""


def key(receipt: Entry) -> tuple[str, int, int | None]:
    """Where an index has a receipt: nowhere if it changed, or if its listing cannot tell."""
    return receipt.name, receipt.size, receipt.version


def read(data: Storage, listed: Iterable[Entry]) -> ReceiptIndex:
    """The index among what was listed in a folder of receipts; empty if there is none, or it is damaged."""
    path = next((entry.path for entry in listed if entry.name == INDEX), None)
    if path is None:
        return {}
    try:
        head, *contents = rowless.unsealed(data.read(path)).split(b"\n")
        told = json.loads(head)
        if told["format"] != _FORMAT:
            return {}
        return dict(zip(map(tuple, told["receipts"]), contents, strict=True))
    except (DatasetError, ValueError, KeyError, TypeError):
        return {}


def update(data: Storage, folder: str) -> None:
    """Have the index of a folder hold what its receipts say now. Call it under the lock of the dataset.

    Left out are receipts that are damaged, and those of which a listing cannot tell yet whether they changed.

    Raises:
        DatasetError: it cannot be written.
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
    kept = {key: content for key, content in contents.items() if content is not None}
    head = json.dumps({"format": _FORMAT, "receipts": list(kept)}).encode()
    path = f"{folder}/{RECEIPTS}/{INDEX}"
    # Not synced: an index that is cut short is none.
    data.create_whole(temporary(path), rowless.sealed(b"\n".join([head, *kept.values()])))
    data.move(temporary(path), path)


def _content(data: Storage, path: str) -> bytes | None:
    try:
        return rowless.unsealed(data.read(path))
    except (DatasetError, ValueError):
        return None
