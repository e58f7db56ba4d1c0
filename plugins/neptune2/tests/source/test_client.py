"""What the plugin uses of the inside of the client is there, and does what is said of it."""

from __future__ import annotations

import base64
import gc
import json
import logging
import os
import subprocess
import sys
import time
import weakref
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import requests
from neptune.internal.backends.hosted_neptune_backend import HostedNeptuneBackend
from neptune.internal.credentials import Credentials

from neptune_exporter.contract import MissingDependencyError, Secret, SourceError, UsageError
from neptune_exporter.toolkit import AwayError, Patience, TransientError
from neptune_exporter_neptune2.adapter import _Content
from neptune_exporter_neptune2.api import Api
from neptune_exporter_neptune2.client import Connection
from neptune_exporter_neptune2_server import FakeProject, Fault, Neptune2Server

from .conftest import Serve

PROJECTS = "/api/backend/v1/projects"


@pytest.fixture
def server(serve: Serve) -> Neptune2Server:
    return serve(FakeProject("team", "cats"))


def connection_to(server: Neptune2Server, timeout: float = 5) -> Connection:
    return Connection(Secret(server.tokens.api_token), 4, timeout)


def sent(server: Neptune2Server, header: str) -> list[str | None]:
    """That header of every request from now on."""
    seen: list[str | None] = []
    server.fail(Fault(skip=10**9, where=lambda r: bool(seen.append(r.headers.get(header))) or True))  # type: ignore[func-returns-value]
    return seen


def test_the_parts_of_the_client(server: Neptune2Server) -> None:
    backend: Any = HostedNeptuneBackend(Credentials.from_token(server.tokens.api_token))
    http = backend._http_client
    assert isinstance(http.session, requests.Session)
    assert http.ssl_verify in (True, False)
    assert http.ssl_cert is None
    assert backend._client_config.api_url == server.url
    request = http.authenticator.apply(requests.Request("GET", server.url))
    prepared = http.session.prepare_request(request)
    token = http.authenticator.auth.session.token["access_token"]
    assert prepared.headers["Authorization"] == f"Bearer {token}"
    auth = http.authenticator.auth
    assert time.time() + 60 < auth.token_expires_at < time.time() + 7 * 86_400
    assert request.auth is auth  # which is all that applying did, the token being fresh


def test_a_renewed_token_is_another_one(server: Neptune2Server) -> None:
    connection = connection_to(server)
    connection.send("GET", PROJECTS)
    server.tokens.expire()
    refused = connection.send("GET", PROJECTS)
    assert refused.status_code == 401
    issued = server.tokens.issued
    connection.renew_token(refused)
    assert connection.send("GET", PROJECTS).status_code == 200
    connection.renew_token(refused)  # late: somebody else was faster
    assert connection.send("GET", PROJECTS).status_code == 200
    assert server.tokens.issued == issued + 1


def test_requests_are_made_once_whatever_the_answer(server: Neptune2Server) -> None:
    connection = connection_to(server)
    server.requests.clear()
    for status in (400, 408, 429, 500, 503):
        server.fail(Fault(PROJECTS, status=status, headers={"Retry-After": "7"}))
        answer = connection.send("GET", PROJECTS)
        assert (answer.status_code, answer.headers["retry-after"]) == (status, "7")
    assert sum(r.path == PROJECTS for r in server.requests) == 5


def test_a_hang_ends_with_the_timeout(server: Neptune2Server) -> None:
    connection = connection_to(server, timeout=1)
    server.fail(Fault(PROJECTS, delay=3600))
    with pytest.raises(requests.exceptions.ReadTimeout):
        connection.send("GET", PROJECTS)


@pytest.mark.parametrize(
    "fault",
    [
        {"cut_after": 3, "after_handling": True},
        {"cut_after": 3, "after_handling": True, "chunked": True},
        {"drop": True},
    ],
    ids=str,
)
def test_a_broken_answer_is_of_one_request_and_the_next_has_a_new_connection(
    server: Neptune2Server, fault: dict[str, Any]
) -> None:
    connection = connection_to(server)
    api = Api(connection, Patience(0))
    assert api.get(PROJECTS, {}, dict)["entries"]
    assert isinstance(connection.send("GET", PROJECTS).raw, _Content)  # the short way
    server.fail(Fault(PROJECTS, **fault))
    with pytest.raises(TransientError) as failure:
        api.get(PROJECTS, {}, dict)
    assert isinstance(failure.value, AwayError) == ("drop" in fault)
    assert "drop" in fault or "broke in the middle of the answer" in str(failure.value)
    assert api.get(PROJECTS, {}, dict)["entries"]


def test_an_answer_of_megabytes(server: Neptune2Server) -> None:
    connection = connection_to(server)
    api = Api(connection, Patience(0))
    assert api.get(PROJECTS, {}, dict)["entries"]
    content = json.dumps({"entries": ["long text"] * 100_000}).encode()
    server.fail(Fault(PROJECTS, status=200, body=content))
    assert len(api.get(PROJECTS, {}, dict)["entries"]) == 100_000
    server.fail(Fault(PROJECTS, status=200, body=content, cut_after=1_200_000))
    with pytest.raises(TransientError, match="broke in the middle of the answer"):
        api.get(PROJECTS, {}, dict)


