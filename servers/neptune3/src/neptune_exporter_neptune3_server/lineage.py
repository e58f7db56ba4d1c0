"""The points of a series along a lineage, and the part of them that a request asks for."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import BadRequestError
from .model import FileSeries, FloatSeries, HistogramSeries, StringSeries
from .points import Points
from .store import Holder, Link

ObjectSeries = (StringSeries, HistogramSeries, FileSeries)


@dataclass(frozen=True)
class StepRange:
    """Both ends belong to it."""

    first: float = -math.inf
    last: float = math.inf

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> StepRange:
        """From a request's `stepRange`, whose ends may be null or absent."""
        given = body.get("stepRange") or {}
        first, last = given.get("from"), given.get("to")
        return cls(-math.inf if first is None else float(first), math.inf if last is None else float(last))


@dataclass(frozen=True)
class ObjectPoint:
    """A point of a string, histogram or file series. `holder` is the run that logged it."""

    holder: Holder
    step: float
    timestamp: int
    value: Any


def links_of(series: Mapping[str, Any], holder: Holder) -> list[Link]:
    """The lineage that a request's `series` asks for (`time_series.py` in neptune-query)."""
    lineage, entity = series.get("lineage", "NONE"), series.get("lineageEntityType", "RUN")
    if lineage not in ("FULL", "NONE") or entity not in ("RUN", "EXPERIMENT"):
        raise BadRequestError(f"unknown lineage {lineage!r} of {entity!r}")
    return holder.lineage(to_the_root=lineage == "FULL", by_experiment=entity == "EXPERIMENT")


def float_points(links: Sequence[Link], attribute: str, previews: bool) -> Points | None:
    """Ascending by step; None if no run of the lineage has such a metric."""
    parts: list[Points] = []
    shown_until = -math.inf
    for link in links:
        series = link.holder.run.attributes.get(attribute)
        if not isinstance(series, FloatSeries):
            continue
        points = series.points if previews else series.committed
        first, stop = _shown(points.steps, link, shown_until)
        parts.append(points[first:stop] if (first, stop) != (0, len(points)) else points)
        if stop > first:
            shown_until = float(points.steps[stop - 1])
    return Points.join(parts) if parts else None


def object_points(links: Sequence[Link], attribute: str) -> list[ObjectPoint] | None:
    """Ascending by step; None if no run of the lineage has such a series."""
    found: list[ObjectPoint] = []
    exists = False
    for link in links:
        series = link.holder.run.attributes.get(attribute)
        if not isinstance(series, ObjectSeries):
            continue
        exists = True
        first, stop = _shown(series.steps, link, found[-1].step if found else -math.inf)
        found += [
            ObjectPoint(link.holder, series.steps[i], series.timestamps[i], series.values[i])
            for i in range(first, stop)
        ]
    return found if exists else None


def _shown(steps: Any, link: Link, shown_until: float) -> tuple[int, int]:
    """Which points of a run a lineage shows: none after the fork of the next run, and
    none before its own fork where its ancestors already have points."""
    if shown_until == -math.inf:
        first = 0
    elif shown_until < link.fork_step:
        first = bisect_right(steps, shown_until)
    else:
        first = bisect_left(steps, link.fork_step)
    stop = len(steps) if link.until == math.inf else bisect_right(steps, link.until)
    return first, max(first, stop)


def page(
    points: Points, wanted: StepRange, after: float | None, limit: int, descending: bool
) -> tuple[int, int]:
    """The slice of ascending points that one page shows, in either order.

    `after` itself does not belong to the page: points that share the step at which a
    page was cut are lost to a reader that continues there.
    """
    steps = points.steps
    first = 0 if wanted.first == -math.inf else int(np.searchsorted(steps, wanted.first, "left"))
    stop = len(steps) if wanted.last == math.inf else int(np.searchsorted(steps, wanted.last, "right"))
    if descending:
        if after is not None:
            stop = min(stop, int(np.searchsorted(steps, after, "left")))
        return max(first, stop - limit), max(first, stop)
    if after is not None:
        first = max(first, int(np.searchsorted(steps, after, "right")))
    return first, min(max(first, stop), first + limit)
