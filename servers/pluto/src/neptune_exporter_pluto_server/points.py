"""Metric points of the local Pluto, kept in columns.

A point takes 28 bytes. New points gather in memory; once there are enough of
them they are sealed into one working file, so memory stays bounded however
much is loaded. Nothing is sorted while data comes in: a sealed part is sorted
by (series, step, time), in place, when somebody first reads from it.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

POINT = np.dtype([("name", "<u4"), ("step", "<u8"), ("time", "<u8"), ("value", "<f8")])
"""`name` is an index into `PointTable.names`; `time` is epoch milliseconds."""

Points = npt.NDArray[Any]
Key = tuple[str, int]
"""The project and the run as the request named them: (X-Project-Name, X-Run-Id)."""

_SEAL_ROWS = 1 << 20
_FRESH_ROWS = 1 << 21  # over all runs: about 60 MB
_FRESH_PARTS = 256


class NameIds(defaultdict[str, int]):
    """Gives every new name the next number."""

    def __init__(self) -> None:
        super().__init__(count().__next__)


@dataclass
class _Part:
    arrived: float
    rows: int
    array: Points | None = None
    offset: int = 0
    bounds: dict[int, tuple[int, int]] | None = None
    """Where each name's rows are, once the part is sorted."""


@dataclass
class _Run:
    fresh: list[_Part] = field(default_factory=list)
    sealed: list[_Part] = field(default_factory=list)
    view: tuple[int, _Part] | None = None
    """The first n fresh parts, merged and sorted for reading."""
    rows: int = 0