def test_a_proxy_is_asked_for_every_request(server: Neptune2Server, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = connection_to(server)
    connection._environment.cache_clear()
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("http_proxy", server.url)
    server.requests.clear()
    for _ in range(2):
        answer = connection.send("GET", PROJECTS)
        assert not isinstance(answer.raw, _Content)
        assert answer.json()
    assert connection._adapter._last[1].proxy.port == int(server.url.rpartition(":")[2])
    assert len(server.requests) == 2


def test_the_token_is_for_the_server_of_the_api_only(server: Neptune2Server, serve: Serve) -> None:
    other = serve()  # of another port
    connection = connection_to(server)
    here, there = (sent(each, "authorization") for each in (server, other))
    connection.send("GET", PROJECTS)
    connection.send("GET", other.url + "/signed?x=1")
    assert str(here[-1]).startswith("Bearer ")
    assert there == [None]


def test_proxies_and_certificates_of_the_environment_count(
    server: Neptune2Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connection_to(server)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/some/ca.pem")
    settings = connection._environment("https://neptune.example/")
    assert settings["proxies"]["https"] == "http://127.0.0.1:9"
    assert settings["verify"] == "/some/ca.pem"
    monkeypatch.delenv("https_proxy")
    assert connection._environment("https://neptune.example/") is settings


@pytest.mark.parametrize("version", ["1.13.0", "2.0.0", "0.9"])
def test_refuses_versions_that_it_does_not_know(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setattr(import_module("neptune.version"), "version", version)
    with pytest.raises(MissingDependencyError, match=f"neptune-client {version} .* install neptune-client"):
        Connection(Secret("x"), 1, 1)


def test_a_missing_client_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "neptune.version", None)
    with pytest.raises(MissingDependencyError, match=r"install neptune-client>=1\.14,<2"):
        Connection(Secret("x"), 1, 1)


def test_the_client_does_not_write_to_standard_output(
    server: Neptune2Server, capfd: pytest.CaptureFixture[str]
) -> None:
    connection_to(server)
    for name in ("neptune", "neptune_no_prefix"):
        logging.getLogger(name).error("something")
    assert capfd.readouterr().out == ""


def test_both_names_of_the_client_installed_is_one_line(tmp_path: Path) -> None:
    """The client itself raises then, when it is imported."""
    for name in ("neptune", "neptune-client"):
        folder = tmp_path / f"{name.replace('-', '_')}-1.14.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.14.0\n")
    code = (
        "from neptune_exporter.contract import MissingDependencyError, Secret\n"
        "from neptune_exporter_neptune2.client import Connection\n"
        "try: Connection(Secret('x'), 1, 1)\n"
        "except MissingDependencyError as error: print(error)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert "both installed" in done.stdout, done.stderr
    assert len(done.stdout.splitlines()) == 1


def test_the_clients_advice_to_rename_it_is_not_shown(server: Neptune2Server) -> None:
    code = (
        "import sys\nfrom neptune_exporter.contract import Secret\n"
        "from neptune_exporter_neptune2.client import Connection\n"
        f"Connection(Secret({server.tokens.api_token!r}), 1, 5).close()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_redirections_are_followed_and_cookies_kept(server: Neptune2Server) -> None:
    connection = connection_to(server)
    cookies = sent(server, "cookie")
    elsewhere = {"Location": server.url + PROJECTS, "Set-Cookie": "node=7; Path=/"}
    server.fail(Fault("/elsewhere", status=307, headers=elsewhere, times=9))
    answer = connection.send("GET", "/elsewhere")
    assert answer.status_code == 200
    assert "entries" in answer.json()
    server.fail(Fault(PROJECTS, status=200, body=b"{}", headers={"Set-Cookie": "place=3; Path=/"}))
    for _ in range(2):
        connection.send("GET", PROJECTS)
    assert cookies[0] is None
    assert cookies[-2:] == ["node=7", "node=7; place=3"]


def test_a_server_of_another_kind_is_one_line(serve: Serve) -> None:
    server = serve()
    server.fail(Fault("swagger.json", status=404, times=9))
    with pytest.raises(SourceError, match=r"HTTP 404; is this a server of Neptune 2\.x\?$"):
        connection_to(server)


def test_a_server_that_is_not_there_is_one_line(
    server: Neptune2Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neptune.common.backends.utils.retries_timeout", 0)
    server.stop()
    with pytest.raises(SourceError) as caught:
        connection_to(server)
    assert "\n" not in str(caught.value)
    assert server.tokens.api_token not in str(caught.value)


def test_certificates_that_are_not_there_are_reported_by_the_variable_that_names_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    address = "https://localhost:1"
    content = {"api_address": address, "api_url": address, "api_key": "of nobody"}
    token = base64.b64encode(json.dumps(content).encode()).decode()
    with pytest.raises(UsageError, match=r"^the variable REQUESTS_CA_BUNDLE: there is no file /nowhere/ca\."):
        Connection(Secret(token), 1, 1)


def test_the_pool_of_a_server_is_kept_until_the_end(server: Neptune2Server, serve: Serve) -> None:
    connection = connection_to(server)
    adapter = connection._adapter

    def pool_after(url: str) -> Any:
        connection.send("GET", url).close()
        return adapter._last[1]

    kept = pool_after(PROJECTS)
    assert pool_after(PROJECTS) is kept
    other = serve()
    assert pool_after(other.url + "/signed?x=1").port != kept.port
    assert pool_after(PROJECTS).port == kept.port
    closed = weakref.ref(kept)
    connection.close()
    del kept
    gc.collect()
    assert closed() is None
    assert pool_after(PROJECTS).port  # another backend of the token may still use the session
