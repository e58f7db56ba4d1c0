"""Metrics: every series of the dataset beside every row that Pluto stores of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np

from neptune_exporter.contract import Comparison, EqualPoints, SinkError, Verdict
from neptune_exporter.model import AttributeType
from neptune_exporter.sinks.points import Points, PointSorter, SeriesOrder, without_equal
from neptune_exporter.toolkit import look_ahead
from neptune_exporter_pluto import metrics
from neptune_exporter_pluto.form.values import steps_of, times_of
from neptune_exporter_pluto.service import api
from neptune_exporter_pluto.verify.context import Check

ITEM = "points of "
_WINDOW_POINTS = 10_000
_PAGE_POINTS = 2 * _WINDOW_POINTS
"""A window is one page, unless steps repeat. Rows are large until they are numbers, and are read ahead."""
_FEW_POINTS = api.MAX_SHOWN_POINTS // 2
"""Of a run with fewer, all series are read with one request: Pluto leaves none of so few points out."""
_ROUNDED = 4096
_FLAGS = {1: np.nan, 2: np.inf, 4: -np.inf, "NaN": np.nan, "Inf": np.inf, "-Inf": -np.inf}


_NAME_AND_STEP = itemgetter("logName", "step")


@dataclass
class _Tally:
    expected: int = 0
    found: int = 0
    different: list[str] = field(default_factory=list)


def compare_points(check: Check) -> Iterator[Comparison]:
    if check.sent and _has_few_points(check) and _are_as_sent(check):
        yield from (check.counted(ITEM + path, steps, steps, path) for path, steps in check.sent.items())
        return
    sorter = PointSorter(check.content.folder, SeriesOrder())
    try:
        stream = metrics.read(check.content, sorter)
        names = stream.names
        pieces: Iterable[_Piece] = _pieces(stream.windows(_WINDOW_POINTS))
        tallies: dict[int, _Tally] = {}
        if _has_few_points(check):
            whole = {piece.series: piece for piece in pieces}
            tallies |= _equal_at_once(check, names, whole)
            pieces = [piece for number, piece in whole.items() if number not in tallies]
        # As many pieces are read at once as there are connections.
        read = partial(_read, check, names)
        width = check.session.settings.connections + 1
        for piece, reading in look_ahead(check.session.senders, pieces, read, width):
            again = partial(read, piece)
            _compare(check, piece, reading, again, tallies.setdefault(piece.series, _Tally()))
        for number, path in enumerate(stream.paths):
            yield _line(check, path, tallies.get(number, _Tally()))
    finally:
        sorter.close()


@dataclass(frozen=True)
class _Piece:
    """The points of one series from a step to a step."""

    series: int
    points: Points
    low: int
    high: int | None
    """None: to the end of the series."""


def _pieces(windows: Iterator[Points]) -> Iterator[_Piece]:
    reached: dict[int, int] = {}
    for points, last in _segments(windows):
        series, end = int(points.series[0]), int(points.step[-1])
        yield _Piece(series, points, reached.get(series, 0), None if last else end)
        reached[series] = end + 1


def _has_few_points(check: Check) -> bool:
    count = check.content.run.counts().get(AttributeType.FLOAT_SERIES)
    return count is not None and count.rows < _FEW_POINTS


def _are_as_sent(check: Check) -> bool:
    """Whether Pluto shows as many steps of each series as were sent. If not, the run is read to say more."""
    wanted = {check.content.names.name(path, metrics.LOG_TYPE): n for path, n in check.sent.items()}

    def equal() -> bool:
        counts = _step_counts(check.api.shown_points(check.project, check.run_id))
        return all(counts[name] == steps for name, steps in wanted.items())

    return check.patiently(equal, bool)


def _equal_at_once(check: Check, names: Sequence[str], whole: Mapping[int, _Piece]) -> dict[int, _Tally]:
    """The series of a run with few points that Pluto shows as they are, read with one request."""
    wanted = {number: _newest(piece.points) for number, piece in whole.items()}

    def equal() -> dict[int, _Tally]:
        rows = check.api.shown_points(check.project, check.run_id)
        shown = (_points_shown if check.full else _steps_shown)(wanted, names, rows)
        return {number: _Tally(len(wanted[number]), len(wanted[number])) for number in shown}

    return check.patiently(equal, lambda found: len(found) == len(wanted)) if wanted else {}


def _steps_shown(
    wanted: Mapping[int, Points], names: Sequence[str], rows: list[dict[str, Any]]
) -> Iterable[int]:
    """The series of which Pluto shows as many steps as there are."""
    counts = _step_counts(rows)
    return [number for number, points in wanted.items() if len(points) == counts[names[number]]]


def _step_counts(rows: list[dict[str, Any]]) -> Counter[str]:
    """How many steps there are of each metric, by name."""
    return Counter(name for name, _ in set(map(_NAME_AND_STEP, rows)))


def _points_shown(
    wanted: Mapping[int, Points], names: Sequence[str], rows: list[dict[str, Any]]
) -> Iterable[int]:
    """The series of which Pluto shows each point as it is."""
    shown: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        shown[row["logName"]].append(row)
    for number, points in wanted.items():
        found = _newest(_points(shown[names[number]]))
        if len(points) == len(found) and not _differences(points, found):
            yield number


def _segments(windows: Iterator[Points]) -> Iterator[tuple[Points, bool]]:
    """Pieces of one series each, and whether the piece is the series' last."""
    held: Points | None = None
    for window in windows:
        if not len(window):
            continue
        starts = np.flatnonzero(np.append(True, window.series[1:] != window.series[:-1]))
        for start, end in zip(starts, [*starts[1:], len(window)], strict=True):
            piece = window[int(start) : int(end)]
            if held is not None:
                yield held, held.series[0] != piece.series[0]
            held = piece
    if held is not None:
        yield held, True


