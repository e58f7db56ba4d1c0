"""Reading containers: what they are, their attributes, single values, pages of series."""

from __future__ import annotations

from collections.abc import Callable

from neptune_exporter.testing.loopback import Request, Response
from neptune_exporter_neptune2_server import wire
from neptune_exporter_neptune2_server.attributes import (
    Artifact,
    Bool,
    Datetime,
    File,
    Float,
    FloatSeries,
    ImageSeries,
    Int,
    String,
    StringSeries,
    StringSet,
)
from neptune_exporter_neptune2_server.errors import not_found
from neptune_exporter_neptune2_server.store import A, Routes, Store
from neptune_exporter_neptune2_server.swagger import LEADERBOARD

_Handler = Callable[[Request], Response]


def attribute_routes(store: Store) -> Routes:
    lb = LEADERBOARD
    return [
        ("GET", f"{lb}/experiments", lambda request: _experiment(store, request)),
        ("GET", f"{lb}/attributes", lambda request: _attributes(store, request)),
        ("GET", f"{lb}/attributes/floats", _single(store, Float)),
        ("GET", f"{lb}/attributes/integers", _single(store, Int)),
        ("GET", f"{lb}/attributes/booleans", _single(store, Bool)),
        ("GET", f"{lb}/attributes/strings", _single(store, String)),
        ("GET", f"{lb}/attributes/datetimes", _single(store, Datetime)),
        ("GET", f"{lb}/attributes/stringSets", _single(store, StringSet)),
        ("GET", f"{lb}/attributes/floatSeries", _single(store, FloatSeries)),
        ("GET", f"{lb}/attributes/stringSeries", _single(store, StringSeries)),
        ("GET", f"{lb}/attributes/files", _single(store, File)),
        ("GET", f"{lb}/attributes/artifacts", _single(store, Artifact)),
        ("GET", f"{lb}/attributes/series/float", _points(store, FloatSeries)),
        ("GET", f"{lb}/attributes/series/string", _points(store, StringSeries)),
        ("GET", f"{lb}/attributes/series/image", lambda request: _image_count(store, request)),
        ("GET", f"{lb}/channels/(?P<channel>[^/]+)/values", lambda request: _channel(store, request)),
    ]


def _experiment(store: Store, request: Request) -> Response:
    project, container = store.located(request.param("experimentId"))
    return Response.of_json(
        {
            "id": container.id,
            "shortId": container.sys_id,
            "type": container.kind,
            "trashed": container.trashed,
            "organizationId": project.workspace_id,
            "organizationName": project.workspace,
            "projectId": project.id,
            "projectName": project.name,
            "parentId": project.id,
        }
    )


def _attributes(store: Store, request: Request) -> Response:
    project, container = store.located(request.param("experimentId"))
    mode = store.options.non_finite
    return Response.of_json(
        {
            "id": container.id,
            "organizationId": project.workspace_id,
            "organizationName": project.workspace,
            "projectId": project.id,
            "projectName": project.name,
            "trashed": container.trashed,
            "attributes": [
                wire.attribute_json(container, path, attribute, mode)
                for path, attribute in sorted(container.attributes.items())
            ],
        }
    )


def _single(store: Store, kind: type[A]) -> _Handler:
    def handler(request: Request) -> Response:
        container, path, attribute = store.attribute(request, kind)
        return Response.of_json(wire.properties(container, path, attribute, store.options.non_finite))

    return handler


def _points(store: Store, kind: type[FloatSeries] | type[StringSeries]) -> _Handler:
    def handler(request: Request) -> Response:
        _, _, series = store.attribute(request, kind)
        offset, limit = store.page(request)
        page = wire.series_page(series, offset, limit, store.options.non_finite)
        return Response(body=page, content_type="application/json")

    return handler


def _image_count(store: Store, request: Request) -> Response:
    _, _, series = store.attribute(request, ImageSeries)
    store.page(request)
    return Response.of_json({"totalItemCount": len(series.images)})


def _channel(store: Store, request: Request) -> Response:
    if not store.options.channels:
        raise not_found(request.path)
    container, path, series = store.channel(request.path_values["channel"])
    offset, limit = store.page(request)
    return Response.of_json(wire.image_points(container, path, series, offset, limit))
