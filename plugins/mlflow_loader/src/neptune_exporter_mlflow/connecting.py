"""Opens MLflow once: what cannot be reached or used is reported in one line, without minutes of retries."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from neptune_exporter.contract import AuthenticationError, NeptuneExporterError, Secret, SinkError, UsageError
from neptune_exporter.toolkit import check_certificates, check_proxies, first_line
from neptune_exporter.toolkit.connections import paced_pools
from neptune_exporter.toolkit.http_errors import connection_error
from neptune_exporter_mlflow.settings import MlflowSettings

for _name, _value in {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # sent unless this is set before the first import
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "5",  # it would try 7 times, and wait minutes for the last
}.items():
    os.environ.setdefault(_name, _value)
logging.getLogger("databricks.sdk").setLevel(logging.ERROR)  # it warns of what it does without

import requests  # noqa: E402
import urllib3.poolmanager  # noqa: E402
from mlflow import MlflowClient  # noqa: E402
from mlflow.environment_variables import MLFLOW_ENABLE_DB_SDK  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.tracking.registry import UnsupportedModelRegistryStoreURIException  # noqa: E402
from sqlalchemy import create_engine, make_url  # noqa: E402
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError  # noqa: E402

DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_PROBE_SECONDS = "10"
_LONGEST_SPAN = 60.0
"""Seconds over which the rate of an answer is taken."""
_POOLS = dict(urllib3.poolmanager.pool_classes_by_scheme)
_OBJECTS_BETWEEN_COLLECTIONS = 50_000
_URI_OPTION = "--mlflow-tracking-uri or MLFLOW_TRACKING_URI"
_TRUST = "set MLFLOW_TRACKING_SERVER_CERT_PATH to a file with the certificate of its authority"
_UNREACHABLE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": _PROBE_SECONDS}


def connected(settings: MlflowSettings) -> MlflowClient:
    """A client whose server or database has answered once.

    Raises:
        UsageError: there is no tracking URI, or one that cannot be used.
        AuthenticationError: MLflow refused the credentials.
        SinkError: there is no answer within some 20 seconds.
    """
    uri = tracking_uri(settings)
    option = _URI_OPTION if settings.tracking_uri else "--mlflow-direct-database"
    if not is_database(uri):
        check_certificates("MLFLOW_TRACKING_SERVER_CERT_PATH", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
        check_proxies("socks")
    _demand_least_rate(_LONGEST_SPAN)
    with _environment(_UNREACHABLE), translated(f"MLflow at {shown(uri)} (from {option})"):
        if is_database(uri):
            ask_database(uri)
        elif uri.startswith("databricks"):
            _ask_databricks(urlsplit(uri).netloc.partition(":")[0])
        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)
    # The modules that MLflow imports stay in memory, and collections that look through them take a fifth of a
    # load's time. A batch makes some 100,000 objects and frees them without a collection.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, *gc.get_threshold()[1:])
    return client


def _ask_databricks(profile: str) -> None:
    """Connect once: MLflow's clients wait five minutes each for an unreachable host (databricks-sdk 0.162).

    It sends no credentials: MLflow says so itself if there are none. MLflow 3.17 heeds `DATABRICKS_INSECURE`
    and `insecure` of a profile only without databricks-sdk: then it judges certificates itself.
    """
    from databricks.sdk.config import Config  # a dependency of mlflow-skinny, and slow to import
    from databricks.sdk.credentials_provider import credentials_strategy

    seconds = int(_PROBE_SECONDS)
    nothing = credentials_strategy("none", [])(lambda _: dict)
    try:
        host = Config(
            profile=profile or None,
            credentials_strategy=nothing,
            http_timeout_seconds=seconds,
            retry_timeout_seconds=1,
        ).host
    except ValueError:
        return
    try:
        if host:
            requests.head(host, timeout=seconds)
    except requests.exceptions.SSLError:
        if MLFLOW_ENABLE_DB_SDK.get():
            raise


def _demand_least_rate(seconds: float) -> None:
    """Have answers that drip time out. MLflow makes its sessions itself, and its uploads others: so for every
    connection of urllib3 in this process that is made from now on."""
    late = paced_pools(_POOLS, seconds, lambda error: TimeoutError(str(error)))
    urllib3.poolmanager.pool_classes_by_scheme.update(late)


def tracking_uri(settings: MlflowSettings) -> str:
    """The tracking URI, else that of the direct database. Raises UsageError if there is none, or it names
    MLflow's file store."""
    direct = settings.direct_database.reveal() if settings.direct_database else None
    uri = settings.tracking_uri or direct
    if not uri:
        raise UsageError(
            f"where is MLflow? Give {_URI_OPTION}: the address of a tracking "
            "server, databricks, or a database such as sqlite:///mlflow.db"
        )
    if uri.startswith("file:") or (":" not in uri and not uri.startswith("databricks")):
        raise UsageError(
            f"{uri!r} is a file store, which MLflow does not keep up any more and where one odd step makes "
            "a run unreadable: use sqlite:///mlflow.db, or the address of a tracking server"
        )
    parts = urlsplit(uri)
    if parts.password:
        Secret(parts.password)  # from here on no message shows it
    if parts.scheme in ("http", "https") and not parts.hostname:
        raise UsageError(f"{uri!r} names no server: give an address such as https://mlflow.example.com")
    return uri


