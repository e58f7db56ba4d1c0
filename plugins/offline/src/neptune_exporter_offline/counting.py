"""Counts the steps of points that were logged without one, as the server does: the log does not hold them.

The 2.x client deletes the files of a log that it has sent (`DiskQueue.ack` in
`neptune.core.components.queue.disk_queue`), and users delete or copy folders. If each export counted only in
the files that are left, a point would get another step than in the export before, and would be in the dataset
twice. So each export remembers the next step of every series at each place from which a log may be read next
time, and the next export goes on counting from there.
"""

from __future__ import annotations

import hashlib
import json
import math
from array import array
from collections.abc import Iterable
from typing import Any

from neptune_exporter_offline.folders import Start

MOST_NUMBERS = 250_000
"""How many numbers are remembered of a run, one for each place and series: at most some megabytes. The
earliest places are forgotten first, because the client deletes the earliest files first."""

_ABSENT = math.nan
_NONE = float("-inf")


def sign(start: Start, process: str) -> str:
    """Recognises a place in a log, also in a copy of it.

    Clients before 1.0 logged no times, and then the name of the process makes it unique.
    """
    distinct = json.dumps([start.at or process, start.digest])
    return f"{start.number}-{hashlib.sha256(distinct.encode()).hexdigest()[:16]}"


def number_of(place: str) -> int:
    """The number of the record that `sign` was given."""
    return int(place.partition("-")[0])


class StepCounter:
    """Counts the steps of all series of a run, in agreement with earlier exports.

    Args:
        memory: What `remembered` gave at the last export of the run; may be empty or damaged.
        renumbers: This export replaces the rows of earlier ones. Then a place may get a higher number than
            before, because logs of earlier processes may have been added.
    """

    def __init__(self, memory: str = "", *, renumbers: bool = False) -> None:
        self._renumbers = renumbers
        self._next: dict[str, float] = {}
        self._counted: set[str] = set()
        self._begun_unknown = False
        self._paths: dict[str, int] = {}
        self._places: dict[str, array[float]] = {}
        self._end: dict[str, float] = {}
        self.forgot = False
        """Whether places that an earlier export met are no longer remembered."""
        if memory:
            self._restore(memory)

    @property
    def places(self) -> Iterable[str]:
        """Those that are remembered."""
        return self._places.keys()

    def step(self, path: str, logged: Any) -> float:
        """The step of the next point of a series: as it was logged, or counted if it was logged without one.
        Raises TypeError or ValueError if what was logged is not a number."""
        if logged is None:
            self._counted.add(path)
            step = self._next.get(path, 0.0)
        else:
            step = float(logged)
        if step + 1 > self._next.get(path, _NONE):
            self._next[path] = step + 1
        return step

    def clear(self, path: str) -> None:
        """The series was cleared or deleted: counting begins at 0 again."""
        self._next.pop(path, None)

    def reach(self, places: Iterable[str], *, is_cut: bool) -> None:
        """The next record is at this place of a process, for which each of its logs may have another sign.

        Args:
            places: The signs.
            is_cut: It is the first record that is left of its process; those before were deleted.
        """
        places = list(places)
        known = next((self._places[place] for place in places if place in self._places), None)
        if known is not None:
            self._set(dict(zip(self._paths, known, strict=False)))
        elif is_cut:
            self._begun_unknown = True
            self._raise(self._end)
        now = self._snapshot()
        for place in places:
            self._places.pop(place, None)
            self._places[place] = now
        self._bound()

    @property
    def is_uncertain(self) -> bool:
        """Whether steps were counted from a place without knowing the right number there."""
        return bool(self._counted) and self._begun_unknown

    @property
    def goes_on(self) -> bool:
        """Whether an earlier export counted steps of this run."""
        return bool(self._end)

    def remembered(self, *, is_sent: bool = True) -> str:
        """What the next export needs, with all that was remembered before, as far as there is room.

        Args:
            is_sent: The client may send and delete what it logs after this export, before the next one.
        """
        end = {} if self._renumbers else dict(self._end)
        for path in self._counted if is_sent else ():
            if path in self._next:
                end[path] = max(self._next[path], end.get(path, _NONE))
        for path in end:
            self._paths.setdefault(path, len(self._paths))
        return json.dumps(
            {
                "places": {place: _compact(numbers) for place, numbers in self._places.items()},
                "end": _compact(array("d", (end.get(path, _ABSENT) for path in self._paths))) if end else [],
                "paths": list(self._paths),
                "forgot": self.forgot,
            },
            allow_nan=False,
            separators=(",", ":"),
        )

    def _restore(self, memory: str) -> None:
        try:
            value = json.loads(memory)
            paths = {str(path): number for number, path in enumerate(value["paths"])}
            places = {place: _expanded(numbers) for place, numbers in value["places"].items()}
            for place in places:
                number_of(place)
            end = zip(paths, _expanded(value["end"]), strict=False)
            known = {path: number for path, number in end if not math.isnan(number)}
            forgot = bool(value["forgot"])
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            self.forgot = True
        else:
            self._paths, self._places, self._end, self.forgot = paths, places, known, forgot

    def _set(self, numbers: dict[str, float]) -> None:
        there = {path: number for path, number in numbers.items() if not math.isnan(number)}
        if self._renumbers:
            self._raise(there)
        else:
            self._next = there

    def _raise(self, numbers: dict[str, float]) -> None:
        for path, number in numbers.items():
            self._next[path] = max(number, self._next.get(path, _NONE))

    def _snapshot(self) -> array[float]:
        """The next step of each series, in the order of `_paths`."""
        for path in self._next:
            self._paths.setdefault(path, len(self._paths))
        return array("d", (self._next.get(path, _ABSENT) for path in self._paths))

    def _bound(self) -> None:
        held = sum(map(len, self._places.values()))
        while held > MOST_NUMBERS:
            earliest = next(iter(self._places))
            held -= len(self._places.pop(earliest))
            self.forgot = True


def _compact(numbers: array[float]) -> list[float | None]:
    """For JSON: whole numbers without a point, None for what is absent or cannot be counted on."""
    return [
        None if not math.isfinite(number) else int(number) if number.is_integer() else number
        for number in numbers
    ]


def _expanded(numbers: list[float | None]) -> array[float]:
    return array("d", (_ABSENT if number is None else number for number in numbers))
