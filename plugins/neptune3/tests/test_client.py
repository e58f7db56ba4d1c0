"""What the plugin uses below the public API of neptune-query is there, and does what is said of it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from neptune_exporter.contract import AuthenticationError, MissingDependencyError, Secret, UsageError
from neptune_exporter.testing.loopback import Fault
from neptune_exporter.toolkit import AwayError
from neptune_exporter_neptune3.client import Client, checked_version
from neptune_exporter_neptune3_server import (
    EXCHANGE_PATH,
    SEARCH_PATH,
    FakeProject,
    FakeRun,
    FloatSeries,
    Neptune3Server,
)

Serve = Callable[..., Neptune3Server]
module: Any = import_module("neptune_exporter_neptune3.client")
models: Any = import_module("neptune_query.generated.neptune_api.models")
PROJECT = "acme/vision"
LISTING = {"attributeFilters": [{"path": "sys/id"}], "pagination": {"limit": 10, "offset": 0}}


@pytest.fixture
def server(serve: Serve) -> Neptune3Server:
    return serve(FakeProject(PROJECT, [FakeRun("a", {"m": FloatSeries([0, 1, 1, 2], [1, 2, 3, 4])})]))


@pytest.mark.parametrize(
    "operation",
    [
        module.search_leaderboard_entries_proto,
        module.search_global_leaderboard_entries_proto,
        module.query_attributes_within_project_proto,
        module.get_multiple_float_series_values_proto,
        module.get_series_values_proto,
        module.signed_url_generic,
    ],
)
def test_operations_take_a_client_and_a_body(operation: Any) -> None:
    assert {"client", "body"} <= set(inspect.signature(operation.sync_detailed).parameters)


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        (module.ProtoLeaderboardEntriesSearchResultDTO, {"entries"}),
        (module.ProtoQueryAttributesResultDTO, {"entries", "nextPage"}),
        (module.ProtoFloatSeriesValuesResponseDTO, {"series"}),
        (module.ProtoSeriesValuesResponseDTO, {"series"}),
        (module.ProtoAttributeDTO, {"name", "type", "int_properties", "file_ref_series_properties"}),
    ],
)
def test_messages_have_their_fields(message: Any, fields: set[str]) -> None:
    assert fields <= set(message.DESCRIPTOR.fields_by_name)


def test_the_numbers_of_float_points_fields() -> None:
    """`points.decode` reads the bytes themselves."""
    response = module.ProtoFloatSeriesValuesResponseDTO.DESCRIPTOR
    single = response.fields_by_name["series"].message_type
    series = single.fields_by_name["series"].message_type
    point = series.fields_by_name["values"].message_type
    numbers = [{f.name: f.number for f in each.fields} for each in (response, single, series, point)]
    assert numbers == [
        {"series": 1},
        {"requestId": 1, "series": 2},
        {"total_item_count": 1, "values": 2},
        {"timestamp_millis": 1, "step": 2, "value": 3, "is_preview": 4, "completion_ratio": 5},
    ]


def test_the_bodies_are_what_the_client_would_make_of_them() -> None:
    series = {
        "requestId": "0",
        "series": {
            "holder": {"identifier": "acme/vision/RUN-1", "type": "experiment"},
            "attribute": "m",
            "lineage": "NONE",
            "lineageEntityType": "RUN",
            "includePreview": True,
        },
        "afterStep": 1.5,
    }
    floats = {"requests": [series], "order": "ascending", "perSeriesPointsLimit": 7}
    assert models.FloatTimeSeriesValuesRequest.from_dict(dict(floats)).to_dict() == floats
    other = {k: v for k, v in series.items() if k != "afterStep"}
    token = {**other, "searchAfter": {"finished": False, "token": "5"}}
    objects = {"requests": [token], "order": "ascending", "sizeLimitBytes": 9}
    assert models.SeriesValuesRequest.from_dict(dict(objects)).to_dict() == objects
    values = {
        "experimentIdsFilter": ["acme/vision/RUN-1"],
        "attributeNamesFilter": ["m"],
        "attributeFilter": [{"attributeType": "float"}],
        "nextPage": {"limit": 3, "nextPageToken": "3"},
    }
    assert models.QueryAttributesBodyDTO.from_dict(dict(values)).to_dict() == values
    search = {
        "attributeFilters": [{"path": "sys/id"}],
        "experimentLeader": False,
        "sorting": {"dir": "ascending", "sortBy": {"name": "sys/creation_time", "type": "datetime"}},
        "pagination": {"limit": 3, "offset": 6},
    }
    query = {**search, "query": {"query": "`n`:int > 1"}}
    assert models.SearchLeaderboardEntriesParamsDTO.from_dict(dict(query)).to_dict() == query
    assert models.GlobalSearchParamsDTO.from_dict(dict(search)).to_dict() == search
    files = {"files": [{"project_identifier": PROJECT, "path": "a/b", "permission": "read"}]}
    assert models.CreateSignedUrlsRequest.from_dict(dict(files)).to_dict() == files


def test_only_one_module_knows_the_client() -> None:
    """The protocol server may use its messages too."""
    package = Path(module.__file__).parent
    users = {p.name for p in package.glob("*.py") if re.search(r"(from|import) neptune_query", p.read_text())}
    assert users == {"client.py"}


def test_refuses_versions_that_it_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checked_version() == module.version("neptune-query")
    for wrong in ("1.13.0", "2.0.0", "0.9", "dev"):
        monkeypatch.setattr(module, "version", lambda _, wrong=wrong: wrong)
        with pytest.raises(MissingDependencyError, match="install neptune-query"):
            checked_version()


@pytest.mark.parametrize("token", ["", "not base64!", "bm90IGpzb24=", "e30=", "W10="])
def test_a_token_that_is_none(token: str) -> None:
    with pytest.raises(AuthenticationError, match="NEPTUNE_API_TOKEN"):
        Client(Secret(token), 5)


def test_certificates_that_are_not_there_are_reported_by_the_variable_that_names_them(
    server: Neptune3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    with pytest.raises(UsageError, match=r"^the variable SSL_CERT_FILE: there is no file /nowhere/ca\.pem"):
        Client(Secret(server.api_token), 5)
    monkeypatch.setenv("NEPTUNE_VERIFY_SSL", "false")
    Client(Secret(server.api_token), 5)


def test_requests_are_made_once_whatever_the_answer(server: Neptune3Server) -> None:
    client = Client(Secret(server.api_token), 5)
    for status in (400, 408, 429, 500, 503):
        server.fail(Fault(path=SEARCH_PATH, status=status, headers={"Retry-After": "7"}))
        answer = client.send("search", LISTING, project_identifier=PROJECT)
        assert (answer.status, answer.headers["retry-after"]) == (status, "7")
    assert client.send("search", LISTING, project_identifier=PROJECT).status == 200
    assert sum(each.path == SEARCH_PATH for each in server.requests) == 6
    client.close()


def test_a_forgotten_token_is_exchanged_anew(server: Neptune3Server) -> None:
    client = Client(Secret(server.api_token), 5)
    assert client.token is None
    client.send("search", LISTING, project_identifier=PROJECT)
    first = client.token
    server.tokens.expire()
    assert client.send("search", LISTING, project_identifier=PROJECT).status == 401
    client.forget_token(None)  # another one than is in use: somebody else was faster
    assert client.token is first
    client.forget_token(first)
    assert client.send("search", LISTING, project_identifier=PROJECT).status == 200
    assert sum(each.path == EXCHANGE_PATH for each in server.requests) == 2
    client.close()


def test_a_status_without_a_name(server: Neptune3Server) -> None:
    """As proxies give it; the client's own code fails on it."""
    client = Client(Secret(server.api_token), 5)
    server.fail(Fault(path=SEARCH_PATH, status=520))
    with pytest.raises(AwayError):
        client.send("search", LISTING, project_identifier=PROJECT)
    client.close()
