"""The float series of a run: points in the order of steps, thinned if requested; reads them, then sends them.

Pluto's charts keep one point a step, so repeating points is harmless, but Pluto stores every row that it gets
until it merges them. So the journal says which requests are under way, and a load that goes on asks Pluto how
far each of those came, and sends the rest. The ingest takes the lines of a request in order, one after the
other, and keeps those that it took when the connection breaks (pluto-server,
`ingest/src/processors/stream.rs`).
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import orjson

from neptune_exporter.model import AttributeType
from neptune_exporter.sinks.losses import CommonLoss
from neptune_exporter.sinks.points import Points, PointSorter
from neptune_exporter.sinks.series import SeriesNumbers, SeriesRows
from neptune_exporter.toolkit import failpoint
from neptune_exporter_pluto.form import metric_lines
from neptune_exporter_pluto.form.content import Content
from neptune_exporter_pluto.form.losses import LossCode
from neptune_exporter_pluto.form.metric_lines import Body, MetricEncoder
from neptune_exporter_pluto.form.values import times_of
from neptune_exporter_pluto.service.pipeline import Pipeline, settled
from neptune_exporter_pluto.state.open_run import OpenRun

LOG_TYPE = "METRIC"
_MOST_ROWS = 1_000
_MOST_NAMES = 50
"""A line with more names is sent again, without a check of each name."""
_EXACT = 2**53
"""Up to here, Pluto's API reads steps exactly."""

ReadPoints: TypeAlias = "Callable[[str, int, int, int], tuple[list[dict[str, Any]], bool]]"
"""Stored rows of a metric from a step to a step, and how many at most: see `PlutoApi.raw_points`."""


def read(content: Content, sorter: PointSorter, beside: Future[Any] | None = None) -> Metrics:
    """Take all points of a run, and give names to its series.

    Args:
        sorter: Gets the points; the caller closes it.
        beside: What gives its names first. If it fails, the rest is not read.
    """
    metrics = Metrics(content, sorter)
    for rows in content.rows((AttributeType.FLOAT_SERIES,), ("float_value",)):
        if beside is not None and beside.done() and beside.exception() is not None:
            break
        metrics.take(rows)
    if beside is not None:
        wait([beside])
    metrics.names = [content.names.name(path, LOG_TYPE) for path in metrics.paths]
    return metrics


class Metrics:
    """The points of one run: takes the rows of its float series, then gives the points that are sent."""

    def __init__(self, content: Content, sorter: PointSorter) -> None:
        self._losses, self._every = content.losses, content.options.log_every
        self._sorter = sorter
        self._numbers = SeriesNumbers()
        self.paths = self._numbers.paths
        """The series by number."""
        self.names: Sequence[str] = ()
        self._largest = np.empty(0, np.uint64)
        self._seen = np.empty(0, np.int64)
        self.taken = 0
        self.given = np.empty(0, np.int64)
        """How many points were given, by series."""
        self.last_step: int | None = None
        """The largest step of all; None if there is no point."""

    def take(self, rows: SeriesRows) -> None:
        rows.count_unusable(self._losses)
        usable = rows.steps.usable
        numbers = self._numbers.of(rows.paths)
        values = rows.batch.column("float_value").to_numpy(zero_copy_only=False)
        points = Points(numbers[rows.series], rows.steps.steps, rows.times, values)
        if not usable.all():
            points = points[usable]
        new = len(self.paths) - len(self._largest)
        self._largest = np.append(self._largest, np.zeros(new, np.uint64))
        np.maximum.at(self._largest, points.series, points.step)
        self.last_step = int(self._largest.max()) if len(self._largest) else None
        self.taken += len(points)
        self._sorter.add(points)

    def windows(self, window_points: int = metric_lines.WINDOW_POINTS) -> Iterator[Points]:
        """The points that are sent, in the order of the sorter."""
        self._seen, self.given = np.zeros((2, len(self.paths)), np.int64)
        for window in self._sorter.windows(window_points):
            points = self._without_duplicates(window)
            if self._every > 1:
                points = self._thinned(points)
            self.given += np.bincount(points.series, minlength=len(self.given))
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
        counts = np.bincount(series[:-1][again], minlength=len(self.paths))
        for number in np.flatnonzero(counts):
            self._losses.add(CommonLoss.DUPLICATE_STEP, int(counts[number]), self.paths[number])
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
        keep = (ordinal % self._every == 0) | (points.step == self._largest[points.series])
        counts = np.bincount(points.series[~keep], minlength=len(self.paths))
        for number in np.flatnonzero(counts):
            self._losses.add(LossCode.DOWNSAMPLED, int(counts[number]), self.paths[number])
        return points[keep]


def send(metrics: Metrics, work: OpenRun) -> None:
    """Post everything that Pluto has not acknowledged. The same rows and options always give the same bodies
    in the same order."""
    session, settings, journal, progress = work.session, work.session.settings, work.journal, work.now
    api, project, run_id = session.api, work.target.project, work.run_id
    uncertain = dict(progress.metrics_sending)
    stored = partial(api.raw_points, project, run_id)

    def post(number: int, body: Body) -> None:
        if number in uncertain:
            body = _not_arrived(body, uncertain[number], stored, settings.visible_within)
        if body.points:
            journal.note("metrics-sending", body=number, at=time.time())
            failpoint("pluto.metrics-announced")
            api.ingest("metrics", project, run_id, body.lines, body.points, repeatable=True)
            failpoint("pluto.metrics-sent")
        journal.note("metrics", body=number)

    encoder = MetricEncoder(metrics.names, settings.flush_every, metric_lines.BODY_BYTES)
    windows = metrics.windows(encoder.window_points(metric_lines.WINDOW_POINTS, metric_lines.WINDOW_MEMORY))
    with Pipeline(session.senders, settings.connections + 1) as pipeline:
        for number, body in enumerate(itertools.chain.from_iterable(map(encoder.bodies, windows))):
            if number not in progress.metric_bodies:
                pipeline.submit(post, number, body)


def _not_arrived(body: Body, begun: float, read: ReadPoints, patience: float) -> Body:
    """The lines of a request that Pluto lacks, including a line of which it may have a part."""
    lines = body.lines.splitlines(keepends=True)
    records = [orjson.loads(line) for line in lines]
    there = 0

    def arrived() -> int:
        nonlocal there
        low, high = there, len(lines)
        if low < high and not _is_there(records[low], read, names=1):
            return there
        while low < high:  # all before `low` are there
            middle = (low + high) // 2
            if _is_there(records[middle], read, names=1):
                low = middle + 1
            else:
                high = middle
        there = low
        return there

    is_old = not 0 <= time.time() - begun < patience
    count = arrived() if is_old else settled(arrived, len(lines), patience)
    if count and not _is_there(records[count - 1], read, names=_MOST_NAMES):
        count -= 1
    return Body(b"".join(lines[count:]), sum(len(record["data"]) for record in records[count:]))


def _is_there(record: dict[str, Any], read: ReadPoints, names: int) -> bool:
    """Whether Pluto has the first points of a line, or all points if the line has few names."""
    step = record["step"]
    if step > _EXACT or (names > 1 and len(record["data"]) > names):
        return False
    for name in list(record["data"])[:names]:
        rows, _ = read(name, step, step, _MOST_ROWS)
        if record["time"] not in times_of(rows).tolist():
            return False
    return True
