"""What the client does when the server does not do what it should."""

from __future__ import annotations

import time

import neptune_query
import pytest
from neptune_query import runs
from neptune_query.exceptions import (
    NeptuneInvalidCredentialsError,
    NeptuneRetryError,
    NeptuneUnexpectedResponseError,
)
from neptune_query.internal.client import clear_cache

from neptune_exporter.testing.loopback import Fault
from neptune_exporter_neptune3_server import (
    EXCHANGE_PATH,
    FLOATS_PATH,
    SEARCH_PATH,
    TOKEN_PATH,
    FakeProject,
    Neptune3Server,
)

PROJECT = "acme/vision"
pytestmark = pytest.mark.filterwarnings("ignore:Neptune API")


def _list() -> list[str]:
    return list(runs.list_runs(project=PROJECT))


def _count(server: Neptune3Server, path: str) -> int:
    return sum(each.path == path for each in server.requests)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
@pytest.mark.parametrize("retry_after", [None, "0.05"])
def test_a_passing_failure_is_tried_again(
    server: Neptune3Server, status: int, retry_after: str | None
) -> None:
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    server.fail(Fault(path=SEARCH_PATH, status=status, headers=headers))
    assert len(_list()) == 4
    assert [each.status for each in server.requests if each.path == SEARCH_PATH] == [status, 200]


def test_retry_after_is_kept_to(server: Neptune3Server) -> None:
    server.fail(Fault(path=SEARCH_PATH, status=429, headers={"Retry-After": "0.7"}))
    _list()
    first, second = [each.at for each in server.requests if each.path == SEARCH_PATH]
    assert second - first >= 0.7


def test_a_date_in_retry_after_ends_the_call(server: Neptune3Server) -> None:
    server.fail(Fault(path=SEARCH_PATH, status=429, headers={"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}))
    with pytest.raises(ValueError, match="could not convert"):
        _list()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 422])
def test_other_answers_end_the_call_at_once(server: Neptune3Server, status: int) -> None:
    server.fail(Fault(path=SEARCH_PATH, status=status))
    with pytest.raises(NeptuneUnexpectedResponseError, match=str(status)):
        _list()
    assert _count(server, SEARCH_PATH) == 1


def test_a_failure_that_stays_ends_the_call_after_its_time(
    server: Neptune3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEPTUNE_QUERY_RETRY_SOFT_TIMEOUT", "1")
    server.fail(Fault(path=SEARCH_PATH, status=503, times=1000))
    with pytest.raises(NeptuneRetryError):
        _list()


def test_a_dropped_and_a_cut_answer_are_tried_again(server: Neptune3Server) -> None:
    server.fail(Fault(path=FLOATS_PATH, drop=True))
    server.fail(Fault(path=FLOATS_PATH, cut_after=100))
    table = runs.fetch_metrics(project=PROJECT, runs=["root"], attributes=["metrics/loss"])
    assert len(table) == 10
    assert _count(server, FLOATS_PATH) == 3


def test_a_server_that_hangs_is_asked_again(server: Neptune3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEPTUNE_HTTP_REQUEST_TIMEOUT_SECONDS", "1")
    server.fail(Fault(path=SEARCH_PATH, delay=60))
    started = time.monotonic()
    assert len(_list()) == 4
    assert 1 <= time.monotonic() - started < 30


def test_a_wrong_token_is_one_error_at_once(server: Neptune3Server) -> None:
    server.tokens.revoke_api_token()
    with pytest.raises(NeptuneInvalidCredentialsError):
        _list()
    assert [each.path for each in server.requests] == [EXCHANGE_PATH] * 2  # the client makes sure


def test_a_token_of_another_server_is_refused(server: Neptune3Server) -> None:
    with Neptune3Server() as other:
        other.tokens.api_key = server.tokens.api_key + "x"
        neptune_query.set_api_token(other.tokens.api_token(server.url))
        with pytest.raises(NeptuneInvalidCredentialsError):
            _list()


def test_an_access_token_is_fetched_once(server: Neptune3Server) -> None:
    for _ in range(3):
        _list()
    assert _count(server, EXCHANGE_PATH) == 1
    assert _count(server, TOKEN_PATH) == 0


def test_an_access_token_that_soon_expires_is_renewed(project: FakeProject) -> None:
    with Neptune3Server(
        [project], token_lifetime=10
    ) as server:  # the client renews 30 seconds before the end
        neptune_query.set_api_token(server.api_token)
        _list()
        _list()
        assert _count(server, EXCHANGE_PATH) == 1
        assert _count(server, TOKEN_PATH) == 1
        server.tokens.refuse_refresh = True
        assert len(_list()) == 4
        assert _count(server, EXCHANGE_PATH) == 2


def test_an_expired_token_is_refused(project: FakeProject) -> None:
    with Neptune3Server([project], token_lifetime=0) as server:
        neptune_query.set_api_token(server.api_token)
        with pytest.raises(NeptuneUnexpectedResponseError, match="401"):
            _list()


def test_tokens_expire_in_the_middle(server: Neptune3Server) -> None:
    server.tokens.expire(after_requests=2)
    _list()
    _list()
    with pytest.raises(NeptuneUnexpectedResponseError, match="401"):
        _list()
    with pytest.raises(
        NeptuneUnexpectedResponseError, match="401"
    ):  # the client does not ask for a new one by itself
        _list()
    clear_cache()
    assert len(_list()) == 4


def test_tokens_expire_at_once(server: Neptune3Server) -> None:
    _list()
    server.tokens.expire()
    with pytest.raises(NeptuneUnexpectedResponseError, match="401"):
        _list()
