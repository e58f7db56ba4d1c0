"""Answers of 200 that are not the protocol's, refused tokens, and attributes without a value."""

from __future__ import annotations

import base64
import json

import pytest

from neptune_exporter.contract import AuthenticationError, NeptuneExporterError, Secret, SourceError
from neptune_exporter.testing.foreign_bodies import no_protocol, web_page
from neptune_exporter_neptune2.plugin import make_source
from neptune_exporter_neptune2.settings import Neptune2Settings
from neptune_exporter_neptune2_server import (
    FakeProject,
    Fault,
    Float,
    Unknown,
    token_malformed,
)

from .conftest import Exporter, Serve, settings_for

PAGE = web_page("Company network")
NO_PROTOCOL = no_protocol()


def the_error(server_or_settings: Neptune2Settings) -> NeptuneExporterError:
    with pytest.raises(NeptuneExporterError) as caught:
        make_source(server_or_settings).close()
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_token_that_the_server_cannot_read_is_refused(serve: Serve) -> None:
    server = serve()
    server.fail(token_malformed())
    error = the_error(settings_for(server))
    assert isinstance(error, AuthenticationError)
    assert str(error).startswith(f"the API token was refused (the handshake: {server.url} answered HTTP 400")
    assert "NEPTUNE_API_TOKEN" in str(error)


@pytest.mark.parametrize("path", [".*", "/clients/config", "/oauth-token"])
def test_a_login_page_in_the_handshake_is_named(serve: Serve, path: str) -> None:
    server = serve()
    server.fail(Fault(path, status=200, body=PAGE, content_type="text/html", times=99))
    error = the_error(settings_for(server))
    assert str(error).startswith(f'{server.url} answered with a web page ("Company network")')


@pytest.mark.parametrize("body", NO_PROTOCOL)
@pytest.mark.parametrize("path", ["swagger.json", "/clients/config", "/oauth-token"])
def test_another_body_in_the_handshake_is_named(serve: Serve, path: str, body: bytes) -> None:
    server = serve()
    server.fail(Fault(path, status=200, body=body, times=99))
    message = str(the_error(settings_for(server)))
    assert message.startswith(f"the answer of {server.url} to the handshake cannot be read")
    assert "Error" not in message


def test_a_page_that_is_no_success_is_named(serve: Serve) -> None:
    server = serve()
    server.fail(Fault(".*", status=403, body=PAGE, content_type="text/html", times=99))
    error = the_error(settings_for(server))
    assert isinstance(error, SourceError)  # it is not Neptune that says no
    assert f'HTTP 403: {server.url} answered with a web page ("Company network")' in str(error)


@pytest.mark.parametrize("body", [*NO_PROTOCOL, PAGE])
@pytest.mark.parametrize("path", ["/v1/attributes$", "/entries/search", "/series/float", "/projects/get"])
def test_a_body_that_is_not_the_protocols_is_an_error_that_ends_with_it(
    serve: Serve, export: Exporter, path: str, body: bytes
) -> None:
    project = FakeProject("team", "cats")
    project.add_run({"m": Unknown("floatSeries", {}), "lr": Float(0.5)})
    server = serve(project)
    server.fail(Fault(path, status=200, body=body, times=10**6))
    result = export(server, settings={"retry_seconds": 1})
    messages = [f.message for f in result.failures] + [p.error for p in result.projects if p.error]
    assert messages
    for message in messages:
        assert server.url in message and "Error" not in message
    server.faults.clear()
    assert export(server).complete
    assert export.value("SAN-1", "lr", "float_value") == 0.5


@pytest.mark.parametrize(
    "wire_type",
    [
        *("float", "int", "bool", "string", "datetime", "stringSet", "floatSeries", "stringSeries"),
        *("imageSeries", "file", "fileSet", "artifact", "experimentState", "gitRef", "notebookRef"),
    ],
)
@pytest.mark.parametrize("nulls", [False, True])
def test_an_attribute_without_a_value_makes_no_row_and_is_no_failure(
    serve: Serve, export: Exporter, wire_type: str, nulls: bool
) -> None:
    properties = {"value": None, "values": None} if nulls and wire_type != "float" else {}
    project = FakeProject("team", "cats")
    project.add_run({"nothing": Unknown(wire_type, properties), "lr": Float(0.5)})
    result = export(serve(project))
    assert result.complete, result.failures
    assert export.rows("SAN-1", "nothing") == []
    assert export.value("SAN-1", "lr", "float_value") == 0.5


def token_for(address: str) -> Secret:
    content = {"api_address": address, "api_url": address, "api_key": "of nobody"}
    return Secret(base64.b64encode(json.dumps(content).encode()).decode())


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://127.0.0.1:1", "the server 127.0.0.1:1 cannot be reached: the connection was refused"),
        ("http://nowhere.invalid", "the name of http://nowhere.invalid is not known here"),
        ("nowhere at all", "nowhere at all"),
    ],
)
def test_an_address_that_leads_nowhere_is_named_with_its_option(
    monkeypatch: pytest.MonkeyPatch, address: str, message: str
) -> None:
    monkeypatch.setattr("neptune.common.backends.utils.retries_timeout", 0.1)
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    error = str(the_error(Neptune2Settings(api_token=token_for(address))))
    assert message in error
    assert "--api-token or NEPTUNE_API_TOKEN" in error


def test_a_proxy_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neptune.common.backends.utils.retries_timeout", 0.1)
    monkeypatch.setenv("HTTP_PROXY", "http://me:secret@127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    message = str(the_error(Neptune2Settings(api_token=token_for("http://127.0.0.2:9"))))
    assert "through the proxy 127.0.0.1:1 (HTTP_PROXY): the connection was refused" in message
    assert "secret" not in message


def test_a_server_without_tls_behind_https_is_named(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "neptune.common.backends.utils.retries_timeout", 1.5
    )  # the client repeats it once at once
    address = serve().url.replace("http:", "https:")
    message = str(the_error(Neptune2Settings(api_token=token_for(address))))
    where = address.partition("//")[2]
    assert f"the server {where} cannot be reached: TLS failed (" in message


@pytest.mark.parametrize("at", [" ", "\n", "\x07", "é"])
def test_a_token_with_a_character_that_none_has_is_not_sent(serve: Serve, at: str) -> None:
    """The client strips a token, and decodes one with a space inside (`neptune.internal.credentials`)."""
    server = serve(FakeProject("team", "cats"))
    token = server.tokens.api_token
    error = the_error(Neptune2Settings(api_token=Secret(token[:9] + at + token[9:])))
    assert isinstance(error, AuthenticationError)
    assert "holds a space, a line end or another character" in str(error) and token[:9] not in str(error)
    assert server.requests == []
    make_source(Neptune2Settings(api_token=Secret(f" {token}\n"))).close()
    assert server.requests


@pytest.mark.parametrize("token", ["abc", "bm8ganNvbg==", "e30="])
def test_what_is_no_token_is_said_to_be_none(token: str) -> None:
    error = the_error(Neptune2Settings(api_token=Secret(token)))
    assert isinstance(error, AuthenticationError)
    assert str(error).startswith("this is not an API token of Neptune (base64 of JSON")