def shown(uri: str) -> str:
    """A URI without its user and password."""
    parts = urlsplit(uri)
    return uri if "@" not in parts.netloc else parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def is_database(uri: str) -> bool:
    return uri.split(":")[0].split("+")[0] in DATABASES


def ask_database(uri: str) -> None:
    """Connect once; MLflow itself would try ten times, each with a longer wait before it."""
    try:
        url = make_url(uri)
        knows_timeout = url.get_backend_name() in ("postgresql", "mysql")
        waits = {"connect_timeout": int(_PROBE_SECONDS)} if knows_timeout else {}
        engine = create_engine(url, connect_args=waits)
        with engine.connect():
            engine.dispose()
    except (ArgumentError, NoSuchModuleError) as error:
        raise UsageError(f"{shown(uri)}: {error}") from error
    except ModuleNotFoundError as error:
        raise UsageError(f"{shown(uri)} needs a driver: pip install {error.name} ({error})") from error


def answered_id(client: MlflowClient, value: object) -> str:
    """An id that MLflow gave. Raises SinkError if there is none in the answer: another server's `{}` is an
    object with empty fields to MLflow's client (3.17)."""
    if not value:
        raise SinkError(
            f"{shown(client.tracking_uri)} does not answer as MLflow does: it gives no id; is it MLflow's "
            "address, and is there no other server in front of it?"
        )
    return str(value)


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Errors of MLflow, of its connections and of its database as one line that names `what`."""
    try:
        yield
    except NeptuneExporterError:
        raise
    except UnsupportedModelRegistryStoreURIException as error:
        known = ", ".join(sorted(filter(None, error.supported_uri_schemes)))
        raise UsageError(f"{what}: this MLflow knows no such address, only {known}") from error
    except MlflowException as error:
        if isinstance(error.__context__, requests.RequestException):
            raise _unreachable(what, error.__context__) from error
        message = first_line(error)
        if error.get_http_status_code() in (401, 403):
            raise AuthenticationError(
                f"{what} refuses the credentials (MLFLOW_TRACKING_USERNAME and _PASSWORD, "
                f"MLFLOW_TRACKING_TOKEN, or a profile of Databricks): {message}"
            ) from error
        raise SinkError(f"{what}: {message}") from error
    except requests.RequestException as error:
        raise _unreachable(what, error) from error
    except (SQLAlchemyError, OSError) as error:
        raise SinkError(f"{what}: {first_line(error)}") from error


def _unreachable(what: str, error: requests.RequestException) -> SinkError:
    """MLflow's own line has the address three times and names of classes."""
    url = str(error.request.url) if error.request is not None else ""
    return SinkError(f"{what}: {connection_error(error, url, _TRUST)}")


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    earlier = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in earlier.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
