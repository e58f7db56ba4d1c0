"""Parts that must not be opened, because a child process found damage in them, or damage ended it."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from neptune_exporter.contract import DatasetError
from neptune_exporter.dataset.format.storage import Storage

Stamp: TypeAlias = "tuple[int, int] | None"


class _Refusal(NamedTuple):
    stamp: Stamp
    message: str
    passing: bool
    identity: tuple[str, str] | None


_refused: weakref.WeakKeyDictionary[Storage, dict[str, _Refusal]] = weakref.WeakKeyDictionary()


def refuse(
    storage: Storage,
    path: str,
    stamp: Stamp,
    message: str,
    *,
    passing: bool = False,
    identity: tuple[str, str] | None = None,
) -> None:
    """Refuse to open the part as long as it has this stamp.

    Args:
        passing: The reason may be gone by the next probe (a lack of memory, say); see `forget_passing`.
        identity: Project id and run id, where the damage leaves them readable.
    """
    _refused.setdefault(storage, {})[path] = _Refusal(stamp, message, passing, identity)


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