def _compare(
    check: Check, piece: _Piece, reading: Callable[[], Points], again: Callable[[], Points], tally: _Tally
) -> None:
    wanted = _newest(piece.points)

    def is_right(found: Points) -> bool:
        return len(found) == len(wanted) and (not check.full or not _differences(wanted, found))

    found = check.patiently(again, is_right, first=reading)
    tally.expected += len(wanted)
    tally.found += len(found)
    if check.full:
        tally.different += _differences(wanted, found)[: 3 - len(tally.different)]


def _differences(wanted: Points, found: Points) -> list[str]:
    """The first points that are not the same: step, time and value."""
    common, left, right = np.intersect1d(wanted.step, found.step, assume_unique=True, return_indices=True)
    value, other = wanted.value[left], found.value[right]
    same = ((value == other) | (np.isnan(value) & np.isnan(other))) & (wanted.time[left] == found.time[right])
    problems = [
        f"step {common[i]}: {value[i]} at {wanted.time[left[i]]}, found {other[i]} at {found.time[right[i]]}"
        for i in np.flatnonzero(~same)[:3]
    ]
    missing = np.setdiff1d(wanted.step, found.step, assume_unique=True)[:3]
    extra = np.setdiff1d(found.step, wanted.step, assume_unique=True)[:3]
    return problems + [f"step {s} is missing" for s in missing] + [f"step {s} is too much" for s in extra]


def _newest(points: Points) -> Points:
    """One point a step, as Pluto's charts show them: the one with the newest time."""
    if np.all(points.step[1:] > points.step[:-1]):
        return points
    newest, _ = without_equal(points, EqualPoints.NEWEST)
    return newest[np.argsort(newest.step, kind="stable")]


def _read(check: Check, names: Sequence[str], piece: _Piece) -> Points:
    """What Pluto shows of a range of steps: of all stored rows the newest of each step."""
    pages: list[Points] = []
    name, low, high, limit = names[piece.series], piece.low, piece.high, _PAGE_POINTS
    while True:
        asked = _wider(low, -1), None if high is None else _wider(high, 1)
        rows, more = check.api.raw_points(check.project, check.run_id, name, *asked, limit)
        page = _between(_points(rows), low, high)
        if not more:
            return _newest(Points.joined([*pages, page]))
        last = page.step[-1]
        whole = page[page.step < last]
        if not len(whole) and limit < api.MAX_RAW_POINTS:
            limit = api.MAX_RAW_POINTS
            continue
        if not len(whole):
            raise SinkError(f"Pluto holds {len(page)} rows or more of {name!r} at step {last}")
        pages.append(_newest(whole))
        low = int(last)


def _wider(step: int, direction: int) -> int:
    """A bound on the safe side: above 2**53 Pluto rounds it, and by as much again when it prints it."""
    return step if step <= 2**53 else step + direction * _ROUNDED


def _between(points: Points, low: int, high: int | None) -> Points:
    inside = points.step >= np.uint64(low)
    return points[inside if high is None else inside & (points.step <= np.uint64(high))]


def _points(rows: list[dict[str, Any]]) -> Points:
    values = np.array([row["value"] for row in rows], np.float64)
    for place, row in enumerate(rows):
        if flag := int(row.get("nonFiniteFlags") or 0) or row.get("valueFlag"):
            values[place] = _FLAGS.get(flag, np.nan)
    return Points(np.zeros(len(rows), np.int32), steps_of(rows), times_of(rows), values)


def _line(check: Check, path: str, tally: _Tally) -> Comparison:
    item = ITEM + path
    if tally.expected == tally.found and tally.different:
        return check.line(item, Verdict.DIFFERENT, tally.expected, "; ".join(tally.different))
    return check.counted(item, tally.expected, tally.found, path)
