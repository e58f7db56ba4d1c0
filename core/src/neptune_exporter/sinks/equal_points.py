"""Points of one series at one step: which of them a target keeps."""

from __future__ import annotations

import numpy as np

from neptune_exporter.contract import EqualPoints
from neptune_exporter.sinks.points import Points


def without_equal(points: Points, kept: EqualPoints) -> tuple[Points, Points]:
    """Divide points into those that the target keeps and those that it does not.

    Args:
        points: Whole steps: all points of a series and step are among them.

    Example: with NEWEST, of two points of a series at step 3 the one with the later time is kept.
    """
    if kept is EqualPoints.KEPT or len(points) < 2:
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
