"""The union of logs that repeat each other, by the numbers of their records.

Each process numbers its records from 1. So the number shows whether a record is a repeat: a forked child
wrote the buffer that it inherited again, a folder was copied, or a backup has an older state of it. Of equal
records one is kept. Different records with one number are all kept, and reported.

Memory holds only numbers, times and places, one set for each stretch of consecutive numbers. Where stretches
overlap, their records are read twice.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

Ranges = list[tuple[int, int]]
"""First and last numbers, in order."""


@dataclass(frozen=True)
class Stretch:
    """Records of consecutive numbers in one place of one log."""

    log: int
    """Index of the folder or database among those of the run."""
    first: int
    last: int
    begun: float = 0.0
    """When the first one was logged; for a part of a stretch, a lower bound of that."""
    ended: float = 0.0
    """When the last one was logged; for a part of a stretch, an upper bound of that."""
    place: Any = None
    """Where the log finds them."""
    start: int = 0
    """The number of the record at that place."""

    def of(self, first: int, last: int) -> Stretch:
        """A part of it."""
        return replace(self, first=first, last=last)


@dataclass(frozen=True)
class Hole:
    """Records that cannot be read."""

    first: int
    last: int | None
    """None if the number of records is unknown."""
    message: str
    permanent: bool = True


@dataclass
class Scan:
    """What one log holds."""

    stretches: list[Stretch] = field(default_factory=list)
    holes: list[Hole] = field(default_factory=list)
    torn: int | None = None
    """The number of a last record that is cut off."""


def branches(stretches: Sequence[Stretch]) -> list[list[Stretch]]:
    """What `unite` kept, in as few lists of ascending numbers as there are.

    One list is enough unless records differ. Then two processes went on counting from one number, and
    each list is continued by a stretch that was logged after it.
    """
    found: list[list[Stretch]] = []
    for stretch in stretches:
        open_ = [b for b in found if b[-1].last < stretch.first]
        after = [b for b in open_ if b[-1].ended <= stretch.begun]
        if open_:
            (after or open_)[0].append(stretch)
        else:
            found.append([stretch])
    return found


def unite(
    stretches: Iterable[Stretch],
    read: Callable[[Stretch], Iterator[Any]],
    same: Callable[[Any, Any], bool],
) -> tuple[list[Stretch], Ranges]:
    """Keep each record of one process once.

    Args:
        stretches: Of all its logs. Of equal records the one in the earliest stretch is kept.
        read: Gives the records of a stretch, in order.
        same: Whether two records of one number are the same.

    Returns:
        Parts of the stretches, ordered by their first numbers; and the numbers that stand for several
        records, all of which are kept.
    """
    readers = [_Reader(position, stretch, read) for position, stretch in enumerate(stretches)]
    pending = deque(sorted(readers, key=lambda reader: reader.stretch.first))
    active: list[_Reader] = []
    kept: list[Stretch] = []
    differing: Ranges = []
    number = 0
    while pending or active:
        if not active:
            number = pending[0].stretch.first
        _begin(pending, active, number)
        end = number
        if len(active) == 1:  # nothing to compare until the next one begins
            end = min(active[0].stretch.last, pending[0].stretch.first - 1 if pending else sys.maxsize)
            active[0].keep(number, end)
        elif _compare(active, number, same) > 1:
            add(differing, number, number)
        number = end + 1
        kept += _end(active, number)
    return sorted(kept, key=lambda stretch: stretch.first), differing


def _begin(pending: deque[_Reader], active: list[_Reader], number: int) -> None:
    """Take up the stretches that begin at a number, in the order in which they were given."""
    while pending and pending[0].stretch.first <= number:
        active.append(pending.popleft())
    active.sort(key=lambda reader: reader.position)


def _end(active: list[_Reader], number: int) -> list[Stretch]:
    """Close the stretches that end before a number; returns the parts of them that are kept."""
    ended = [reader for reader in active if reader.stretch.last < number]
    active[:] = [reader for reader in active if reader.stretch.last >= number]
    return [part for reader in ended for part in reader.parts()]


def _compare(active: Sequence[_Reader], number: int, same: Callable[[Any, Any], bool]) -> int:
    """Keep the different records of a number; returns how many there are."""
    different: list[Any] = []
    for reader in active:
        record = reader.at(number)
        if record is None:  # the log changed since it was scanned: reading it says what is wrong
            reader.keep(number, number)
        elif not any(same(record, other) for other in different):
            different.append(record)
            reader.keep(number, number)
    return len(different)


class _Reader:
    """Reads a stretch as far as it is compared, and remembers what of it is kept."""

    def __init__(self, position: int, stretch: Stretch, read: Callable[[Stretch], Iterator[Any]]) -> None:
        self.position = position
        self.stretch = stretch
        self._read = read
        self._records: Iterator[Any] | None = None
        self._next = 0
        self._kept: Ranges = []

    def at(self, number: int) -> Any:
        """The record of a number, which is higher than those before."""
        if self._records is None:
            self._records, self._next = self._read(self.stretch.of(number, self.stretch.last)), number
        record = None
        while self._next <= number:
            record = next(self._records, None)
            self._next += 1
        return record

    def keep(self, first: int, last: int) -> None:
        add(self._kept, first, last)

    def parts(self) -> list[Stretch]:
        return [self.stretch.of(first, last) for first, last in self._kept]


def add(ranges: Ranges, first: int, last: int) -> None:
    """Add numbers that are not before the last range."""
    if ranges and first <= ranges[-1][1] + 1:
        ranges[-1] = ranges[-1][0], max(last, ranges[-1][1])
    else:
        ranges.append((first, last))


def covered(stretches: Iterable[Stretch]) -> Ranges:
    """The numbers that are there."""
    ranges: Ranges = []
    for stretch in sorted(stretches, key=lambda s: s.first):
        add(ranges, stretch.first, stretch.last)
    return ranges


def missing(there: Ranges, first: int, last: int) -> Ranges:
    """The numbers between two that are not there."""
    gaps: Ranges = []
    before = bisect_left(there, (first,)) - 1  # of the ranges that begin earlier, only the last can matter
    for number in range(max(0, before), len(there)):
        begin, end = there[number]
        if begin > last:
            break
        if begin > first:
            gaps.append((first, begin - 1))
        first = max(first, end + 1)
    if first <= last:
        gaps.append((first, last))
    return gaps
