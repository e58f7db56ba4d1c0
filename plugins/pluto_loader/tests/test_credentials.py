"""Where the key and the addresses come from, and that the key goes nowhere else."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from neptune_exporter.contract import AuthenticationError, LoadOptions, Secret, UsageError
from neptune_exporter.testing import old_layout
from neptune_exporter.testing.commands import CommandLine
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.loopback import Fault
from neptune_exporter_pluto.service.credentials import Endpoints, find_api_key, find_endpoints
from neptune_exporter_pluto.service.transport import Transport
from neptune_exporter_pluto.settings import PlutoSettings
from neptune_exporter_pluto.sink import PlutoSink
from neptune_exporter_pluto_server import RehearsalServer, faults

from .conftest import MakeSink
from .killed_load import everything

CANARY = "mlps_canary-8d1f0c"
SMALL = old_layout.Shape(metrics=1, steps=10, parameters=6, lines=1, histograms=1, files=1)


def test_pluto_login_is_named_only_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neptune_exporter_pluto.service.credentials._stored_key", lambda: None)
    for installed in (True, False):
        monkeypatch.setattr("neptune_exporter_pluto.service.credentials._has_login", lambda i=installed: i)
        with pytest.raises(UsageError, match="PLUTO_API_KEY") as caught:
            find_api_key(PlutoSettings())
        assert ("pluto login" in str(caught.value)) is installed


@pytest.mark.skipif(sys.platform == "darwin", reason="there the key is in the keychain of the person")
def test_the_key_of_pluto_login_is_found(
    server: RehearsalServer, command_line: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stored by the real command, found without it, enough for a load."""
    home = {
        "HOME": str(tmp_path),
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }
    for name, value in home.items():
        monkeypatch.setenv(name, value)
    for name in ("PLUTO_API_KEY", "MLOP_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match="pluto login"):
        find_api_key(PlutoSettings())
    environment = {**os.environ, **home, **server.environment()}
    del environment["PLUTO_API_KEY"]
    command = [sys.executable, "-m", "pluto", "login", server.api_key or ""]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert find_api_key(PlutoSettings()).reveal() == server.api_key
    old_layout.standard(tmp_path / "exports/data", tmp_path / "exports/files", runs=1, shape=SMALL)
    without_key = {k: v for k, v in command_line.environment.items() if k != "PLUTO_API_KEY"}
    replace(command_line, environment=without_key).run("load", "--loader", "pluto", **home)
    assert [run.status for run in server.runs.by_id.values()] == ["COMPLETED"]
    assert find_api_key(PlutoSettings(api_key=Secret("mlps_given"))).reveal() == "mlps_given"


@pytest.mark.parametrize(
    ("settings", "endpoints"),
    [
        (
            PlutoSettings(),
            Endpoints("https://pluto-api.trainy.ai", "https://pluto-ingest.trainy.ai"),
        ),
        (
            PlutoSettings(host="10.0.0.1"),
            Endpoints("http://10.0.0.1:3001", "http://10.0.0.1:3003"),
        ),
        (
            PlutoSettings(host="https://pluto.example.org/"),
            Endpoints(*["https://pluto.example.org"] * 2),
        ),
        (
            PlutoSettings(host="https://pluto.trainy.ai"),
            Endpoints("https://pluto-api.trainy.ai", "https://pluto-ingest.trainy.ai"),
        ),
        (
            PlutoSettings(host="h", url_api="https://api.x", url_ingest="https://in.x/"),
            Endpoints("https://api.x", "https://in.x"),
        ),
    ],
)
def test_addresses(settings: PlutoSettings, endpoints: Endpoints) -> None:
    assert find_endpoints(settings) == endpoints
    given = "PLUTO_URL_API" if settings.url_api else "--pluto-host"
    assert given in find_endpoints(settings).option  # of the default address too: what names another


def test_half_of_the_addresses_is_no_way_to_the_hosted_service() -> None:
    """The SDK would fill in the hosted addresses, and send the key of a server of one's own there."""
    with pytest.raises(UsageError, match="PLUTO_URL_INGEST is missing"):
        PlutoSettings(url_api="http://own:3001")


@pytest.mark.parametrize("host", ["", "a/b", "user@host", "ftp://x", "\udcff", "http://a..\udcff"])
def test_hosts_that_are_none(host: str) -> None:
    with pytest.raises(UsageError):
        find_endpoints(PlutoSettings(host=host))


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(UsageError, match=r"pluto\.example\.org holds a user name or password") as refused:
        find_endpoints(PlutoSettings(host="https://me:canary@pluto.example.org"))
    assert "canary" not in str(refused.value)


def test_certificates_that_are_not_there_are_told_by_the_variable_that_names_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def connect(*, local: bool) -> None:
        key = Secret("mlps_given")
        Transport(key, connections=1, timeout=1, retry_for=0, pool=1, local=local).close()

    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    connect(local=True)
    with pytest.raises(UsageError, match=r"^the variable SSL_CERT_FILE: there is no file /nowhere/ca\.pem"):
        connect(local=False)


def test_a_wrong_key_is_told_at_once(server: RehearsalServer, make_sink: MakeSink) -> None:
    with pytest.raises(AuthenticationError, match="API key") as refused:
        make_sink(api_key=Secret("mlps_wrong"))
    assert "mlps_wrong" not in str(refused.value)


def test_the_key_is_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not in the state, the list, the logs or the errors; whatever the server answers."""
    caplog.set_level(logging.DEBUG)
    with RehearsalServer(api_key=CANARY, reaper_interval=None) as server:
        settings = PlutoSettings(
            api_key=Secret(CANARY),
            url_api=server.url,
            url_ingest=server.url,
            base_dir=tmp_path,
            retry_for=2.0,
            visible_within=0.5,
        )
        server.fail(faults.commit_then_drop("/ingest/data"))
        server.fail(faults.unavailable(503, times=2))
        sink = PlutoSink.connected(settings, LoadOptions(), local=True)
        sink.load(MemoryRun(everything()), None)
        list(sink.verify(MemoryRun(everything()), full=True))
        server.fail(
            Fault("/api/", status=401, body=b'{"error":"Unauthorized","message":"API key has expired"}')
        )
        with pytest.raises(AuthenticationError) as refused:
            list(sink.verify(MemoryRun(everything())))
        sink.close()
    held = [path.read_bytes().decode("utf-8", "replace") for path in tmp_path.rglob("*") if path.is_file()]
    told = [str(refused.value), repr(settings), caplog.text, *capfd.readouterr()]
    assert held and not any(CANARY in text for text in [*held, *told])


def test_the_state_is_for_the_person_only(make_sink: MakeSink, tmp_path: Path) -> None:
    """It says what was loaded from where; of upload addresses see the tests of files."""
    make_sink().load(MemoryRun(everything()), None)
    journals = list(tmp_path.rglob("*.jsonl"))
    private = [path for path in journals if path.name != "cache-lines.jsonl"]
    assert private and all(path.stat().st_mode & 0o077 == 0 for path in private)


@pytest.mark.parametrize("at", [" ", "\n", "\x07", "é"])
def test_a_key_with_a_character_that_none_has_is_not_sent(at: str) -> None:
    """pluto-ml 0.0.29 sends what it is given; white space around a key can only be an accident."""
    with pytest.raises(UsageError, match="holds a space, a line end or another character") as caught:
        find_api_key(PlutoSettings(api_key=Secret(f"mlps_ca{at}nary")))
    assert "mlps_ca" not in str(caught.value)
    assert find_api_key(PlutoSettings(api_key=Secret(" mlps_given\n"))).reveal() == "mlps_given"
