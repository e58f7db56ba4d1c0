"""Float points from protobuf into columns, by numpy: what an export reads most of.

The protobuf library gives some 0.4 million points a second to Python. Most points of a
series have the same fields of the same widths, so a stretch of them is one numpy view.
Where the fields change from point to point (zeros are left out on the wire) they are
gathered field by field. Every tag and length is checked; what is not exactly as
`ProtoFloatSeriesValuesResponseDTO` (`series_values_pb2` in neptune-query) is usually
written is left to the protobuf library.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from neptune_exporter_neptune3.client import ProtoFloatSeriesValuesResponseDTO

Float64s = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

_FIRST_BLOCK, _LARGEST_BLOCK = 256, 65_536
_SMALL_BYTES = 1 << 17
_SHORT = 32
_PATIENCE = 8
"""After this many short stretches, the rest of a series is gathered field by field."""
_TIME, _STEP, _VALUE, _PREVIEW, _RATIO = 0x08, 0x11, 0x19, 0x20, 0x2D
_POINT, _SERIES, _REQUEST_ID, _TOTAL = 0x12, 0x0A, 0x0A, 0x08


@dataclass(frozen=True, eq=False)
class Points:
    """Columns of one length. times: milliseconds since the epoch; preview: None if no point is one."""

    times: Int64s
    steps: Float64s
    values: Float64s
    preview: npt.NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, part: slice | npt.NDArray[np.bool_]) -> Points:
        preview = None if self.preview is None else self.preview[part]
        return Points(self.times[part], self.steps[part], self.values[part], preview)

    @classmethod
    def join(cls, parts: Sequence[Points]) -> Points:
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return cls(np.empty(0, np.int64), np.empty(0), np.empty(0))
        return cls(
            np.concatenate([part.times for part in parts]),
            np.concatenate([part.steps for part in parts]),
            np.concatenate([part.values for part in parts]),
            _joined_previews(parts),
        )


def _joined_previews(parts: Sequence[Points]) -> npt.NDArray[np.bool_] | None:
    if all(part.preview is None for part in parts):
        return None
    return np.concatenate([np.zeros(len(p), np.bool_) if p.preview is None else p.preview for p in parts])


@dataclass(frozen=True, eq=False)
class SeriesPoints:
    """One series of an answer. `total`: how many points the server counts, 0 if it does not say."""

    request_id: str
    points: Points
    total: int


class _UnusualError(Exception):
    """Not written as it usually is: a case for the protobuf library."""


def decode(content: bytes) -> list[SeriesPoints]:
    """The series of an answer. Raises google.protobuf.message.DecodeError if it is no such answer."""
    try:
        return list(_read(content))
    except (_UnusualError, IndexError):
        return _with_protobuf(content)


def _with_protobuf(content: bytes) -> list[SeriesPoints]:
    found = []
    for series in ProtoFloatSeriesValuesResponseDTO.FromString(content).series:
        rows = series.series.values
        preview = np.fromiter((p.is_preview for p in rows), np.bool_, len(rows))
        points = Points(
            np.fromiter((p.timestamp_millis for p in rows), np.int64, len(rows)),
            np.fromiter((p.step for p in rows), np.float64, len(rows)),
            np.fromiter((p.value for p in rows), np.float64, len(rows)),
            preview if preview.any() else None,
        )
        found.append(SeriesPoints(series.requestId, points, series.series.total_item_count))
    return found


@dataclass(frozen=True)
class _Region:
    """Where the points of one series are in an answer."""

    request_id: str
    total: int
    at: int
    end: int


def _read(content: bytes) -> Iterator[SeriesPoints]:
    data = np.frombuffer(content, np.uint8)
    regions = list(_regions(content))
    found = _read_small(content, data, [r for r in regions if r.end - r.at < _SMALL_BYTES])
    for region in regions:
        points = found[region.at] if region.at in found else _points(content, data, region)
        yield SeriesPoints(region.request_id, points, region.total)


def _read_small(content: bytes, data: Bytes, small: Sequence[_Region]) -> dict[int, Points]:
    """The points of short series together, by where they begin."""
    alike = zip(small, _read_alike_ones(content, data, small), strict=True)
    found = {region.at: points for region, points in alike if points is not None}
    mixed = [region for region in small if region.at not in found]
    found.update(zip((region.at for region in mixed), _gathered(content, data, mixed), strict=True))
    return found


def _regions(content: bytes) -> Iterator[_Region]:
    at = 0
    while at < len(content):
        at, end = _enter(content, at, _SERIES, len(content))
        request_id, total = "", 0
        if at < end and content[at] == _REQUEST_ID:
            at, stop = _enter(content, at, _REQUEST_ID, end)
            request_id, at = content[at:stop].decode(), stop
        if at < end:
            at, stop = _enter(content, at, _POINT, end)
            if stop != end:
                raise _UnusualError
            if at < end and content[at] == _TOTAL:
                total, at = _varint(content, at + 1)
            if at > end:
                raise _UnusualError
        yield _Region(request_id, total, at, end)
        at = end


def _enter(content: bytes, at: int, tag: int, end: int) -> tuple[int, int]:
    """The start and the end of a length-delimited field that must begin here."""
    if content[at] != tag:
        raise _UnusualError
    length, start = _varint(content, at + 1)
    if start + length > end:
        raise _UnusualError
    return start, start + length


def _varint(content: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = content[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at
        if shift > 63:
            raise _UnusualError


def _points(content: bytes, data: Bytes, region: _Region) -> Points:
    """One long series, stretch by stretch."""
    parts: list[Points] = []
    at, end = region.at, region.end
    block, short = _FIRST_BLOCK, 0
    while at < end:
        if short > _PATIENCE:
            parts += _gathered(content, data, [replace(region, at=at)])
            break
        layout = _layout(content, at, end)
        width = layout.dtype.itemsize
        asked = min(block, (end - at) // width)
        rows = np.frombuffer(content, layout.dtype, asked, at)
        same = layout.agrees(rows)
        count = asked if same.all() else int(same.argmin())
        parts.append(layout.points(rows[:count]))
        at += count * width
        block = min(4 * block, _LARGEST_BLOCK) if count == asked else _FIRST_BLOCK
        short += count < _SHORT
    return Points.join(parts)


@dataclass(frozen=True)
class _Layout:
    """Which fields a point has, the bytes of its time, and all its bytes."""

    time_bytes: int
    has_step: bool
    has_value: bool
    has_preview: bool
    dtype: np.dtype[Any]
    fixed: tuple[tuple[str, int], ...]
    """The bytes that every point of this layout has."""

    def agrees(self, rows: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Which rows are points of this layout."""
        same = np.ones(len(rows), np.bool_)
        for name, byte in self.fixed:
            same &= rows[name] == byte
        for k in range(self.time_bytes):
            more = rows[f"time{k}"] >= 0x80
            same &= ~more if k == self.time_bytes - 1 else more
        return same

    def points(self, rows: npt.NDArray[Any]) -> Points:
        times = np.zeros(len(rows), np.int64)
        for k in range(self.time_bytes):
            times |= (rows[f"time{k}"] & np.uint8(0x7F)).astype(np.int64) << np.int64(7 * k)
        return Points(
            times,
            rows["step"].astype(np.float64) if self.has_step else np.zeros(len(rows)),
            rows["value"].astype(np.float64) if self.has_value else np.zeros(len(rows)),
            rows["preview"] != 0 if self.has_preview else None,
        )


