"""Reads the points of float series: of one run, or of a fork with what it inherits."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa

from neptune_exporter.contract import RunView, UsageError
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.schema import step_as_float, step_millionths
from neptune_exporter_explorer.curves import Curve, Floats, curve, floats, in_order
from neptune_exporter_explorer.runs import OpenRuns, run_key, run_name

Axis = Literal["step", "relative", "time"]
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_BATCH = 1 << 18
"""Rows that are read at once."""


@dataclass(frozen=True)
class View:
    """Which part of a series to show, and how."""

    axis: Axis = "step"
    low: float | None = None
    """In units of the axis: steps, or seconds since the start of the run or since 1970."""
    high: float | None = None
    buckets: int = 400
    inherited: bool = False
    """Whether a fork begins with the points of its parents."""

    def __post_init__(self) -> None:
        if self.axis not in get_args(Axis):
            raise UsageError(f"x is one of {', '.join(get_args(Axis))}, not {self.axis}")


@dataclass(frozen=True)
class Line:
    """One curve of a chart."""

    run: str
    """The `run_name` of the run that the line is drawn for."""
    origin: str
    """The `run_name` of the run that logged the points: an ancestor, if a fork inherited them."""
    curve: Curve


class Series:
    """Lines of charts. Keeps the most recent ones, because pages ask for them again."""

    def __init__(self, runs: OpenRuns) -> None:
        self._runs = runs
        self._curve = lru_cache(maxsize=2_000)(self._read)

    def lines(self, key: RunKey, attribute: str, view: View) -> list[Line]:
        """The line of a run; before it, if the view asks for that, the lines of its ancestors. Raises
        DatasetError if a part that is needed is damaged or missing."""
        run, name = self._runs[key], run_name(key)
        lines = []
        for each, last_step in self._ancestry(run) if view.inherited else [(run, math.inf)]:
            origin = run_name(each.key)
            found = self._curve(origin, each.stamp, attribute, view, last_step)
            if found.points or each is run:
                lines.append(Line(name, origin, found))
        return lines

    def _ancestry(self, run: RunView) -> list[tuple[RunView, float]]:
        """A run and its ancestors, the first one first, each with the last step that is inherited."""
        stretches = [(run, math.inf)]
        for _, found, step in self._runs.ancestors(run):
            if found is None or step is None:
                break
            stretches.append((found, min(stretches[-1][1], step)))
        return stretches[::-1]

    def _read(self, name: str, stamp: str, attribute: str, view: View, last_step: float) -> Curve:
        run = self._runs[run_key(name)]
        start = start_of(run) if view.axis == "relative" else 0.0
        try:
            return curve(_ascending(_chunks(run, attribute, view, start, last_step)), view.buckets)
        except _OutOfOrderError:  # another tool exported the run, or it went back to an earlier step
            xs, ys = zip(*_chunks(run, attribute, view, start, last_step), strict=True)
            return curve([in_order(np.concatenate(xs), np.concatenate(ys))], view.buckets)


def start_of(run: RunView) -> float:
    """Seconds since 1970 at which the run began: its first point."""
    first, _ = run.time_span()
    return (first - _EPOCH).total_seconds() if first is not None else 0.0


def _chunks(
    run: RunView, attribute: str, view: View, start: float, last_step: float
) -> Iterator[tuple[Floats, Floats]]:
    by_step = view.axis == "step"
    low, high = (view.low, view.high) if by_step else (None, None)
    if last_step != math.inf:
        high = last_step if high is None else min(last_step, high)
    times = (None, None) if by_step else (_moment(view.low, start), _moment(view.high, start))
    columns = ["float_value", "step", "step_float64"] if by_step else ["float_value", "timestamp"]
    pieces = run.series(
        attribute,
        AttributeType.FLOAT_SERIES,
        step_range=(low, high),
        time_range=times,
        columns=columns,
        batch_rows=_BATCH,
    )
    for batch in pieces:
        x = _steps(batch) if by_step else _seconds(batch) - start
        yield in_order(x, floats(batch.column("float_value")))


class _OutOfOrderError(Exception):
    """A piece begins before the one before it ends."""


def _ascending(pieces: Iterator[tuple[Floats, Floats]]) -> Iterator[tuple[Floats, Floats]]:
    last = -math.inf
    for x, y in pieces:
        if len(x) and x[0] < last:
            raise _OutOfOrderError
        yield x, y
        last = x[-1] if len(x) else last


def _steps(batch: pa.RecordBatch) -> Floats:
    """Steps as float64. If all are decimals, from their bytes, which takes no time."""
    steps = batch.column("step")
    if steps.null_count or batch.column("step_float64").null_count < len(batch):
        return floats(step_as_float(batch))
    return np.asarray(step_millionths(steps) / 1e6, np.float64)


def _seconds(batch: pa.RecordBatch) -> Floats:
    return floats(batch.column("timestamp").cast(pa.int64()).cast(pa.float64())) / 1000


def _moment(seconds: float | None, start: float) -> datetime | None:
    if seconds is None:
        return None
    try:
        return _EPOCH + timedelta(seconds=seconds + start)
    except OverflowError:
        return None


def pack(lines: Sequence[Line], errors: Sequence[dict[str, str]]) -> bytes:
    """The length of the header as uint32, the header, spaces up to a multiple of 8, the numbers.

    For each line the header has `run`, `origin`, `points`, and how many numbers of `x`, `y`, `odd_x` and
    `odd_y` follow. Where a line breaks, `y` has a NaN, and `x` repeats the number before it.
    """
    described: list[dict[str, Any]] = []
    numbers: list[bytes] = []
    for line in lines:
        x, y = broken(line)
        curve = line.curve
        described.append(
            {
                "run": line.run,
                "origin": line.origin,
                "points": curve.points,
                "length": len(x),
                "odd": len(curve.odd_x),
            }
        )
        numbers += [np.ascontiguousarray(each, "<f8").tobytes() for each in (x, y, curve.odd_x, curve.odd_y)]
    header = json.dumps({"lines": described, "errors": list(errors)}).encode()
    header += b" " * (-(len(header) + 4) % 8)
    return b"".join([struct.pack("<I", len(header)), header, *numbers])


def broken(line: Line) -> tuple[Any, Any]:
    """x and y with a NaN between segments."""
    curve = line.curve
    ends = np.flatnonzero(np.diff(curve.segment)) + 1
    return np.insert(curve.x, ends, curve.x[ends - 1]), np.insert(curve.y, ends, np.nan)
