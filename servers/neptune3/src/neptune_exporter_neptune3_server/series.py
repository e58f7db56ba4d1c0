"""Series values: `get_multiple_float_series_values_proto` and `get_series_values_proto`."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from neptune_query.generated.neptune_api.proto.neptune_pb.api.v1.model import series_values_pb2 as series_pb

from neptune_exporter.testing.loopback import Request, Response

from .errors import BadRequestError
from .files import ObjectStore
from .limits import Limits
from .lineage import ObjectPoint, StepRange, float_points, links_of, object_points, page
from .model import FakeFile, FloatSeries, Histogram
from .points import Points, encode, field, varint
from .reading import count, json_body, protobuf, required
from .store import Holder, ProjectView, Store
from .values import write_file, write_histogram


@dataclass(frozen=True)
class _Wanted:
    """One series of a request. `holder` is None if the server has no such run."""

    request_id: str
    attribute: str
    holder: Holder | None
    series: dict[str, Any]
    raw: dict[str, Any]


class Series:
    """`cache_bytes`: how much of the encoded points is kept for requests that come again."""

    def __init__(self, store: Store, limits: Limits, objects: ObjectStore, cache_bytes: int) -> None:
        self._store = store
        self._limits = limits
        self._objects = objects
        self._cache = _PageCache(cache_bytes)

    def floats(self, request: Request) -> Response:
        body = json_body(request)
        wanted = self._wanted(body)
        most = self._limits.points // max(1, len(wanted))
        limit = count(body.get("perSeriesPointsLimit"), "perSeriesPointsLimit", max(1, most), least=1)
        steps, descending = StepRange.of(body), _descending(body)
        pieces: list[bytes] = []
        for each in wanted:
            if each.holder is None:
                continue
            links = links_of(each.series, each.holder)
            points = float_points(links, each.attribute, bool(each.series.get("includePreview")))
            if points is None:
                continue
            after = each.raw.get("afterStep")
            first, stop = page(points, steps, None if after is None else float(after), limit, descending)
            own = each.holder.run.attributes.get(each.attribute)
            if isinstance(own, FloatSeries) and points in (own.points, own.committed):
                encoded = self._cache.encoded(points, first, stop, descending)
            else:  # joined from several runs for this request alone
                encoded = _encoded(points, first, stop, descending)
            inner = b"\x08" + varint(len(points)) if len(points) else b""
            head = field(1, each.request_id.encode()) + b"\x12" + varint(len(inner) + len(encoded)) + inner
            pieces += [b"\x0a" + varint(len(head) + len(encoded)) + head, encoded]
        return protobuf(b"".join(pieces))

    def objects(self, request: Request) -> Response:
        """Strings, histograms, files. What `searchAfter` says is described in the client's `series.py`."""
        body = json_body(request)
        if (request.param("useDeprecatedStringFields") or "true").lower() != "false":
            raise BadRequestError("only useDeprecatedStringFields=false is served")
        wanted = self._wanted(body)
        limit = body.get("perSeriesPointsLimit")
        most = None if limit is None else count(limit, "perSeriesPointsLimit", self._limits.points)
        steps, descending = StepRange.of(body), _descending(body)
        result = series_pb.ProtoSeriesValuesResponseDTO()
        room = self._limits.objects_per_answer
        for each in wanted:
            if each.holder is None:
                continue
            points = object_points(links_of(each.series, each.holder), each.attribute)
            if points is not None:
                shown = _shown(points, steps, descending)[:most]
                room -= self._add_part(result.series.add(requestId=each.request_id), each, shown, room)
            elif each.attribute not in each.holder.view.attribute_names:
                result.series.add(requestId=each.request_id)
        return protobuf(result.SerializeToString())

    def _add_part(self, entry: Any, wanted: _Wanted, shown: Sequence[ObjectPoint], room: int) -> int:
        """Add the points of one page; how many these are."""
        start = _resume_at(wanted.raw)
        if room == 0 and start < len(shown):
            return 0  # on a later page
        part = shown[start : start + room]
        entry.seriesValues.values.extend(self._point(wanted.attribute, point) for point in part)
        entry.searchAfter.finished = start + len(part) >= len(shown)
        entry.searchAfter.token = str(start + len(part))
        return len(part)

    def _wanted(self, body: dict[str, Any]) -> list[_Wanted]:
        requests = required(body, "requests")
        names = sum(len(str(each["series"]["attribute"]).encode()) for each in requests)
        if len(requests) > self._limits.series or names > self._limits.name_bytes:
            raise BadRequestError(
                f"{len(requests)} series with {names} bytes of names, "
                f"{self._limits.series} and {self._limits.name_bytes} are allowed"
            )
        views: dict[str, ProjectView] = {}
        found: dict[str, _Wanted] = {}
        for each in requests:
            series = each["series"]
            identifier = str(series["holder"]["identifier"])
            project = self._store.project_of(identifier)
            if project not in views:
                views[project] = self._store.view(project)
            request_id = str(each["requestId"])
            if request_id in found or series["holder"]["type"] != "experiment":
                raise BadRequestError(f"request {request_id!r} is not the only one or not of an experiment")
            holder = views[project].by_identifier.get(identifier)
            found[request_id] = _Wanted(request_id, str(series["attribute"]), holder, series, each)
        return list(found.values())

    def _point(self, attribute: str, point: ObjectPoint) -> series_pb.ProtoPointValueDTO:
        dto = series_pb.ProtoPointValueDTO(
            timestamp_millis=point.timestamp, step=point.step, completion_ratio=1.0
        )
        value = point.value
        if isinstance(value, str):
            dto.object.stringValue = value
        elif isinstance(value, Histogram):
            write_histogram(dto.object.histogram, value)
        elif isinstance(value, FakeFile):
            path = self._objects.register(point.holder, attribute, point.step, value)
            write_file(dto.object.fileRef, value, path)
        return dto


class _PageCache:
    """The most recent pages of encoded points, up to a number of bytes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 0
        self._lock = threading.Lock()
        self._pages: OrderedDict[tuple[int, int, int, bool], tuple[Points, bytes]] = OrderedDict()

    def encoded(self, points: Points, first: int, stop: int, descending: bool) -> bytes:
        key = (id(points), first, stop, descending)
        with self._lock:
            found = self._pages.get(key)
            if found is not None:
                self._pages.move_to_end(key)
                return found[1]
        made = _encoded(points, first, stop, descending)
        if len(made) > self._most:
            return made
        with self._lock:
            if key not in self._pages:
                self._pages[key] = (points, made)  # holding the points keeps their id from being used again
                self._size += len(made)
            while self._size > self._most:
                self._size -= len(self._pages.popitem(last=False)[1][1])
        return made


def _encoded(points: Points, first: int, stop: int, descending: bool) -> bytes:
    part = points[first:stop]
    return encode(part[::-1] if descending else part)


def _shown(points: Sequence[ObjectPoint], steps: StepRange, descending: bool) -> list[ObjectPoint]:
    shown = [point for point in points if steps.first <= point.step <= steps.last]
    return shown[::-1] if descending else shown


def _descending(body: dict[str, Any]) -> bool:
    order = body.get("order", "ascending")
    if order not in ("ascending", "descending"):
        raise BadRequestError(f"unknown order {order!r}")
    return bool(order == "descending")


def _resume_at(raw: dict[str, Any]) -> int:
    token = (raw.get("searchAfter") or {}).get("token", "0")
    if not str(token).isdigit():
        raise BadRequestError(f"not a token: {token!r}")
    return int(token)