def _layout(content: bytes, at: int, end: int) -> _Layout:
    """The layout of the point that begins here."""
    start, stop = _enter(content, at, _POINT, end)
    if start != at + 2:
        raise _UnusualError
    at, time_bytes = start, 0
    if at < stop and content[at] == _TIME:
        _, after = _varint(content, at + 1)
        time_bytes, at = after - at - 1, after
    present = []
    for tag, length in ((_STEP, 8), (_VALUE, 8), (_PREVIEW, 1), (_RATIO, 4)):
        present.append(at < stop and content[at] == tag)
        at += (1 + length) * present[-1]
    if at != stop:
        raise _UnusualError
    return _known_layout(time_bytes, *present)


@lru_cache(maxsize=512)
def _known_layout(time_bytes: int, step: bool, value: bool, preview: bool, ratio: bool) -> _Layout:
    fields: list[tuple[str, str]] = [("tag", "u1"), ("length", "u1")]
    fixed = [("tag", _POINT)]
    if time_bytes:
        fields += [("time_tag", "u1"), *((f"time{k}", "u1") for k in range(time_bytes))]
        fixed.append(("time_tag", _TIME))
    for name, tag, kind, present in (
        ("step", _STEP, "<f8", step),
        ("value", _VALUE, "<f8", value),
        ("preview", _PREVIEW, "u1", preview),
        ("ratio", _RATIO, "<f4", ratio),
    ):
        if present:
            fields += [(f"{name}_tag", "u1"), (name, kind)]
            fixed.append((f"{name}_tag", tag))
    if preview:
        fixed.append(("preview", 1))
    dtype = np.dtype(fields)
    fixed.append(("length", dtype.itemsize - 2))
    return _Layout(time_bytes, step, value, preview, dtype, tuple(fixed))


