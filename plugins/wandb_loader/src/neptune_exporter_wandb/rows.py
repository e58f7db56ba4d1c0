"""Points of a run as rows of W&B's history.

A row holds all series of one step and time; a series that has several points there gets further rows. Rows
have a number of their own (`_step`), as W&B drops or moves rows whose step does not grow; Neptune's step is
the metric `neptune_step`, which is the x axis of every chart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from neptune_exporter.sinks.points import Points
from neptune_exporter.sinks.steps import Multiplier
from neptune_exporter_wandb.steps import json_texts, step_texts
from neptune_exporter_wandb.wire import ItemHeads, row_record

STEP = "neptune_step"
_LENGTHS = 32
"""More than the longest text of a double."""


class Tails:
    """The items that every row has: step, time, running time and number.

    Args:
        started: Start of the run in ms since 1970, from which the running time counts.
    """

    def __init__(self, multiplier: Multiplier, started: int) -> None:
        self._multiplier = multiplier
        self._started = started
        self._step, self._time = ItemHeads(STEP), ItemHeads("_timestamp")
        self._runtime, self._row = ItemHeads("_runtime"), ItemHeads("_step")

    def of(
        self, step: npt.NDArray[np.int64] | None, time: npt.NDArray[np.int64], first: int
    ) -> Iterator[bytes]:
        """One for each row.

        Args:
            step: Multiplied; None for rows without a step.
            first: The number of the first row.
        """
        step_of, time_of, runtime_of, row_of = self._step, self._time, self._runtime, self._row
        # W&B counts seconds. As doubles, milliseconds of all years to 9999 come back exactly.
        times, runtimes = json_texts(time / 1000.0), json_texts((time - self._started) / 1000.0)
        numbers = range(first, first + len(time))
        steps = [None] * len(time) if step is None else step_texts(step, self._multiplier)
        for s, t, r, n in zip(steps, times, runtimes, map(b"%d".__mod__, numbers), strict=True):
            head = b"" if s is None else step_of[len(s)] + s
            yield head + time_of[len(t)] + t + runtime_of[len(r)] + r + row_of[len(n)] + n


class PointHeads(dict[int, bytes]):
    """What stands before each value: by number of the series times 32, plus the length of the text."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self._heads = [ItemHeads(name) for name in names]

    def __missing__(self, key: int) -> bytes:
        series, length = divmod(key, _LENGTHS)
        head = self[key] = self._heads[series][length]
        return head


def point_rows(heads: PointHeads, tails: Tails, points: Points, row: int, record: int) -> Iterator[bytes]:
    """History records of points in the order of steps and times, from these numbers of a row and a record."""
    points, starts = in_rows(points)
    texts = json_texts(points.value)
    keys = points.series * _LENGTHS + np.fromiter(map(len, texts), np.int32, len(texts))
    items = [heads[key] + text for key, text in zip(keys.tolist(), texts, strict=True)]
    ends = [*starts[1:].tolist(), len(points)]
    rows = zip(starts.tolist(), ends, tails.of(points.step[starts], points.time[starts], row), strict=True)
    for number, (start, end, tail) in enumerate(rows):
        yield row_record(b"".join(items[start:end]) + tail, row + number, record + number)


def in_rows(points: Points) -> tuple[Points, npt.NDArray[np.intp]]:
    """The points row by row, and where each row begins. `len(starts)` is the number of rows."""
    points = points[np.lexsort((points.series, points.time, points.step))]
    moved = (points.step[1:] != points.step[:-1]) | (points.time[1:] != points.time[:-1])
    again = ~moved & (points.series[1:] == points.series[:-1])
    if not again.any():
        return points, np.flatnonzero(np.append(True, moved))
    # Each point's number among those of its series, step and time.
    at = np.arange(len(points))
    first = np.maximum.accumulate(np.where(np.append(True, ~again), at, 0))
    number = at - first
    order = np.lexsort((points.series, number, points.time, points.step))
    points, number = points[order], number[order]
    moved = (points.step[1:] != points.step[:-1]) | (points.time[1:] != points.time[:-1])
    return points, np.flatnonzero(np.append(True, moved | (number[1:] != number[:-1])))
