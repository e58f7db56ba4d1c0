"""A series as points of a chart: few enough for the pixels, with every peak, and no line through a gap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tsdownsample import MinMaxDownsampler

Floats = npt.NDArray[np.float64]
_CHUNK = 500_000
"""Points that are reduced at once. Memory does not hold more points of a series."""
_PER_CHUNK = 5_000
"""Buckets of a chunk at least. At the end, all chunks together are reduced to the number asked for."""
_GAP = 10
"""A hole in the steps is a gap if it is this many times as wide as the distances on both sides of it."""


@dataclass(frozen=True)
class Curve:
    """Points in the order of x. Each of them is a point of the series, as it was logged."""

    x: Floats
    y: Floats
    """Never NaN in `line`; NaN and infinities are in `odd`."""
    segment: npt.NDArray[np.int64]
    """A line is drawn between neighbours of one segment only."""
    odd_x: Floats
    odd_y: Floats
    """NaN, inf or -inf."""
    points: int
    """The number of points of the series within the range, before they were reduced."""


_NONE = np.empty(0)
EMPTY = Curve(_NONE, _NONE, np.empty(0, np.int64), _NONE, _NONE, 0)


def curve(chunks: Iterable[tuple[Floats, Floats]], buckets: int) -> Curve:
    """Reduce a series that comes in pieces of ascending x.

    The minimum and the maximum of each bucket of x stay, with the first and the last point, so that a peak
    of one point is seen however many points there are.

    Args:
        chunks: x and y of each piece. x is never NaN.
        buckets: About how many pixels the curve is wide; twice as many points come back.

    Examples:
        >>> steps = np.arange(100_000.0)
        >>> reduced = curve([(steps, np.sin(steps))], 400)
        >>> reduced.points, len(reduced.x)  # the extremes of each bucket, the first and the last point
        (100000, 802)
    """
    reduced: list[Curve] = []
    tail = np.empty(0)
    segment = 0
    for x, y in _sized(chunks):
        breaks = np.concatenate([tail, x])
        begins = np.cumsum(_holes(breaks))[len(tail) :] + segment
        tail = np.array(sorted(set(breaks[-4:].tolist()))[-3:])
        odd = ~np.isfinite(y)
        begins = begins + np.cumsum(odd)
        segment = int(begins[-1])
        part = Curve(x[~odd], y[~odd], begins[~odd], x[odd], y[odd], len(x))
        reduced.append(_reduced(part, max(_PER_CHUNK, buckets)))
    return _reduced(_joined(reduced), buckets) if reduced else EMPTY


def floats(column: pa.Array) -> Floats:
    """A column of float64 as numpy; null is NaN.

    From its bytes where it has no nulls: `to_numpy` imports pandas where it is installed, a quarter second.
    """
    if column.null_count:
        return np.asarray(column.to_numpy(zero_copy_only=False), np.float64)
    return np.frombuffer(column.buffers()[1], "<f8", len(column), 8 * column.offset)


def in_order(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """The points by ascending x; those of one x stay in their order, and those without one are left out."""
    there = ~np.isnan(x)
    if not there.all():
        x, y = x[there], y[there]
    if len(x) > 1 and (x[1:] < x[:-1]).any():
        order = np.argsort(x, kind="stable")
        x, y = x[order], y[order]
    return x, y


def _sized(chunks: Iterable[tuple[Floats, Floats]]) -> Iterator[tuple[Floats, Floats]]:
    """The same points in larger pieces."""
    xs: list[Floats] = []
    ys: list[Floats] = []
    held = 0
    for x, y in chunks:
        if len(x):
            xs.append(x)
            ys.append(y)
            held += len(x)
        if held >= _CHUNK:
            yield np.concatenate(xs), np.concatenate(ys)
            xs, ys, held = [], [], 0
    if held:
        yield np.concatenate(xs), np.concatenate(ys)


def _holes(x: Floats) -> npt.NDArray[np.bool_]:
    """Which points come after a gap: a distance far wider than those on both sides of it."""
    result = np.zeros(len(x), np.bool_)
    new = np.flatnonzero(np.diff(x) > 0) + 1  # repeated steps are no distance
    if len(new) < 3:
        return result
    places = np.concatenate([[0], new])
    widths = np.diff(x[places])
    around = np.maximum(widths[:-2], widths[2:])
    result[new[1:-1][widths[1:-1] > _GAP * around]] = True
    return result


def _joined(parts: list[Curve]) -> Curve:
    columns = zip(*((part.x, part.y, part.segment, part.odd_x, part.odd_y) for part in parts), strict=True)
    x, y, segment, odd_x, odd_y = map(np.concatenate, columns)
    return Curve(x, y, segment, odd_x, odd_y, sum(part.points for part in parts))


def _reduced(part: Curve, buckets: int) -> Curve:
    x, y, segment = part.x, part.y, part.segment
    if len(x) > 2 * buckets + 2:
        kept = _kept(x, y, buckets)
        x, y, segment = x[kept], y[kept], segment[kept]
    odd = _thinned(part.odd_x, part.odd_y, buckets)
    return Curve(x, y, segment, part.odd_x[odd], part.odd_y[odd], part.points)


def _kept(x: Floats, y: Floats, buckets: int) -> npt.NDArray[np.int64]:
    inner = MinMaxDownsampler().downsample(x, y, n_out=2 * buckets)
    places = np.concatenate([[0], inner.astype(np.int64), [len(x) - 1]])
    return places[np.diff(places, prepend=-1) > 0]


def _thinned(x: Floats, y: Floats, buckets: int) -> npt.NDArray[np.int64]:
    """One NaN, one inf and one -inf of each bucket."""
    if len(x) <= buckets:
        return np.arange(len(x))
    width = (x[-1] - x[0]) or 1.0
    kind = np.where(np.isnan(y), 0, np.sign(y)).astype(np.int64) + 1
    bucket = ((x - x[0]) / width * buckets).astype(np.int64) * 3 + kind
    return np.sort(np.unique(bucket, return_index=True)[1])
