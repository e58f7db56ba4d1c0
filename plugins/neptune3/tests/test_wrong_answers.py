"""Answers of 200 that are not the protocol's, refused tokens, addresses that lead nowhere, and no values."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from neptune_exporter.contract import AuthenticationError, NeptuneExporterError, Secret
from neptune_exporter.testing.commands import CommandLine
from neptune_exporter.testing.foreign_bodies import no_protocol, web_page
from neptune_exporter.testing.loopback import Fault
from neptune_exporter_neptune3.plugin import make_source
from neptune_exporter_neptune3.settings import Neptune3Settings
from neptune_exporter_neptune3_server import (
    EXCHANGE_PATH,
    FLOATS_PATH,
    SEARCH_PATH,
    SERIES_PATH,
    SIGN_PATH,
    VALUES_PATH,
    FakeFile,
    FakeProject,
    FakeRun,
    FloatSeries,
    Neptune3Server,
    OtherValue,
    StringSeries,
    token_malformed,
)

from .conftest import PROJECT, Exporting, settings_for

Exports = Callable[..., Exporting]
PAGE = web_page("Company network")


def a_project() -> FakeProject:
    attributes = {
        "lr": 0.5,
        "m": FloatSeries([0, 1], [1.0, 2.0]),
        "s": StringSeries([0], ["x"]),
        "f": FakeFile(b"weights"),
    }
    return FakeProject(PROJECT, [FakeRun("r", attributes)])


def error_of(settings: Neptune3Settings) -> NeptuneExporterError:
    with pytest.raises(NeptuneExporterError) as caught:
        source = make_source(settings)
        try:
            source.projects()
        finally:
            source.close()
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_token_that_the_server_cannot_read_is_refused(serve: Callable[..., Neptune3Server]) -> None:
    server = serve()
    server.fail(token_malformed())
    error = error_of(settings_for(server))
    assert isinstance(error, AuthenticationError)
    assert f"{server.url} answered HTTP 400, Invalid value for: header X-Neptune-Api-Token" in str(error)
    assert "NEPTUNE_API_TOKEN" in str(error)


@pytest.mark.parametrize("path", [".*", EXCHANGE_PATH, "leaderboard"])
def test_a_login_page_is_named_at_once(serve: Callable[..., Neptune3Server], path: str) -> None:
    server = serve(a_project())
    server.fail(Fault(path, status=200, body=PAGE, content_type="text/html", times=10**6))
    message = str(error_of(settings_for(server, retry_seconds=60)))
    assert f'{server.url} answered with a web page ("Company network")' in message
    assert len(server.requests) <= 6


@pytest.mark.parametrize("body", no_protocol())
def test_another_answer_for_the_token_is_named(serve: Callable[..., Neptune3Server], body: bytes) -> None:
    server = serve()
    server.fail(Fault(EXCHANGE_PATH, status=200, body=body, times=10**6))
    message = str(error_of(settings_for(server)))
    assert f"the answer of {server.url} to the exchange of the API token cannot be read" in message
    assert "Error" not in message


@pytest.mark.parametrize("body", [*no_protocol(), PAGE])
@pytest.mark.parametrize("path", [SEARCH_PATH, VALUES_PATH, FLOATS_PATH, SERIES_PATH, SIGN_PATH])
def test_a_body_that_is_not_the_protocols_is_an_error_that_ends_with_it(
    exporting: Exports, path: str, body: bytes
) -> None:
    export = exporting(a_project())
    export.server.fail(Fault(f"^{path}$", status=200, body=body, times=10**6))
    if (path, body) == (SEARCH_PATH, PAGE):  # nothing else was ever answered: that ends the export
        with pytest.raises(NeptuneExporterError, match="answered with a web page") as caught:
            export(settings={"retry_seconds": 1})
        messages = [str(caught.value)]
    else:
        result = export(settings={"retry_seconds": 1})
        messages = [f.message for f in result.failures] + [p.error for p in result.projects if p.error]
    assert messages
    for message in messages:
        assert export.server.url in message and "Error" not in message
    export.server.faults.clear()
    assert export().complete
    assert {row["attribute_path"] for row in export.rows("r")} >= {"lr", "m", "s", "f"}


def test_a_truncated_message_is_an_error(exporting: Exports) -> None:
    export = exporting(a_project())
    export.server.fail(Fault(f"^{FLOATS_PATH}$", only=20, times=10**6))
    (failure,) = export(settings={"retry_seconds": 1}).failures
    assert failure.message.startswith(f"the answer of {export.server.url} to floats cannot be read (20 bytes")
    export.server.faults.clear()
    assert export().complete
    assert export.values("r", "m", "float_value") == [1.0, 2.0]


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://127.0.0.1:1", "the server 127.0.0.1:1 cannot be reached: the connection was refused"),
        (
            "http://nowhere.invalid",
            "the server nowhere.invalid cannot be reached: its name is not known here",
        ),
    ],
)
def test_an_address_that_leads_nowhere_is_named_with_its_option(address: str, message: str) -> None:
    content = {"api_address": address, "api_url": address, "api_key": "of nobody"}
    token = base64.b64encode(json.dumps(content).encode()).decode()
    error = error_of(Neptune3Settings(api_token=Secret(token), retry_seconds=0))
    assert f"{message} (its address is from --api-token or NEPTUNE_API_TOKEN)" in str(error)


def test_a_proxy_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://me:secret@127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    content = {"api_address": "http://neptune.invalid", "api_url": "http://neptune.invalid", "api_key": "k"}
    token = base64.b64encode(json.dumps(content).encode()).decode()
    message = str(error_of(Neptune3Settings(api_token=Secret(token), retry_seconds=0)))
    assert "through the proxy 127.0.0.1:1 (HTTP_PROXY): the connection was refused" in message
    assert "secret" not in message


@pytest.mark.parametrize(
    "wire_type",
    [
        *("float", "int", "string", "bool", "datetime", "stringSet", "fileRef", "experimentState"),
        *("floatSeries", "stringSeries", "histogramSeries", "fileRefSeries"),
    ],
)
def test_an_attribute_without_a_value_makes_no_row_and_is_no_failure(
    exporting: Exports, wire_type: str
) -> None:
    export = exporting(FakeProject(PROJECT, [FakeRun("r", {"lr": 0.5, "nothing": OtherValue(wire_type)})]))
    result = export()
    assert result.complete, result.failures
    assert {row["attribute_path"] for row in export.rows("r")} >= {"lr"}
    assert "nothing" not in {row["attribute_path"] for row in export.rows("r")}


@pytest.mark.parametrize("at", [" ", "\n", "\x07", "é"])
def test_a_token_with_a_character_that_none_has_is_not_sent(
    serve: Callable[..., Neptune3Server], at: str
) -> None:
    """The client itself strips a token, and decodes one with a space inside (neptune_api.credentials)."""
    server = serve(a_project())
    token = server.api_token
    error = error_of(settings_for(server, api_token=Secret(token[:9] + at + token[9:])))
    assert isinstance(error, AuthenticationError)
    assert "holds a space, a line end or another character" in str(error) and token[:9] not in str(error)
    assert server.requests == []
    source = make_source(settings_for(server, api_token=Secret(f" {token}\n")))
    assert source.projects() == [PROJECT]
    source.close()


def test_a_login_page_is_one_line_of_a_command(serve: Callable[..., Neptune3Server], tmp_path: Path) -> None:
    server = serve(a_project())
    server.fail(Fault(".*", status=200, body=PAGE, content_type="text/html", times=10**6))
    command_line = CommandLine(tmp_path, {"NEPTUNE_API_TOKEN": server.api_token})
    done = command_line.run("export", "--exporter", "neptune3", "-p", PROJECT, expect=1)
    (line,) = done.output.splitlines()
    assert line.startswith(f'error: {server.url} answered with a web page ("Company network")')
    assert not (tmp_path / "exports").exists()
    server.faults.clear()
    server.fail(Fault("leaderboard", status=500, times=10**6))
    done = command_line.run(
        "export", "--exporter", "neptune3", "-p", PROJECT, "--neptune3-retry-seconds=0", expect=1
    )
    assert done.output.count("cannot be listed") == 1
