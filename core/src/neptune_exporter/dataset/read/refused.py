"""Parts that must not be opened, because a child process found damage in them, or damage ended it."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from neptune_exporter.contract import DatasetError
from neptune_exporter.dataset.format.storage import Storage

Stamp: TypeAlias = "tuple[int, int] | None"


class Refusal(NamedTuple):
    """Why a part must not be opened, as long as it has this stamp."""

    stamp: Stamp
    message: str
    passing: bool = False
    """The reason may be gone by the next probe (a lack of memory, say); see `forget_passing`."""
    identity: tuple[str, str] | None = None
    """Project id and run id, where the damage leaves them readable."""


_refused: weakref.WeakKeyDictionary[Storage, dict[str, Refusal]] = weakref.WeakKeyDictionary()


def refuse(storage: Storage, path: str, why: Refusal) -> None:
    """Refuse to open the part."""
    _refused.setdefault(storage, {})[path] = why


def identity(storage: Storage, path: str) -> tuple[str, str] | None:
    """The identity of a refused part, if it is known."""
    refusal = _refused.get(storage, {}).get(path)
    return None if refusal is None else refusal.identity


def forget_passing(storage: Storage, paths: Iterable[str]) -> None:
    """Forget refusals whose reason may not be the part itself, so that those parts are probed again."""
    known = _refused.get(storage)
    if known:
        for path in [path for path in paths if path in known and known[path].passing]:
            del known[path]


def check(storage: Storage, path: str) -> None:
    """Raise DatasetError if the part is refused."""
    refusal = _refused.get(storage, {}).get(path)
    if refusal is not None and refusal.stamp == storage.stamp(path):
        raise DatasetError(refusal.message)


def reasons(storage: Storage, paths: Iterable[str]) -> list[str]:
    """A line for each damaged one of these parts."""
    lines = []
    for path in paths:
        try:
            check(storage, path)
        except DatasetError as error:
            lines.append(str(error))
    return lines
