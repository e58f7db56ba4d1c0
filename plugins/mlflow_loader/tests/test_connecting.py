"""What cannot be reached or used is one line, soon."""

from __future__ import annotations

import socket
from contextlib import nullcontext

import pytest
from mlflow.exceptions import MlflowException
from requests.exceptions import SSLError

from neptune_exporter.contract import AuthenticationError, Secret, SinkError, UsageError
from neptune_exporter.testing.loopback import Fault, LoopbackServer, Response
from neptune_exporter_mlflow import connecting
from neptune_exporter_mlflow.connecting import connected, shown, tracking_uri, translated
from neptune_exporter_mlflow.experiments import Experiments
from neptune_exporter_mlflow.settings import MlflowSettings

from .cluster import free_port

TIMEOUT = "MLFLOW_HTTP_REQUEST_TIMEOUT"


@pytest.mark.parametrize("uri", ["file:///tmp/mlruns", "mlruns", "./mlruns", "/somewhere/mlruns"])
def test_a_file_store_is_refused(uri: str) -> None:
    with pytest.raises(UsageError, match=r"is a file store, .*: use sqlite:///mlflow\.db"):
        connected(MlflowSettings(uri))


def test_no_address_says_what_to_give() -> None:
    with pytest.raises(UsageError, match="MLFLOW_TRACKING_URI"):
        connected(MlflowSettings())


@pytest.mark.parametrize("scheme", ["http", "postgresql+psycopg"])
def test_what_does_not_answer_is_one_line(scheme: str) -> None:
    address = f"{scheme}://127.0.0.1:{free_port()}"
    with pytest.raises(SinkError) as raised:
        connected(MlflowSettings(address))
    assert str(raised.value).startswith(f"MLflow at {address} (from --mlflow-tracking-uri or ")
    assert "\n" not in str(raised.value)
    assert "HTTPConnection" not in str(raised.value)


def test_a_server_that_takes_the_connection_and_says_nothing_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connecting, "_UNREACHABLE", {**connecting._UNREACHABLE, TIMEOUT: "1"})
    refused = pytest.raises(SinkError, match=r"the server 127\.0\.0\.1:\d+ cannot be reached: no")
    with socket.create_server(("127.0.0.1", 0)) as silent, refused:
        connected(MlflowSettings(f"http://127.0.0.1:{silent.getsockname()[1]}"))


@pytest.mark.parametrize(
    "credentials",
    [
        {"DATABRICKS_TOKEN": "a-secret-token"},
        {"DATABRICKS_CLIENT_ID": "me", "DATABRICKS_CLIENT_SECRET": "a-secret-token"},  # by OAuth
    ],
)
def test_databricks_that_cannot_be_reached_is_one_line(
    monkeypatch: pytest.MonkeyPatch, credentials: dict[str, str]
) -> None:
    """MLflow itself would try for minutes."""
    for name, value in {"DATABRICKS_HOST": f"http://127.0.0.1:{free_port()}", **credentials}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(connecting, "_PROBE_SECONDS", "1")
    with pytest.raises(SinkError, match=r"MLflow at databricks .* cannot be reached: .*refused") as raised:
        connected(MlflowSettings("databricks"))
    assert "a-secret-token" not in str(raised.value)


@pytest.mark.parametrize("with_sdk", [True, False])
def test_mlflow_judges_a_certificate_of_databricks_that_it_may_leave_unchecked(
    monkeypatch: pytest.MonkeyPatch, with_sdk: bool
) -> None:
    """`DATABRICKS_INSECURE` holds only without databricks-sdk, which tries for minutes (MLflow 3.17.2)."""
    monkeypatch.setenv("MLFLOW_ENABLE_DB_SDK", str(with_sdk))
    with LoopbackServer() as server:
        monkeypatch.setenv("DATABRICKS_HOST", server.url.replace("http:", "https:"))
        with pytest.raises(SSLError) if with_sdk else nullcontext():
            connecting._ask_databricks("")


@pytest.mark.parametrize("head", [True, False])
def test_a_server_that_drips_is_one_line(monkeypatch: pytest.MonkeyPatch, head: bool) -> None:
    monkeypatch.setattr(connecting, "_LONGEST_SPAN", 1.0)
    with LoopbackServer() as server:
        server.fail(Fault(status=200, body=b" " * 500, drip=0.05, drip_head=head, times=10**6))
        with pytest.raises(SinkError, match=f"MLflow at {server.url} .*: .*in time"):
            connected(MlflowSettings(server.url))


def test_a_server_that_is_not_mlflow_is_said_to_be_none() -> None:
    """MLflow's client reads an experiment out of `{}`: one without an id, and not active."""
    with LoopbackServer() as server:
        server.fail(Fault(status=200, body=b"{}", content_type="application/json", times=10**6))
        experiments = Experiments(connected(settings := MlflowSettings(server.url)), settings)
        with pytest.raises(SinkError, match=f"{server.url} does not answer as MLflow does: it gives no id"):
            experiments._found("acme/vision")


def test_an_answer_is_not_shown_whole() -> None:
    with LoopbackServer() as server:
        server.fail(Fault(status=200, body=b"[" * 100_000, content_type="application/json", times=10**6))
        with pytest.raises(SinkError, match="not in a valid JSON format") as raised:
            connected(MlflowSettings(server.url))
    assert len(str(raised.value)) < 1_200


@pytest.mark.parametrize(
    ("uri", "message"), [("foo://bar", "knows no such address"), ("http://", "names no server")]
)
def test_an_address_that_cannot_be_one_is_a_wrong_setting(uri: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        connected(MlflowSettings(uri))


def test_passwords_are_not_shown() -> None:
    uri = "postgresql://me:s3cret-pass@127.0.0.1:1/db"
    assert tracking_uri(MlflowSettings(direct_database=Secret(uri))) == uri
    assert shown(uri) == "postgresql://127.0.0.1:1/db"


def test_a_driver_that_is_missing_is_named() -> None:
    with pytest.raises(UsageError, match=r"needs a driver|Can't load plugin"):
        connected(MlflowSettings("mysql+nosuchdriver://127.0.0.1:1/db"))


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_name_the_variables(status: int) -> None:
    with LoopbackServer() as server:
        server.route("GET", ".*", lambda _: Response.of_text("no", status))
        server.route("POST", ".*", lambda _: Response.of_text("no", status))
        with pytest.raises(AuthenticationError, match="refuses the credentials"):
            connected(MlflowSettings(server.url))


@pytest.mark.parametrize("error", [ConnectionResetError(), MlflowException("")])
def test_an_error_without_a_text_is_named_by_its_kind(error: Exception) -> None:
    with pytest.raises(SinkError, match=f"^MLflow: {type(error).__name__}$"), translated("MLflow"):
        raise error
