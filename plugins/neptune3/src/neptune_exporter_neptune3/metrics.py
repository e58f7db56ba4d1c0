"""Float series: many of them in a request, page after page, straight into Arrow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from neptune_exporter.contract import RunRows, SourceError
from neptune_exporter.model import AttributeType
from neptune_exporter.schema import TIME_TYPE, series_batch, step_columns
from neptune_exporter.toolkit import turn
from neptune_exporter_neptune3.api import Api
from neptune_exporter_neptune3.attributes import NAME_BYTES, Series
from neptune_exporter_neptune3.paging import Page, Request, failure_of
from neptune_exporter_neptune3.points import Float64s, Points, SeriesPoints, decode

POINTS = 100_000
"""Points in an answer: more would hardly be faster, and take more memory. No server returns more than a
million."""
_MOST_POINTS = 1_000_000
_MOST_SERIES = 5_000
FIRST_LIMIT = 1_024
"""Points of a series in its first page. That page also says how many there are."""
_SPARE = 25
"""How many more are asked for than are known of: a page that is not full is the last."""


@dataclass
class Unread:
    """How far a series was read."""

    series: Series
    expected: int
    """Points that its next page has to have room for."""
    after: float | None = None
    """The last step below that of the last page's end."""
    skip: int = 0
    """How many points after it were already delivered: those of the step at which the page was cut."""
    last_step: float | None = None
    """The step of the last point that arrived."""
    received: int = 0

    @classmethod
    def begin(cls, series: Series) -> Unread:
        """The last step is a good guess of the length: exact where steps count up from 0."""
        last = series.last_step
        expected = FIRST_LIMIT if last is None or not 0 <= last < FIRST_LIMIT else int(last) + 1 + _SPARE
        return cls(series, expected)


def requests_for(unread: Sequence[Unread], again: bool = False) -> Iterator[Request[Unread]]:
    """Bundle series, in their order, as many as an answer and a request can hold."""
    bundle: list[Unread] = []
    names = limit = 0
    for each in unread:
        size = len(each.series.path.encode())
        wanted = max(limit, each.expected)
        if bundle and (
            wanted * (len(bundle) + 1) > POINTS or names + size > NAME_BYTES or len(bundle) >= _MOST_SERIES
        ):
            yield Request(bundle, limit, again)
            bundle, names, wanted = [], 0, each.expected
        bundle.append(each)
        names, limit = names + size, max(min(wanted, POINTS), each.skip + _SPARE)
    if bundle:
        yield Request(bundle, limit, again)


def fetch(api: Api, request: Request[Unread], previews: bool) -> Page[Unread]:
    """Carry out a request. Raises AuthenticationError or SourceError."""
    body: dict[str, Any] = {
        "perSeriesPointsLimit": request.limit,
        "order": "ascending",
        "requests": [_series_request(n, each, previews) for n, each in enumerate(request.unread)],
    }

    def decoded(content: bytes) -> dict[str, SeriesPoints]:
        with turn(request.limit):
            return {each.request_id: each for each in decode(content)}

    found = api.floats(body, decoded, again=request.again)
    with turn(request.limit):
        return _page(request, found, previews)


def _page(request: Request[Unread], found: Mapping[str, SeriesPoints], previews: bool) -> Page[Unread]:
    page: Page[Unread] = Page()
    unfinished: list[Unread] = []
    taken: list[tuple[Series, Points]] = []
    for number, unread in enumerate(request.unread):
        try:
            points, goes_on = _advance(unread, found.get(str(number)), request.limit)
        except SourceError as error:
            page.failures.append(failure_of(unread.series, error))
            continue
        if goes_on:
            unfinished.append(unread)
        elif missing := unread.series.shortfall(unread.last_step):
            page.failures.append(failure_of(unread.series, SourceError(missing)))
        if points.preview is not None and not previews:
            points = points[~points.preview]
        if len(points):
            taken.append((unread.series, points))
    page.rows = list(_rows(taken))
    page.following = list(requests_for(unfinished, request.again))
    return page


def _series_request(number: int, unread: Unread, previews: bool) -> dict[str, Any]:
    request = unread.series.request(number)
    request["series"]["includePreview"] = previews
    if unread.after is not None:
        request["afterStep"] = unread.after
    return request


def _advance(unread: Unread, found: SeriesPoints | None, limit: int) -> tuple[Points, bool]:
    """The new points of an answer, and whether there may be more: as many came as were asked for, or fewer
    than the server counts, and at least one.

    `afterStep` is exclusive and a page may end between points of one step. So the next page begins with all
    points of that step, and those already there are left out. Raises SourceError if the series is another
    than it was when its last page was read.
    """
    points = found.points if found is not None else Points.join(())
    total = found.total if found is not None else 0
    count, skip = len(points), unread.skip
    if count < skip or (skip and points.steps[skip - 1] != unread.last_step):
        raise SourceError("the series changed while it was read; export the run again")
    new = points[skip:]
    unread.received += len(new)
    if len(new) == 0:
        return new, False
    if count < limit and total <= unread.received:
        unread.last_step = float(points.steps.max())
        return new, False
    _go_on_after(unread, points.steps, total)
    return new, True


def _go_on_after(unread: Unread, steps: Float64s, total: int) -> None:
    """Make the next page begin with the points of the last step of this one. Raises SourceError if the rest
    of the series cannot be asked for."""
    if (steps[1:] < steps[:-1]).any():
        raise SourceError("the server gave the points in no order, so that the rest cannot be asked for")
    last, count = float(steps[-1]), len(steps)
    cut = int(np.searchsorted(steps, last, "left"))
    unread.after, unread.skip = (float(steps[cut - 1]), count - cut) if cut else (unread.after, count)
    unread.last_step = last
    unread.expected = unread.skip + _remaining(unread, total)
    if unread.skip + _SPARE > _MOST_POINTS:
        raise SourceError(f"more points have the step {last} than the server gives at once")


def _remaining(unread: Unread, total: int) -> int:
    """How many points are expected yet. What the server counts is taken for a hint only."""
    if total > unread.received:
        return total - unread.received + _SPARE
    return _SPARE if total == unread.received else 4 * unread.received


def _rows(taken: Sequence[tuple[Series, Points]]) -> Iterator[RunRows]:
    """One batch for each run: its series follow one another."""
    if not taken:
        return
    joined = Points.join([points for _, points in taken])
    columns = {
        **step_columns(pa.array(joined.steps)),
        "timestamp": pa.array(joined.times).view(TIME_TYPE),
        "float_value": pa.array(joined.values),
    }
    start = first = 0
    for number, (series, _) in enumerate(taken):
        if number + 1 == len(taken) or taken[number + 1][0].run != series.run:
            part = taken[first : number + 1]
            length = sum(len(points) for _, points in part)
            rows = [(series.path, len(points)) for series, points in part]
            of_run = {name: column.slice(start, length) for name, column in columns.items()}
            yield RunRows(series.run, series_batch(rows, AttributeType.FLOAT_SERIES, of_run))
            start, first = start + length, number + 1
