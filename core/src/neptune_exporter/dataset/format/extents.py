"""How far the logs of a run had been read: two exports of partial runs are compared by this."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

Logs = Sequence[tuple[str, int]]
"""The logs of a `SourceRun`: names, and how far each goes."""


class Extent(NamedTuple):
    """How far a log went when it was read for a receipt."""

    name: str
    extent: int
    selected: bool = True
    """Whether all selections of the receipt were read from all of the log."""


def joined(earlier: Iterable[Extent], logs: Logs, *, same_selections: bool) -> tuple[Extent, ...]:
    """Add what was read now to what was read before. `same_selections`: all that is requested now was
    requested before."""
    found = {e.name: e._replace(selected=e.selected and same_selections) for e in earlier}
    for name, extent in logs:
        before = found.get(name)
        if before is None or extent >= before.extent:
            found[name] = Extent(name, extent)
    return tuple(found.values())


def all_read(extents: Sequence[Extent], logs: Logs) -> bool:
    """Whether all of these logs was read before."""
    read = {e.name: e.extent for e in extents if e.selected}
    return bool(logs) and all(name in read and extent <= read[name] for name, extent in logs)


def all_there(extents: Sequence[Extent], logs: Logs) -> bool:
    """Whether these logs contain all that was read before."""
    there = dict(logs)
    return bool(extents) and all(e.name in there and e.extent <= there[e.name] for e in extents)