def _gathered(content: bytes, data: Bytes, regions: Sequence[_Region]) -> Iterator[Points]:
    """Points whose fields differ from one to the next: found one by one, read field by field."""
    found: list[int] = []
    ends = []
    for region in regions:
        at = region.at
        while at < region.end:
            length = content[at + 1]
            if content[at] != _POINT or length >= 0x80:
                raise _UnusualError
            found.append(at)
            at += 2 + length
        if at != region.end:
            raise _UnusualError
        ends.append(len(found))
    points = _by_fields(data, np.array(found, np.int64))
    for start, end in zip([0, *ends], ends, strict=False):
        yield points[start:end]


def _by_fields(data: Bytes, starts: Int64s) -> Points:
    """The points that begin at these places."""
    reader = _Gathering(data, starts + 2, starts + 2 + data[starts + 1])
    times, steps, values = reader.varints(_TIME), reader.doubles(_STEP), reader.doubles(_VALUE)
    preview = reader.varints(_PREVIEW)
    reader.skip(_RATIO, 4)
    if (reader.cursor != reader.ends).any():
        raise _UnusualError
    return Points(times, steps, values, preview != 0 if preview.any() else None)


def _read_alike_ones(content: bytes, data: Bytes, regions: Sequence[_Region]) -> list[Points | None]:
    """Many short series at once, as numpy's price for a call is that of some hundred points.

    All points of a series but the first, whose step is often the zero that is left out,
    are taken for equally long, and of the layout of the first such series. None for a
    series of which that is not true.
    """
    found: list[Points | None] = [None] * len(regions)
    alike: dict[int, list[tuple[int, int, int]]] = {}
    for number, region in enumerate(regions):
        at, end = region.at, region.end
        second = at + 2 + content[at + 1] if at < end else end
        if second >= end or content[at] != _POINT:
            continue
        width = 2 + content[second + 1]
        count, rest = divmod(end - second, width)
        if rest == 0 and width < 0x80:
            alike.setdefault(width, []).append((number, second, count))
    for same_width in alike.values():
        for number, points in _read_alike(content, data, regions, same_width):
            found[number] = points
    return found


def _read_alike(
    content: bytes, data: Bytes, regions: Sequence[_Region], chosen: Sequence[tuple[int, int, int]]
) -> Iterator[tuple[int, Points]]:
    """`chosen`: the number of a series, where its second point begins, how many there are from there on."""
    number, second, _ = chosen[0]
    layout = _layout(content, second, regions[number].end)
    ends = np.cumsum([count for _, _, count in chosen])
    rows = np.concatenate([data[at : regions[number].end] for number, at, _ in chosen]).view(layout.dtype)
    same = np.logical_and.reduceat(layout.agrees(rows), [0, *ends[:-1].tolist()])
    later = layout.points(rows)
    first = _by_fields(data, np.array([regions[number].at for number, _, _ in chosen], np.int64))
    for n, (number, _, count) in enumerate(chosen):
        if same[n]:
            end = int(ends[n])
            yield number, Points.join([first[n : n + 1], later[end - count : end]])


class _Gathering:
    """Reads one field after the other of many points at once."""

    def __init__(self, data: Bytes, cursor: Int64s, ends: Int64s) -> None:
        self._data = data
        self.cursor = cursor
        self.ends = ends

    def _having(self, tag: int) -> Int64s:
        """The points whose next field is this one; their cursors are moved behind its tag."""
        inside = np.flatnonzero(self.cursor < self.ends)
        chosen: Int64s = inside[self._data[self.cursor[inside]] == tag]
        self.cursor[chosen] += 1
        return chosen

    def _advance(self, chosen: Int64s, length: int | Int64s) -> None:
        self.cursor[chosen] += length
        if (self.cursor[chosen] > self.ends[chosen]).any():
            raise _UnusualError

    def doubles(self, tag: int) -> Float64s:
        chosen = self._having(tag)
        starts = self.cursor[chosen]
        self._advance(chosen, 8)
        out = np.zeros(len(self.cursor), np.float64)
        out[chosen] = self._data[starts[:, None] + np.arange(8)].view("<f8")[:, 0]
        return out

    def varints(self, tag: int) -> Int64s:
        chosen = self._having(tag)
        out = np.zeros(len(self.cursor), np.uint64)
        left, shift = chosen, 0
        while len(left):
            if shift > 63 or (self.cursor[left] >= self.ends[left]).any():
                raise _UnusualError
            bytes_ = self._data[self.cursor[left]]
            self.cursor[left] += 1
            out[left] |= (bytes_ & np.uint8(0x7F)).astype(np.uint64) << np.uint64(shift)
            left, shift = left[bytes_ >= 0x80], shift + 7
        return np.asarray(out.view(np.int64), np.int64)

    def skip(self, tag: int, length: int) -> None:
        self._advance(self._having(tag), length)
