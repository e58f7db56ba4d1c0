"""Sorts all points of a run by step or by series, in bounded memory.

Runs are stored series by series, and many targets take points fastest if all metrics of a step come together.
Points are sorted in memory as long as they fit, else in sorted pieces on disk that are merged. Both take 28
bytes a point, and the time grows linearly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from neptune_exporter.contract import EqualPoints

MEMORY_POINTS, MEMORY_POINTS_ALONE = 1 << 20, 1 << 21
"""How many points are sorted in memory, if a process loads several runs at once or one alone. More points go
to disk, in pieces of this size."""
_MERGED_POINTS, _LEAST_READ = 1 << 18, 1 << 12
"""How many points of all pieces together are read at once, and how many of each piece at least."""

Bound: TypeAlias = "tuple[int, ...]"
Side: TypeAlias = 'Literal["left", "right"]'


@dataclass(frozen=True)
class Points:
    """Columns of one length: number of the series, step, time in ms since 1970, value.

    Examples:
        >>> rows = [(1, 1714557601000, 0.5), (0, 1714557600000, 0.9)]  # step, time in ms, value
        >>> points = Points.of_rows(rows)  # in `Loader.read_back`
        >>> points.step.tolist(), points.value.tolist()
        ([0, 1], [0.9, 0.5])
    """

    series: npt.NDArray[np.int32]
    step: npt.NDArray[Any]
    """uint64 where the target has no negative steps, else int64."""
    time: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.step)

    @property
    def columns(self) -> tuple[npt.NDArray[Any], ...]:
        return self.series, self.step, self.time, self.value

    def __getitem__(self, where: slice | npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Points:
        return Points(*(column[where] for column in self.columns))

    @staticmethod
    def of_rows(rows: Iterable[tuple[int, int, float | None]]) -> Points:
        """Points of one series from rows of step, time and value (None is NaN), put in order of steps."""
        step, time, value = zip(*rows, strict=True) if (rows := list(rows)) else ((), (), ())
        numbers = np.zeros(len(rows), np.int32)
        dtype = np.uint64 if step and max(step) >= 2**63 else np.int64
        points = Points(numbers, np.array(step, dtype), np.array(time, np.int64), np.array(value, np.float64))
        return points[np.argsort(points.step, kind="stable")]

    @staticmethod
    def joined(parts: list[Points]) -> Points:
        if not parts:
            return Points(
                np.empty(0, np.int32), np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0, np.float64)
            )
        # An empty part may have the other type of steps, and both together would become doubles.
        parts = [part for part in parts if len(part)] or parts[:1]
        if len(parts) == 1:
            return parts[0]
        return Points(*map(np.concatenate, zip(*(part.columns for part in parts), strict=True)))


def without_equal(points: Points, kept: EqualPoints) -> tuple[Points, Points]:
    """Divide points into those that the target keeps and those that it does not. All points of a series and
    step are among them.

    Examples:
        >>> points = Points.of_rows([(3, 1714557600000, 0.9), (3, 1714557601000, 0.5)])
        >>> kept, rest = without_equal(points, EqualPoints.NEWEST)
        >>> kept.value.tolist(), rest.value.tolist()
        ([0.5], [0.9])
    """
    if kept is EqualPoints.KEPT or len(points) < 2:
        return points, points[:0]
    series, step = points.series, points.step
    rising = (series[1:] > series[:-1]) | ((series[1:] == series[:-1]) & (step[1:] > step[:-1]))
    if rising.all():  # as most windows of sorted points are: nothing to sort
        return points, points[:0]
    keys = [points.time, points.step, points.series]
    if kept is EqualPoints.MERGED:
        keys.insert(0, points.value.view(np.int64))
    order = np.lexsort(keys)
    ordered = points[order]
    again = (ordered.series[1:] == ordered.series[:-1]) & (ordered.step[1:] == ordered.step[:-1])
    if kept is EqualPoints.MERGED:
        bits = ordered.value.view(np.int64)
        again &= (ordered.time[1:] == ordered.time[:-1]) & (bits[1:] == bits[:-1])
    if not again.any():
        return points, points[:0]
    keep = np.ones(len(points), np.bool_)
    keep[order[:-1][again]] = False
    return points[keep], points[~keep]


class Order:
    """The order by step, then time; points of one step and time keep their order. Windows end between two
    steps."""

    def indices(self, points: Points) -> npt.NDArray[np.intp]:
        """Where each point of the order is."""
        return np.lexsort((points.time, points.step))

    def sorted(self, points: Points) -> Points:
        return points[self.indices(points)]

    def bound(self, points: Points, row: int) -> Bound:
        """The place of a row in the order, as precisely as windows are cut."""
        return (int(points.step[row]),)

    def position(self, points: Points, bound: Bound, side: Side) -> int:
        """Where sorted points reach a bound."""
        return int(np.searchsorted(points.step, points.step.dtype.type(bound[-1]), side=side))


class SeriesOrder(Order):
    """The order by series, step and time. Windows end between two steps of a series."""

    def indices(self, points: Points) -> npt.NDArray[np.intp]:
        return np.lexsort((points.time, points.step, points.series))

    def bound(self, points: Points, row: int) -> Bound:
        return int(points.series[row]), int(points.step[row])

    def position(self, points: Points, bound: Bound, side: Side) -> int:
        series, step = np.int32(bound[0]), points.step.dtype.type(bound[1])
        low = int(np.searchsorted(points.series, series, side="left"))
        high = int(np.searchsorted(points.series, series, side="right"))
        return low + int(np.searchsorted(points.step[low:high], step, side=side))


class PointSorter:
    """Takes points in any order and gives them back in another, in windows. Those that do not fit into memory
    go into pieces in the folder, which is made when needed."""

    def __init__(self, folder: Path, order: Order | None = None, memory_points: int = MEMORY_POINTS) -> None:
        self._folder = folder
        self._order = order or Order()
        self._memory_points = memory_points
        self._columns: list[npt.NDArray[Any]] = []
        """Filled up to `_held`. Used again after that went to disk, so that no memory is needed twice."""
        self._held = 0
        self._pieces: list[_Piece] = []

    def add(self, points: Points) -> None:
        if not self._columns or self._held + len(points) > len(self._columns[0]) < self._memory_points:
            self._widen(points)
        while len(points):
            if self._held == self._memory_points:
                self._spill()
            fitting = points[: self._memory_points - self._held]
            for held, column in zip(self._columns, fitting.columns, strict=True):
                held[self._held : self._held + len(column)] = column
            self._held += len(fitting)
            points = points[len(fitting) :]

    def _widen(self, points: Points) -> None:
        """Make room for these points if they are the first, else for all that are held in memory: many runs
        are read at once, and the system clears every large array."""
        room = self._memory_points if self._held else min(len(points), self._memory_points)
        before, self._columns = self._columns, [np.empty(room, column.dtype) for column in points.columns]
        for column, held in zip(self._columns, before, strict=False):
            column[: self._held] = held[: self._held]

    def windows(self, window_points: int) -> Iterator[Points]:
        """All points, once, in windows of about this size, however many points were in memory."""
        waiting: list[Points] = []
        for stretch in self._sorted():
            waiting.append(stretch)
            if sum(map(len, waiting)) < window_points:
                continue
            points, start = Points.joined(waiting), 0
            waiting.clear()
            while len(points) - start >= window_points:
                bound = self._order.bound(points, start + window_points - 1)
                end = self._order.position(points, bound, "right")
                yield points[start:end]
                start = end
            waiting.append(points[start:])
        rest = Points.joined(waiting)
        if len(rest):
            yield rest

    def _sorted(self) -> Iterator[Points]:
        """All points, in stretches that end between two steps."""
        if self._pieces:
            self._spill()
            self._columns = []
            yield from self._merged()
        elif self._held:
            points = Points(*self._sorted_columns())
            self._columns, self._held = [], 0
            yield points

    def close(self) -> None:
        for piece in self._pieces:
            piece.close()
        self._pieces = []

    def _spill(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"points-{len(self._pieces)}"
        self._pieces.append(_Piece(path, self._held, self._sorted_columns()))
        self._held = 0

    def _sorted_columns(self) -> Iterator[npt.NDArray[Any]]:
        """The points in memory, sorted, column by column."""
        columns = [column[: self._held] for column in self._columns]
        order = self._order.indices(Points(*columns))
        return (column[order] for column in columns)

    def _merged(self) -> Iterator[Points]:
        rows = max(_LEAST_READ, _MERGED_POINTS // len(self._pieces))
        while True:
            for piece in self._pieces:
                piece.fill(rows)
            # All rows below the smallest of the pieces' last bounds are in memory.
            ends = [self._order.bound(piece.held, -1) for piece in self._pieces if piece.more]
            taken = [self._taken(piece, min(ends) if ends else None) for piece in self._pieces]
            window = Points.joined([t for t in taken if len(t)] or taken[:1])
            if len(window):
                yield self._order.sorted(window)
            if not ends:
                return
            if not len(window):
                rows *= 2  # one step has more points than were read: read more of it

    def _taken(self, piece: _Piece, below: Bound | None) -> Points:
        if below is None:
            return piece.take(len(piece.held))
        return piece.take(self._order.position(piece.held, below, "left"))


class _Piece:
    """Sorted points in a file, read forward."""

    def __init__(self, path: Path, rows: int, columns: Iterable[npt.NDArray[Any]]) -> None:
        self._path = path
        self._rows = rows
        self._read = 0
        self._types: list[np.dtype[Any]] = []
        with path.open("wb") as file:
            for column in columns:
                self._types.append(column.dtype)
                file.write(column.data)  # not `tofile`, which does not say why it cannot write
        self.held = Points.joined([])

    @property
    def more(self) -> bool:
        """Whether there are rows that have not been read."""
        return self._read < self._rows

    def fill(self, rows: int) -> None:
        """Read so that at least `rows` are held, if that many remain."""
        wanted = min(rows - len(self.held), self._rows - self._read)
        if wanted <= 0:
            return
        columns: list[Any] = []
        start = 0
        for dtype in self._types:
            place = start + self._read * dtype.itemsize
            columns.append(np.fromfile(self._path, dtype, wanted, offset=place))
            start += self._rows * dtype.itemsize
        self._read += wanted
        self.held = Points.joined([self.held, Points(*columns)])

    def take(self, end: int) -> Points:
        """The first held rows."""
        taken, self.held = self.held[:end], self.held[end:]
        return taken

    def close(self) -> None:
        self._path.unlink(missing_ok=True)