class PointTable:
    """All points of a server, duplicates included.

    `delay` is asked for the seconds that pass before a row can be read.
    """

    def __init__(self, file: Path, clock: Callable[[], float], delay: Callable[[], float]) -> None:
        self.ids = NameIds()
        self._file = file
        self._clock = clock
        self._delay = delay
        self._runs: dict[Key, _Run] = {}
        self._out: BinaryIO | None = None
        self._size = 0
        self._fresh_rows = 0
        self._lock = threading.RLock()

    @property
    def names(self) -> list[str]:
        return list(self.ids)

    def append(self, key: Key, points: Points) -> None:
        rows = len(points)
        if rows == 0:
            return
        with self._lock:
            run = self._runs.setdefault(key, _Run())
            run.fresh.append(_Part(self._clock(), rows, points))
            run.rows += rows
            self._fresh_rows += rows
            fresh = sum(part.rows for part in run.fresh) if run.rows >= _SEAL_ROWS else 0
            if fresh >= _SEAL_ROWS:
                self._seal(run)
            elif self._fresh_rows >= _FRESH_ROWS:
                for other in self._runs.values():
                    self._seal(other)
            elif len(run.fresh) > _FRESH_PARTS:
                self._compact(run)

    def owners(self) -> list[Key]:
        with self._lock:
            return list(self._runs)

    def rows(self, key: Key) -> int:
        """How many points were accepted, visible or not."""
        with self._lock:
            run = self._runs.get(key)
            return 0 if run is None else run.rows

    def visible_names(self, key: Key) -> list[str]:
        names = self.names
        return sorted({names[i] for part in self._visible(key) for i in self._bounds(part)})

    def series(self, key: Key, name: str, step_min: int = 0, step_max: int | None = None) -> Points:
        """Every visible row of one series, by step, then time, then arrival."""
        return self._slices(key, name, step_min, step_max, None)

    def page(self, key: Key, name: str, step_min: int, step_max: int | None, limit: int) -> Points:
        """The first `limit` visible rows of one series."""
        return self._slices(key, name, step_min, step_max, limit)

    def all_parts(self, key: Key) -> Iterator[Points]:
        """Every row of a run, visible or not, in pieces and in no order."""
        with self._lock:
            run = self._runs.get(key)
            parts = [] if run is None else [*run.sealed, *run.fresh]
        for part in parts:
            yield self._load(part)

    def close(self) -> None:
        with self._lock:
            if self._out is not None:
                self._out.close()
                self._out = None

    def _slices(self, key: Key, name: str, step_min: int, step_max: int | None, limit: int | None) -> Points:
        with self._lock:
            ident = self.ids.get(name)
            found = []
            for part in self._visible(key) if ident is not None else ():
                bounds = self._bounds(part).get(ident if ident is not None else -1)
                if bounds is None:
                    continue
                rows = self._load(part)[bounds[0] : bounds[1]]
                steps = rows["step"]
                start = int(np.searchsorted(steps, np.uint64(step_min), "left"))
                stop = (
                    len(rows)
                    if step_max is None
                    else int(np.searchsorted(steps, np.uint64(step_max), "right"))
                )
                if limit is not None:
                    stop = min(stop, start + limit)
                if start < stop:
                    found.append(np.array(rows[start:stop]))
        if not found:
            return np.empty(0, POINT)
        if len(found) == 1:
            return found[0]
        rows = np.concatenate(found)
        rows = rows[np.lexsort((rows["time"], rows["step"]))]
        return rows if limit is None else rows[:limit]

    def _visible(self, key: Key) -> list[_Part]:
        with self._lock:
            run = self._runs.get(key)
            if run is None:
                return []
            limit = self._clock() - self._delay()
            ready = 0
            for part in run.fresh:
                if part.arrived > limit:
                    break
                ready += 1
            parts = [part for part in run.sealed if part.arrived <= limit]
            if ready:
                if run.view is None or run.view[0] != ready:
                    run.view = (ready, _merged(run.fresh[:ready]))
                parts.append(run.view[1])
            return parts

    def _bounds(self, part: _Part) -> dict[int, tuple[int, int]]:
        with self._lock:
            if part.bounds is None:
                rows = self._load(part, "r+")
                rows[:] = rows[np.lexsort((rows["time"], rows["step"], rows["name"]))]
                edges = np.flatnonzero(np.diff(rows["name"])) + 1
                starts = [0, *edges.tolist()]
                stops = [*edges.tolist(), len(rows)]
                idents = rows["name"][starts].tolist()
                part.bounds = {i: (a, b) for i, a, b in zip(idents, starts, stops, strict=True)}
            return part.bounds

    def _load(self, part: _Part, mode: str = "r") -> Points:
        if part.array is not None:
            return part.array
        memmap: Any = np.memmap  # its overloads do not know a mode that is not a literal
        return np.asarray(memmap(self._file, POINT, mode, part.offset, (part.rows,)))

    def _seal(self, run: _Run) -> None:
        if not run.fresh:
            return
        if self._out is None:
            self._out = self._file.open("wb", buffering=0)
        sealed = _Part(0.0, 0, None, self._size)
        for part in run.fresh:
            array: Any = part.array
            self._out.write(array.view(np.uint8).data)
            sealed.rows += part.rows
            sealed.arrived = max(sealed.arrived, part.arrived)
        self._size += sealed.rows * POINT.itemsize
        self._fresh_rows -= sealed.rows
        run.sealed.append(sealed)
        run.fresh, run.view = [], None

    def _compact(self, run: _Run) -> None:
        limit = self._clock() - self._delay()
        ready = [part for part in run.fresh if part.arrived <= limit]
        if len(ready) > 1:
            run.fresh = [_merged(ready), *run.fresh[len(ready) :]]
            run.view = None


def _merged(parts: list[_Part]) -> _Part:
    arrays = [part.array for part in parts if part.array is not None]
    array = np.concatenate(arrays)
    return _Part(max(part.arrived for part in parts), len(array), array)


def newest_of_steps(rows: Points) -> Points:
    """Rows sorted by step and time: the last of each step."""
    last = np.ones(len(rows), np.bool_)
    last[:-1] = rows["step"][1:] != rows["step"][:-1]
    return np.asarray(rows[last])
