"""Float and string series: pages of points, decoded straight into Arrow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from neptune_exporter.contract import SourceError
from neptune_exporter.model import AttributeType
from neptune_exporter.schema import TIME_TYPE, VALUE_COLUMN, series_batch, step_columns
from neptune_exporter.toolkit import clean, look_ahead
from neptune_exporter_neptune2.api import LEADERBOARD, Api
from neptune_exporter_neptune2.values import Attribute, number

PAGE = 1000
"""Points of a page: what the client asks for (neptune.attributes.series.fetchable_series)."""
_BATCH_ROWS, _BATCH_BYTES = 32_768, 8 << 20
"""Pages are collected until there are this many rows or bytes."""
_ENDPOINTS = {AttributeType.FLOAT_SERIES: "float", AttributeType.STRING_SERIES: "string"}
_VALUES = {AttributeType.FLOAT_SERIES: pa.float64(), AttributeType.STRING_SERIES: pa.string()}
_POINTS = {
    kind: pa.struct([("timestampMillis", pa.int64()), ("step", pa.float64()), ("value", value)])
    for kind, value in _VALUES.items()
}


@dataclass(frozen=True)
class Points:
    """A page: columns of one length. Steps are float64, times int64 milliseconds."""

    times: pa.Array
    steps: pa.Array
    values: pa.Array
    total: int
    """Points of the whole series."""
    without_value: int = 0
    """Points that came with null: a number that this server cannot write, or no text."""

    def __len__(self) -> int:
        return len(self.times)


def fetch(api: Api, run_handle: str, attribute: Attribute, offset: int, *, limit: int = PAGE) -> Points:
    """One page of at most `limit` points. Raises AuthenticationError or SourceError."""
    params: dict[str, str | int] = {
        "experimentId": run_handle,
        "attribute": attribute.path,
        "limit": limit,
        "offset": offset,
    }
    url = f"{LEADERBOARD}/attributes/series/{_ENDPOINTS[attribute.type]}"
    return api.get(url, params, lambda answer: decode(answer, attribute.type))


def pages(
    api: Api, executor: Executor, width: int, run_handle: str, attribute: Attribute, first: Points
) -> Iterator[Points]:
    """All pages in order, the first of which is there already. Raises AuthenticationError, and SourceError
    also if a page has fewer points than the server announced: what came before is good."""
    offsets = range(PAGE, first.total, PAGE)
    rest = look_ahead(executor, offsets, partial(fetch, api, run_handle, attribute), width)
    _check(first, 0, first.total)
    yield first
    for offset, result in rest:
        page = result()
        _check(page, offset, first.total)
        yield page


def _check(page: Points, offset: int, total: int) -> None:
    expected = min(PAGE, total - offset)
    if len(page) < expected:
        raise SourceError(
            f"the server announced {total} points, but from number {offset} on gave {len(page)}, "
            f"not {expected}"
        )


def decode(answer: Any, kind: AttributeType) -> Points:
    """A page's JSON. Raises KeyError, TypeError, ValueError or OverflowError if it is no page of a series."""
    points, total, without = answer["values"], int(answer["totalItemCount"]), 0
    try:
        columns = pa.array(points, _POINTS[kind]).flatten()
        is_plain = not any(column.null_count for column in columns)
    except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError):
        is_plain = False
    if not is_plain:
        columns = _carefully(points, kind)
        without = sum(point.get("value") is None for point in points)
    times, steps, values = columns
    return Points(times, steps, values, total, without)


def _carefully(points: Sequence[dict[str, Any]], kind: AttributeType) -> Sequence[pa.Array]:
    """Point by point: numbers that come as text or null, text that UTF-8 cannot hold."""
    read: Callable[[Any], object] = number if kind is AttributeType.FLOAT_SERIES else _line
    times = [None if p.get("timestampMillis") is None else int(p["timestampMillis"]) for p in points]
    return (
        pa.array(times, pa.int64()),
        pa.array([float(p["step"]) for p in points], pa.float64()),
        pa.array([read(p.get("value")) for p in points], _VALUES[kind]),
    )


def _line(value: object) -> str:
    return clean(value) if isinstance(value, str) else ""


class Batcher:
    """Collects pages of many attributes of one type into batches that are worth their while."""

    def __init__(self, kind: AttributeType) -> None:
        self._kind = kind
        self._clear()

    def add(self, path: str, page: Points) -> pa.RecordBatch | None:
        """Take a page; a batch if enough has come together."""
        if len(page):
            self._runs.append((path, len(page)))
            self._pages.append(page)
            self._rows += len(page)
            self._bytes += page.values.nbytes
        return self.flush() if self._rows >= _BATCH_ROWS or self._bytes >= _BATCH_BYTES else None

    def flush(self) -> pa.RecordBatch | None:
        """What there is, None if nothing."""
        pages, runs = self._pages, self._runs
        self._clear()
        if not pages:
            return None
        columns = {
            **step_columns(pa.concat_arrays([page.steps for page in pages])),
            "timestamp": pa.concat_arrays([page.times for page in pages]).cast(TIME_TYPE),
            VALUE_COLUMN[self._kind]: pa.concat_arrays([page.values for page in pages]),
        }
        return series_batch(runs, self._kind, columns)

    def _clear(self) -> None:
        self._pages: list[Points] = []
        self._runs: list[tuple[str, int]] = []
        self._rows = self._bytes = 0
