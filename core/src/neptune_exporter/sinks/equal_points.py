"""Points of one series at one step: which of them a target keeps."""

from __future__ import annotations

import numpy as np

from neptune_exporter.contract import EqualPoints
from neptune_exporter.sinks.points import Points


def without_equal(points: Points, kept: EqualPoints) -> tuple[Points, Points]:
    """Divide points into those that the target keeps and those that it does not.

    Args:
        points: Whole steps: all points of a series and step are among them.

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
