"""Requests that the client would not send: the server is strict."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from neptune_query.generated.neptune_api.proto.neptune_pb.api.v1.model import series_values_pb2

from neptune_exporter_neptune3_server import (
    DEFINITIONS_PATH,
    EXCHANGE_PATH,
    FLOATS_PATH,
    SEARCH_PATH,
    SERIES_PATH,
    VALUES_PATH,
    FakeProject,
    Limits,
    Neptune3Server,
    OtherValue,
)

PROJECT = "acme/vision"
SMALL = Limits(points=100, series=5, name_bytes=200, filter_bytes=50, page=10, projection=3)


CLIENT = httpx.Client(verify=False)  # plain http: making a TLS context for each request would be slow


@pytest.fixture
def small(project: FakeProject) -> Iterator[Neptune3Server]:
    with Neptune3Server([project], limits=SMALL) as server:
        yield server


def post(server: Neptune3Server, path: str, body: Any, **params: str) -> httpx.Response:
    pair = CLIENT.get(server.url + EXCHANGE_PATH, headers={"X-Neptune-Api-Token": server.api_token}).json()
    headers = {"Authorization": f"Bearer {pair['accessToken']}"}
    content = body if isinstance(body, bytes) else None
    json = None if isinstance(body, bytes) else body
    return CLIENT.post(server.url + path, headers=headers, params=params, content=content, json=json)


def series(
    name: str = "metrics/loss", identifier: str = f"CUSTOM/{PROJECT}/root", **more: Any
) -> dict[str, Any]:
    request_id = more.pop("requestId", name)
    holder = {"identifier": identifier, "type": more.pop("type", "experiment")}
    own: dict[str, Any] = {key: more.pop(key) for key in ("afterStep", "searchAfter") if key in more}
    return {"requestId": request_id, "series": {"holder": holder, "attribute": name, **more}, **own}


def floats(server: Neptune3Server, *wanted: dict[str, Any], limit: Any = 10, **more: Any) -> httpx.Response:
    return post(server, FLOATS_PATH, {"requests": list(wanted), "perSeriesPointsLimit": limit, **more})


def refused(response: httpx.Response, message: str) -> None:
    assert response.status_code == 400, response.text
    assert re.search(message, response.json()["message"])


def test_float_requests_that_are_too_large(small: Neptune3Server) -> None:
    assert floats(small, series(), limit=100).status_code == 200
    refused(floats(small, series(), limit=101), "perSeriesPointsLimit")
    refused(floats(small, series(), series("other"), limit=51), "perSeriesPointsLimit")
    refused(floats(small, series(), limit=0), "perSeriesPointsLimit")
    refused(floats(small, series(), limit=None), "perSeriesPointsLimit")
    refused(floats(small, *(series(f"m{n}") for n in range(6))), "6 series")
    refused(floats(small, series("n" * 201)), "201 bytes")


def test_float_requests_that_make_no_sense(small: Neptune3Server) -> None:
    refused(floats(small, series(), series()), "not the only one")
    refused(floats(small, series(type="project")), "not of an experiment")
    refused(floats(small, series(lineage="HALF")), "lineage")
    refused(floats(small, series(), order="random"), "order")
    refused(floats(small, {"requestId": "1"}), "cannot be read: KeyError")
    refused(floats(small, series(afterStep="x")), "cannot be read: ValueError")
    refused(post(small, FLOATS_PATH, b"{"), "not JSON")
    refused(post(small, FLOATS_PATH, []), "not a JSON object")
    assert floats(small, series(identifier="acme/other/X-1")).status_code == 403
    assert floats(small, series(identifier="root")).status_code == 403


def test_float_pages_go_either_way_after_a_step(small: Neptune3Server) -> None:
    def steps(**more: Any) -> list[float]:
        order = more.pop("order", "ascending")
        step_range = more.pop("stepRange", {"from": None, "to": None})
        answer = floats(small, series(**more), limit=3, order=order, stepRange=step_range)
        message = series_values_pb2.ProtoFloatSeriesValuesResponseDTO.FromString(answer.content)
        assert message.series[0].requestId == "metrics/loss"
        assert message.series[0].series.total_item_count == 10
        return [point.step for point in message.series[0].series.values]

    assert steps() == [0, 1, 2]
    assert steps(afterStep=2) == [3, 4, 5]
    assert steps(order="descending") == [9, 8, 7]
    assert steps(order="descending", afterStep=7) == [6, 5, 4]
    assert steps(afterStep=9) == []
    assert steps(afterStep=1, stepRange={"from": 0, "to": 3}) == [2, 3]
    assert steps(order="descending", stepRange={"from": 4, "to": 5}) == [5, 4]


def test_series_requests_that_are_refused(small: Neptune3Server) -> None:
    def ask(*wanted: dict[str, Any], deprecated: str = "false", **more: Any) -> httpx.Response:
        return post(
            small, SERIES_PATH, {"requests": list(wanted), **more}, useDeprecatedStringFields=deprecated
        )

    assert ask(series("logs/out")).status_code == 200
    refused(ask(series("logs/out"), deprecated="true"), "useDeprecatedStringFields")
    refused(ask(*(series(f"m{n}") for n in range(6))), "6 series")
    refused(ask(series("logs/out", searchAfter={"finished": False, "token": "?"})), "token")
    refused(post(small, SERIES_PATH, {}, useDeprecatedStringFields="false"), "requests is missing")


def test_searches_that_are_refused(small: Neptune3Server) -> None:
    def ask(body: dict[str, Any], **params: str) -> httpx.Response:
        return post(small, SEARCH_PATH, body, **{"projectIdentifier": PROJECT, "type": "run", **params})

    assert ask({"pagination": {"limit": 10}}).status_code == 200
    refused(ask({"pagination": {"limit": 11}}), "pagination.limit")
    refused(ask({"pagination": {"limit": -1}}), "pagination.limit")
    refused(ask({"pagination": {"limit": 1, "offset": -1}}), "pagination.offset")
    refused(ask({"attributeFilters": [{"path": f"p{n}"} for n in range(4)]}), "4 attributes")
    refused(ask({}, type="model"), "type must be run")
    refused(ask({"sorting": {"sortBy": {"name": "x", "type": "what"}}}), "cannot sort")
    refused(ask({"query": {"query": "`a` = 1"}}), "the query")
    refused(post(small, SEARCH_PATH, {}, type="run"), "projectIdentifier is missing")


def test_attribute_requests_that_are_refused(small: Neptune3Server) -> None:
    def define(body: dict[str, Any]) -> httpx.Response:
        return post(small, DEFINITIONS_PATH, {"projectIdentifiers": [PROJECT], **body})

    def values(body: dict[str, Any]) -> httpx.Response:
        return post(small, VALUES_PATH, body, projectIdentifier=PROJECT)

    assert define({"nextPage": {"limit": 10}}).status_code == 200
    for ask in (define, values):
        refused(ask({"nextPage": {"limit": 11}}), "nextPage.limit")
        refused(ask({"nextPage": {"limit": 1, "nextPageToken": "no"}}), "page token")
        refused(ask({"attributeFilter": [{"attributeType": "file"}]}), "unknown attribute types")
        refused(
            ask({"attributeNameFilter": {"mustMatchAny": [{"mustMatchRegexes": ["("]}]}}),
            "regular expression",
        )
        refused(
            ask({"attributeNameFilter": {"mustMatchAny": [{"mustMatchRegexes": ["a" * 51]}]}}), "51 bytes"
        )
    refused(values({"attributeNamesFilter": ["a" * 51], "experimentIdsFilter": ["r"] * 3}), "201 bytes")
    assert define({"experimentIdsFilter": []}).json()["entries"] == []
    assert define({"projectIdentifiers": [PROJECT, "acme/other"]}).status_code == 200
    assert define({"projectIdentifiers": ["acme/other"]}).status_code == 403
    assert define({"attributeNameFilter": {"mustMatchAny": []}}).json()["entries"] == []


def test_without_a_filter_attributes_of_every_type_are_listed(
    server: Neptune3Server, project: FakeProject
) -> None:
    project.runs[0].attributes["sys/state"] = OtherValue("experimentState")
    entries = post(server, DEFINITIONS_PATH, {"projectIdentifiers": [PROJECT]}).json()["entries"]
    assert {"name": "sys/state", "type": "experimentState"} in entries


def test_nothing_is_reported_without_a_token(server: Neptune3Server) -> None:
    for path in (SEARCH_PATH, DEFINITIONS_PATH, VALUES_PATH, FLOATS_PATH, SERIES_PATH):
        assert CLIENT.post(server.url + path, json={}).status_code == 401
        assert (
            httpx.post(server.url + path, json={}, headers={"Authorization": "Bearer x"}).status_code == 401
        )
    assert CLIENT.get(server.url + EXCHANGE_PATH).status_code == 401
    assert CLIENT.get(server.url + SEARCH_PATH).status_code == 405
    assert CLIENT.get(server.url + "/api/backend/v1/projects").status_code == 404
