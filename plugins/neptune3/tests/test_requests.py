"""What may pass is tried again for a bounded time; what cannot is reported at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from neptune_exporter.contract import (
    AttributeFailure,
    AttributeRequest,
    AuthenticationError,
    ReadEvent,
    RunRequest,
    RunRows,
    RunSelection,
    Source,
    SourceError,
)
from neptune_exporter.testing import MemoryFiles
from neptune_exporter.testing.loopback import Fault
from neptune_exporter_neptune3_server import (
    EXCHANGE_PATH,
    FLOATS_PATH,
    SEARCH_PATH,
    SERIES_PATH,
    SIGN_PATH,
    STORAGE_PATH,
    VALUES_PATH,
    FakeFile,
    FakeProject,
    FakeRun,
    FloatSeries,
    Neptune3Server,
    StringSeries,
    Value,
)

Serve = Callable[..., Neptune3Server]
Connect = Callable[..., Source]
PROJECT = "acme/vision"
POINTS, ROWS = 100, 201
PATHS = [SEARCH_PATH, VALUES_PATH, FLOATS_PATH, SERIES_PATH, SIGN_PATH, f"{STORAGE_PATH}.+"]


@pytest.fixture
def server(serve: Serve) -> Neptune3Server:
    attributes: dict[str, Value | None] = {
        "m": FloatSeries(range(100), range(100)),
        "s": StringSeries(range(100), ["x"] * 100),
        "f": FakeFile(b"file" * 100),
    }
    return serve(FakeProject(PROJECT, [FakeRun("a", dict(attributes))]))


def read_all(source: Source) -> list[ReadEvent]:
    runs = source.runs(PROJECT, RunSelection())
    groups = source.groups(RunRequest(run, AttributeRequest()) for run in runs)
    return [event for group in groups for event in source.read(group, MemoryFiles())]


def series_rows(events: list[ReadEvent]) -> int:
    batches = [event.batch for event in events if isinstance(event, RunRows)]
    return sum(batch.num_rows for batch in batches if "timestamp" in batch.schema.names)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "fault",
    [
        *({"status": status} for status in (401, 408, 429, 500, 502, 503, 504, 520)),
        {"status": 429, "headers": {"Retry-After": "0.1"}},
        {
            "status": 503,
            "headers": {"Retry-After": format_datetime(datetime(2020, 1, 1, tzinfo=timezone.utc))},
        },
        {"drop": True},
        {"cut_after": 20},
        {"status": 200, "body": b"<html>sign in</html>"},
        {"delay": 30},
    ],
    ids=str,
)
def test_what_passes_costs_nothing(
    server: Neptune3Server, connect: Connect, path: str, fault: dict[str, object]
) -> None:
    server.fail(Fault(path=f"^{path}$", **fault))  # type: ignore[arg-type]
    events = read_all(connect(server, retry_seconds=20, timeout=1.0))
    assert series_rows(events) == ROWS
    assert not any(isinstance(event, AttributeFailure) for event in events)
    assert not server.faults


def test_keeps_to_retry_after(server: Neptune3Server, connect: Connect) -> None:
    at = datetime.now(timezone.utc) + timedelta(seconds=3)
    server.fail(
        Fault(path=SEARCH_PATH, status=429, headers={"Retry-After": format_datetime(at, usegmt=True)})
    )
    server.fail(Fault(path=FLOATS_PATH, status=429, headers={"Retry-After": "1"}))
    assert series_rows(read_all(connect(server, retry_seconds=20))) == ROWS
    asked = {path: [r.at for r in server.requests if r.path == path] for path in (SEARCH_PATH, FLOATS_PATH)}
    _, second = asked[SEARCH_PATH]
    assert second >= int(at.timestamp())  # the header has whole seconds
    first, second = asked[FLOATS_PATH]
    assert second - first >= 1.0


def test_gives_up_after_its_time(server: Neptune3Server, connect: Connect) -> None:
    server.fail(Fault(path=SEARCH_PATH, status=503, times=10_000))
    started = time.monotonic()
    with pytest.raises(SourceError, match=f"{PROJECT}.*503"):
        read_all(connect(server, retry_seconds=1))
    assert time.monotonic() - started < 15


def test_asks_no_more_often_than_it_may(server: Neptune3Server, connect: Connect) -> None:
    """An hour is more patience than there is."""
    server.fail(Fault(path=SEARCH_PATH, status=429, headers={"Retry-After": "3600"}, times=100))
    with pytest.raises(SourceError, match="429"):
        read_all(connect(server, retry_seconds=2))
    assert sum(each.path == SEARCH_PATH for each in server.requests) == 1


def test_a_server_that_is_not_there(server: Neptune3Server, connect: Connect) -> None:
    source = connect(server, retry_seconds=1)
    server.stop()
    with pytest.raises(SourceError, match=r"the server 127\.0\.0\.1:\d+ cannot be reached"):
        read_all(source)


def test_a_refused_attribute_costs_itself_only(server: Neptune3Server, connect: Connect) -> None:
    server.fail(Fault(path=f"^{FLOATS_PATH}$", status=500, times=10_000))
    events = read_all(connect(server, retry_seconds=1))
    (failure,) = [event for event in events if isinstance(event, AttributeFailure)]
    assert (failure.attribute_path, failure.message) == ("m", "HTTP 500")
    assert failure.attempts > 1
    assert series_rows(events) == ROWS - POINTS


def test_a_wrong_token_is_reported_at_once(server: Neptune3Server, connect: Connect) -> None:
    server.tokens.revoke_api_token()
    with pytest.raises(AuthenticationError, match="API token was refused"):
        read_all(connect(server, retry_seconds=60))
    assert {each.path for each in server.requests} == {EXCHANGE_PATH}


@pytest.mark.parametrize("after", range(5))
def test_an_access_token_may_expire_at_any_request(
    server: Neptune3Server, connect: Connect, after: int
) -> None:
    source = connect(server)
    server.tokens.expire(after_requests=after)
    assert series_rows(read_all(source)) == ROWS
    server.tokens.expire()
    assert series_rows(read_all(source)) == ROWS


def test_an_api_token_that_is_revoked_in_the_middle(server: Neptune3Server, connect: Connect) -> None:
    source = connect(server, retry_seconds=60)
    (run,) = source.runs(PROJECT, RunSelection())
    server.tokens.revoke_api_token()
    with pytest.raises(AuthenticationError, match="refused"):
        list(source.read([RunRequest(run, AttributeRequest())], MemoryFiles()))


def test_tokens_that_live_shortly(serve: Serve, connect: Connect) -> None:
    project = FakeProject(PROJECT, [FakeRun("a", {"m": FloatSeries(range(100), range(100))})])
    server = serve(project, token_lifetime=10)  # the client renews thirty seconds before the end: each time
    assert series_rows(read_all(connect(server))) == 100


def test_a_token_without_the_right(server: Neptune3Server, connect: Connect) -> None:
    server.fail(Fault(path=EXCHANGE_PATH, status=403, body=b'{"code": 403, "message": "no"}', times=4))
    with pytest.raises(AuthenticationError, match="403"):
        read_all(connect(server, retry_seconds=60))


def test_an_exchange_that_fails_for_a_while(server: Neptune3Server, connect: Connect) -> None:
    server.fail(Fault(path=EXCHANGE_PATH, status=503, times=2))
    assert series_rows(read_all(connect(server, retry_seconds=20))) == ROWS
