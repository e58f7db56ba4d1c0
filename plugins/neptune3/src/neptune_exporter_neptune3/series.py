"""String, histogram and file series: many in a request, page after page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from operator import attrgetter
from typing import Any

import pyarrow as pa

from neptune_exporter.contract import RunRows, SourceError
from neptune_exporter.model import AttributeType
from neptune_exporter.schema import HISTOGRAM_TYPE, TIME_TYPE, VALUE_COLUMN, series_batch, step_columns
from neptune_exporter_neptune3.api import Api
from neptune_exporter_neptune3.attributes import NAME_BYTES, FileRef, FileToFetch, Series
from neptune_exporter_neptune3.paging import Page, Request, failure_of

_POINTS = 10_000
"""Points in an answer, over all its series: the most that the server returns."""
_MOST_SERIES = 1_000
_ANSWER_BYTES = 8 << 20
"""The `sizeLimitBytes` of a request: the server ends an answer there, and the rest is requested."""
_BATCH_BYTES = 8 << 20
"""Bytes of texts or edges after which a new batch begins."""
_FIELDS = {
    AttributeType.STRING_SERIES: "stringValue",
    AttributeType.HISTOGRAM_SERIES: "histogram",
    AttributeType.FILE_SERIES: "fileRef",
}


@dataclass(frozen=True)
class Unread:
    """How far a series was read."""

    series: Series
    token: str | None = None
    points: int = 0
    last_step: float | None = None
    at_last_step: int = 0
    """How many points had that step: distinguishes files of one step."""


def requests_for(series: Sequence[Series]) -> Iterator[Request[Unread]]:
    """Bundle series of one type, in their order, until an answer or a request is full."""
    for kind in _FIELDS:
        yield from _bundles([each for each in series if each.type is kind])


def _bundles(series: Sequence[Series]) -> Iterator[Request[Unread]]:
    bundle: list[Unread] = []
    names = expected = 0
    for each in series:
        size, guess = len(each.path.encode()), _expected(each)
        is_full = names + size > NAME_BYTES or len(bundle) >= _MOST_SERIES
        if bundle and (is_full or expected + guess > _POINTS):
            yield Request(bundle)
            bundle, names, expected = [], 0, 0
        bundle.append(Unread(each))
        names, expected = names + size, expected + guess
    if bundle:
        yield Request(bundle)


def _expected(series: Series) -> int:
    """A guess at the number of points, good where steps count up from 0."""
    last = series.last_step
    return int(last) + 1 if last is not None and 0 <= last < _POINTS else _POINTS // 10


@dataclass
class _Points:
    """Columns of one series in an answer."""

    series: Series
    steps: list[float] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)


def fetch(api: Api, request: Request[Unread]) -> Page[Unread]:
    """Carry out a request. Raises AuthenticationError or SourceError."""
    asked = [_series_request(number, unread) for number, unread in enumerate(request.unread)]
    body = {"requests": asked, "order": "ascending", "sizeLimitBytes": _ANSWER_BYTES}
    answer = api.series(body, again=request.again)
    found = {each.requestId: each for each in answer.series}
    # Where no series got a token the server has nothing more to say (`_make_new_series_page_params`).
    progress = any(_after(each) is not None for each in answer.series)
    page: Page[Unread] = Page()
    taken: list[_Points] = []
    unfinished: list[Unread] = []
    for number, unread in enumerate(request.unread):
        part = found.get(str(number))
        if part is not None:
            points = _Points(unread.series)
            unread = _take(part.seriesValues.values, unread, points, page)
            taken.append(points)
        following = _following(unread, part, progress)
        if isinstance(following, Unread):
            unfinished.append(following)
        elif following:
            _fail(page, unread, following)
    page.rows = list(_rows(taken))
    page.following = [Request(unfinished, again=request.again)] if unfinished else []
    return page


def _after(part: Any) -> Any:
    """What an answer says of the rest of a series; None if it says nothing."""
    return part.searchAfter if part is not None and part.HasField("searchAfter") else None


def _following(unread: Unread, part: Any, progress: bool) -> Unread | str | None:
    """How a series goes on; if it does not, what it lacks.

    Args:
        part: The answer for the series; None without one.
        progress: Another series of the answer can go on, so this one may have to wait for that.
    """
    after = _after(part)
    if after is not None and after.finished:
        return unread.series.shortfall(unread.last_step)
    if part is not None and progress:
        return unread if after is None else replace(unread, token=after.token)
    if not unread.points and not unread.series.must_have_points:
        return None
    return (
        f"the server reports points up to step {unread.series.last_step} and does not give all of them: "
        f"{unread.points} came"
    )


def _series_request(number: int, unread: Unread) -> dict[str, Any]:
    request = unread.series.request(number)
    if unread.token is not None:
        request["searchAfter"] = {"finished": False, "token": unread.token}
    return request


def _take(values: Sequence[Any], unread: Unread, points: _Points, page: Page[Unread]) -> Unread:
    series, name = unread.series, _FIELDS[unread.series.type]
    last, same = unread.last_step, unread.at_last_step
    without = 0
    for point in values:
        step = point.step
        same = same + 1 if step == last else 0
        last = step
        if not point.object.HasField(name):
            without += 1
            continue
        value = getattr(point.object, name)
        if series.type is AttributeType.FILE_SERIES:
            file = FileRef.of(value), step, point.timestamp_millis, same
            page.files.append(FileToFetch(series.run, series.path, series.type, *file))
            continue
        points.steps.append(step)
        points.times.append(point.timestamp_millis)
        if series.type is AttributeType.HISTOGRAM_SERIES:
            value = {"type": value.type, "edges": list(value.edges), "values": list(value.values)}
        points.values.append(value)
    if without:
        _fail(page, unread, f"{without} points came without a value of the type {series.type}")
    return replace(unread, points=unread.points + len(values), last_step=last, at_last_step=same)


def _fail(page: Page[Unread], unread: Unread, message: str) -> None:
    page.failures.append(failure_of(unread.series, SourceError(message)))


def _rows(taken: Sequence[_Points]) -> Iterator[RunRows]:
    """Batches of one run each, of texts no longer than `_BATCH_BYTES` together."""
    part: list[_Points] = []
    size = 0
    for points in taken:
        if part and (points.series.run != part[0].series.run or size > _BATCH_BYTES):
            yield from _batch(part)
            part, size = [], 0
        if points.values:
            part.append(points)
            size += _size(points)
    yield from _batch(part)


def _size(points: _Points) -> int:
    if points.series.type is AttributeType.STRING_SERIES:
        return sum(map(len, points.values))
    return sum(8 * len(value["edges"]) for value in points.values)


def _batch(part: Sequence[_Points]) -> Iterator[RunRows]:
    if not part:
        return
    kind = part[0].series.type
    value_type = HISTOGRAM_TYPE if kind is AttributeType.HISTOGRAM_SERIES else pa.string()
    steps, times, values = (
        list(chain.from_iterable(map(attrgetter(name), part))) for name in ("steps", "times", "values")
    )
    columns = {
        **step_columns(pa.array(steps, pa.float64())),
        "timestamp": pa.array(times, pa.int64()).view(TIME_TYPE),
        VALUE_COLUMN[kind]: pa.array(values, value_type),
    }
    rows = [(points.series.path, len(points.values)) for points in part]
    yield RunRows(part[0].series.run, series_batch(rows, kind, columns))
