"""Sends the float series of a run: points in the order of steps, thinned if requested."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from neptune_exporter.model import AttributeType
from neptune_exporter.sinks.names import NameBook
from neptune_exporter.sinks.points import Points, PointSorter
from neptune_exporter.sinks.series import SeriesNumbers, SeriesRows
from neptune_exporter_pluto.form.losses import LossBook, LossCode
from neptune_exporter_pluto.form.metric_lines import LINE_BYTES, Body, MetricEncoder

TYPES = (AttributeType.FLOAT_SERIES,)
VALUE_COLUMNS = ("float_value",)
LOG_TYPE = "METRIC"
_WINDOW_POINTS = 1 << 17
_WINDOW_MEMORY = 48 << 20
BODY_BYTES = 1 << 20


def cutting() -> tuple[int, ...]:
    """The constants that decide where one request ends and the next begins."""
    return _WINDOW_POINTS, _WINDOW_MEMORY, BODY_BYTES, LINE_BYTES


class Series(SeriesNumbers):
    """The series of a run by number, with the range of steps of each."""

    def __init__(self) -> None:
        super().__init__()
        self.largest = np.empty(0, np.uint64)

    def of(self, paths: list[str]) -> npt.NDArray[np.int32]:
        numbers = super().of(paths)
        new = len(self.paths) - len(self.largest)
        if new:
            self.largest = np.append(self.largest, np.zeros(new, np.uint64))
        return numbers

    def look_at(self, points: Points) -> None:
        np.maximum.at(self.largest, points.series, points.step)


class MetricStream:
    """Takes the rows of the float series of one run, then sends them.

    Args:
        every: Keep every N-th point of each series, and its first and last.
    """

    def __init__(self, sorter: PointSorter, losses: LossBook, every: int) -> None:
        self._sorter = sorter
        self._losses = losses
        self._every = every
        self._series = Series()
        self._seen = np.empty(0, np.int64)
        self.points = 0

    @property
    def last_step(self) -> int | None:
        """The largest step of any series; None if there is no point."""
        return int(self._series.largest.max()) if len(self._series.largest) else None

    def take(self, rows: SeriesRows) -> None:
        rows.count_unusable(self._losses)
        usable = rows.steps.usable
        numbers = self._series.of(rows.paths)
        values = rows.batch.column("float_value").to_numpy(zero_copy_only=False)
        points = Points(numbers[rows.series], rows.steps.steps, rows.times, values)
        if not usable.all():
            points = points[usable]
        self._series.look_at(points)
        self._sorter.add(points)

    def names(self, book: NameBook) -> list[str]:
        """The names of all series by number. Call it after all rows have been taken."""
        return [book.name(path, LOG_TYPE) for path in self._series.paths]

    def bodies(self, names: Sequence[str], flush_steps: int) -> Iterator[Body]:
        """All request bodies. The same rows and options always give the same bodies in the same order."""
        encoder = MetricEncoder(names, flush_steps, BODY_BYTES)
        for window in self.windows(encoder.window_points(_WINDOW_POINTS, _WINDOW_MEMORY)):
            self.points += len(window)
            yield from encoder.bodies(window)

    @property
    def paths(self) -> list[str]:
        """The series by number."""
        return self._series.paths

    def windows(self, window_points: int = _WINDOW_POINTS) -> Iterator[Points]:
        """The points that are sent, by (step, time)."""
        self._seen = np.zeros(len(self._series.paths), np.int64)
        for window in self._sorter.windows(window_points):
            points = self._without_duplicates(window)
            if self._every > 1:
                points = self._thinned(points)
            yield points

    def _without_duplicates(self, points: Points) -> Points:
        """Count points that Pluto's charts will not show, and drop points that Pluto could not order.

        If a series has several points at one step, the charts show the newest. If their times are equal too,
        only the last is sent, because a line has each name once. If points are thinned, only the newest of a
        step stays, because thinning might keep another one.
        """
        same_step = points.step[1:] == points.step[:-1]
        if not (same_step & (points.series[1:] <= points.series[:-1])).any():
            return points  # within every step the series' numbers rise: none is there twice
        order = np.lexsort((points.time, points.series, points.step))
        series, step, time = points.series[order], points.step[order], points.time[order]
        again = (series[1:] == series[:-1]) & (step[1:] == step[:-1])
        if not again.any():
            return points
        counts = np.bincount(series[:-1][again], minlength=len(self._series.paths))
        for number in np.flatnonzero(counts):
            self._losses.add(LossCode.DUPLICATE_STEP, int(counts[number]), self._series.paths[number])
        dropped = again if self._every > 1 else again & (time[1:] == time[:-1])
        keep = np.ones(len(points), np.bool_)
        keep[order[:-1][dropped]] = False
        return points[keep]

    def _thinned(self, points: Points) -> Points:
        order = np.argsort(points.series, kind="stable")
        series = points.series[order]
        if not len(series):
            return points
        starts = np.flatnonzero(np.append(True, series[1:] != series[:-1]))
        lengths = np.diff(np.append(starts, len(series))).astype(np.int64)
        within = np.arange(len(series)) - np.repeat(starts, lengths)
        ordinal = np.empty(len(series), np.int64)
        ordinal[order] = within + self._seen[series]
        self._seen[series[starts]] += lengths
        keep = (ordinal % self._every == 0) | (points.step == self._series.largest[points.series])
        counts = np.bincount(points.series[~keep], minlength=len(self._series.paths))
        for number in np.flatnonzero(counts):
            self._losses.add(LossCode.DOWNSAMPLED, int(counts[number]), self._series.paths[number])
        return points[keep]

    def close(self) -> None:
        self._sorter.close()
