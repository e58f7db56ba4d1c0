"""How far the logs go of which a run was read: by that two exports of parts of a run are compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

Logs = Sequence[tuple[str, int]]
"""As a `SourceRun` has them: names, and how far each goes."""


class Extent(NamedTuple):
    """How far a log went that was read for what a receipt describes."""

    name: str
    extent: int
    selected: bool = True
    """Everything that the receipt says was asked for was asked of all of it."""


def of_logs(logs: Logs) -> tuple[Extent, ...]:
    """Of a run that was read as a whole."""
    return tuple(Extent(name, extent) for name, extent in logs)


def joined(earlier: Iterable[Extent], logs: Logs, *, same_selections: bool) -> tuple[Extent, ...]:
    """What was read now is added to what was read before, which stays.

    Args:
        same_selections: Nothing is asked for now that was not asked for before.
    """
    found = {e.name: e._replace(selected=e.selected and same_selections) for e in earlier}
    for name, extent in logs:
        before = found.get(name)
        if before is None or extent >= before.extent:
            found[name] = Extent(name, extent)
    return tuple(found.values())


def all_read(extents: Sequence[Extent], logs: Logs) -> bool:
    """Whether there is nothing in these logs that was not read before."""
    read = {e.name: e.extent for e in extents if e.selected}
    return bool(logs) and all(name in read and extent <= read[name] for name, extent in logs)


def all_there(extents: Sequence[Extent], logs: Logs) -> bool:
    """Whether all that was read before is in these logs."""
    there = dict(logs)
    return bool(extents) and all(e.name in there and e.extent <= there[e.name] for e in extents)
