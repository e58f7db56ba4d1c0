"""Curves of a project for a page to keep: few points of each series, with every peak, drawn as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from neptune_exporter.contract import ExportedRun
from neptune_exporter.model import AttributeType
from neptune_exporter.schema import step_as_float

Floats = npt.NDArray[np.float64]
WIDTH, HEIGHT = 360, 150
"""Pixels of a chart."""
_HELD = 200_000
"""Points of a series in memory before they are thinned."""


@dataclass
class Thinned:
    """A series as it comes in: of each bucket of steps the least and the greatest value stay."""

    buckets: int
    x: list[Floats] = field(default_factory=list)
    y: list[Floats] = field(default_factory=list)
    held: int = 0
    points: int = 0
    odd: int = 0
    """How many are NaN or infinite."""
    last: float = math.nan

    def add(self, x: Floats, y: Floats) -> None:
        there = ~np.isnan(x)
        x, y = x[there], y[there]
        if not len(x):
            return
        self.points += len(x)
        self.odd += int(np.count_nonzero(~np.isfinite(y)))
        self.last = float(y[-1])
        self.x.append(x)
        self.y.append(y)
        self.held += len(x)
        if self.held > _HELD:
            self.x, self.y = ([each] for each in thinned(*self.arrays(), 10 * self.buckets))
            self.held = len(self.x[0])

    def arrays(self) -> tuple[Floats, Floats]:
        """All that is held, by ascending step."""
        x, y = np.concatenate(self.x), np.concatenate(self.y)
        order = np.argsort(x, kind="stable")
        return x[order], y[order]

    def curve(self) -> tuple[Floats, Floats]:
        """The points to draw. NaN and infinities are among them, as NaN: there the line breaks."""
        return thinned(*self.arrays(), self.buckets)


def thinned(x: Floats, y: Floats, buckets: int) -> tuple[Floats, Floats]:
    """Points by ascending x: least and greatest value of each bucket, first, last, and a NaN where one is."""
    if len(x) <= 2 * buckets:
        return x, y
    width = (x[-1] - x[0]) / buckets
    bucket = np.zeros(len(x), np.int64) if width == 0 else ((x - x[0]) / width).astype(np.int64)
    starts = np.flatnonzero(np.diff(bucket, prepend=-1))
    odd = ~np.isfinite(y)
    kept = [np.array([0, len(x) - 1]), *_extremes(y, odd, starts)]
    nan = np.flatnonzero(odd)
    if len(nan):
        kept.append(nan[np.unique(bucket[nan], return_index=True)[1]])
    places = np.unique(np.concatenate(kept))
    return x[places], y[places]


def _extremes(
    y: Floats, odd: npt.NDArray[np.bool_], starts: npt.NDArray[np.int64]
) -> list[npt.NDArray[np.int64]]:
    """Where in each bucket the least and the greatest finite value are."""
    lengths = np.diff(starts, append=len(y))
    found = []
    for values, pick in ((np.where(odd, np.inf, y), np.minimum), (np.where(odd, -np.inf, y), np.maximum)):
        extremes = np.repeat(pick.reduceat(values, starts), lengths)
        places = np.flatnonzero((values == extremes) & ~odd)
        first = np.unique(np.searchsorted(starts, places, "right"), return_index=True)[1]
        found.append(places[first])
    return found


def series_of(run: ExportedRun, buckets: int) -> dict[str, Thinned]:
    """The float series of a run by path, read once and thinned on the way."""
    found: dict[str, Thinned] = {}
    columns = ["attribute_path", "step", "step_float64", "float_value"]
    for batch in run.batches([AttributeType.FLOAT_SERIES], columns=columns, encoded=True):
        paths = batch.column("attribute_path")
        codes = paths.indices.to_numpy(zero_copy_only=False)
        x = np.asarray(step_as_float(batch).to_numpy(zero_copy_only=False), np.float64)
        y = np.asarray(batch.column("float_value").to_numpy(zero_copy_only=False), np.float64)
        ends = [*np.flatnonzero(np.diff(codes)) + 1, len(codes)]
        for start, end in zip([0, *ends[:-1]], ends, strict=True):
            if end > start:
                path = paths.dictionary[codes[start]].as_py()
                found.setdefault(path, Thinned(buckets)).add(x[start:end], y[start:end])
    return {path: series for path, series in found.items() if series.points}


@dataclass(frozen=True)
class Drawn:
    """One curve of a chart."""

    colour: int
    x: Floats
    y: Floats


def extent(arrays: Iterable[Floats]) -> tuple[float, float]:
    """Least and greatest finite number; 0 to 1 if there is none."""
    finite = [each[np.isfinite(each)] for each in arrays]
    finite = [each for each in finite if len(each)]
    if not finite:
        return 0.0, 1.0
    return min(float(each.min()) for each in finite), max(float(each.max()) for each in finite)


def paths(curves: list[Drawn], xs: tuple[float, float], ys: tuple[float, float]) -> Iterator[str]:
    """An SVG path for each curve, in whole pixels; crosses at the lower edge where it is not finite."""
    for curve in curves:
        px, py = _pixels(curve.x, xs, WIDTH), HEIGHT - _pixels(curve.y, ys, HEIGHT)
        line = "".join(_pieces(px, py, np.isfinite(curve.y)))
        crosses = "".join(f"M{x} {HEIGHT - 3}v3" for x in sorted(set(px[~np.isfinite(curve.y)].tolist())))
        yield f'<path class="c{curve.colour}" d="{line}{crosses}"/>'


def _pixels(values: Floats, span: tuple[float, float], size: int) -> npt.NDArray[np.int64]:
    low, high = span
    # Halves, as the distance of two large numbers may be infinite.
    share = (values / 2 - low / 2) / ((high / 2 - low / 2) or 1.0)
    return np.rint(np.nan_to_num(share, nan=0.0, posinf=1.0, neginf=0.0) * size).astype(np.int64)


def _pieces(
    px: npt.NDArray[np.int64], py: npt.NDArray[np.int64], drawn: npt.NDArray[np.bool_]
) -> Iterator[str]:
    before: tuple[int, int] | None = None
    begun = False
    for x, y, is_drawn in zip(px.tolist(), py.tolist(), drawn.tolist(), strict=True):
        if not is_drawn:
            before, begun = None, False
        elif before is None:
            yield f"M{x} {y}h0"  # a point alone is seen too: the caps of lines are round
            before = x, y
        elif (x, y) != before:
            dx, dy = x - before[0], y - before[1]
            yield f"{'' if begun and dx < 0 else ' ' if begun else 'l'}{dx}{'' if dy < 0 else ' '}{dy}"
            before, begun = (x, y), True
