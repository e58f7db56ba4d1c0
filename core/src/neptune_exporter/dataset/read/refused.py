"""Parts that are not opened: a child process that read them first found damage, or was ended by it."""

from __future__ import annotations

import weakref
from typing import TypeAlias

from neptune_exporter.contract import DatasetError
from neptune_exporter.dataset.format.storage import Storage

Stamp: TypeAlias = "tuple[int, int] | None"
_Refused: TypeAlias = "dict[str, tuple[Stamp, str]]"
_refused: weakref.WeakKeyDictionary[Storage, _Refused] = weakref.WeakKeyDictionary()


def refuse(storage: Storage, path: str, stamp: Stamp, message: str) -> None:
    """Do not open the part as long as it has this stamp."""
    _refused.setdefault(storage, {})[path] = stamp, message


def check(storage: Storage, path: str) -> None:
    """Raise DatasetError if the part is refused."""
    refusal = _refused.get(storage, {}).get(path)
    if refusal is not None and refusal[0] == storage.stamp(path):
        raise DatasetError(refusal[1])
