"""What the client meets when the server misbehaves, and which of it the client survives by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import neptune
import pytest
import requests
from bravado.exception import HTTPServiceUnavailable
from neptune.common.exceptions import NeptuneInvalidApiTokenException, Unauthorized

from neptune_exporter_neptune2_server import (
    Attribute,
    FakeContainer,
    FakeProject,
    Fault,
    File,
    FloatSeries,
    Neptune2Server,
    on_attribute,
    token_expired,
)

Serve = Callable[..., Neptune2Server]
SERIES = "/attributes/series/float"


class Setting:
    """A server with one run, and the client's backend for it."""

    def __init__(self, serve: Serve, backend_of: Callable[[Neptune2Server], Any]) -> None:
        self.project = FakeProject("team", "cats")
        attributes: dict[str, Attribute] = {
            "m": FloatSeries([1.0]),
            "n": FloatSeries([2.0]),
            "f": File(b"x" * 300_000, "bin"),
        }
        self.run: FakeContainer = self.project.add_run(attributes)
        self.server = serve(self.project)
        self.backend = backend_of(self.server)

    def read(self, path: str = "m") -> list[float]:
        points = self.backend.get_float_series_values(self.run.id, None, [path], 0, 1000).values
        return [point.value for point in points]

    def asked(self, path: str) -> int:
        return sum(path in request.path for request in self.server.requests)


@pytest.fixture
def setting(serve: Serve, backend_of: Callable[[Neptune2Server], Any]) -> Setting:
    return Setting(serve, backend_of)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(SERIES, status=503),
        Fault(SERIES, status=429, headers={"Retry-After": "1"}),
        Fault(SERIES, cut_after=10),
    ],
    ids=["unavailable", "too many requests", "cut body"],
)
def test_a_passing_fault_of_a_value_is_retried(setting: Setting, fault: Fault) -> None:
    setting.server.fail(fault)
    assert setting.read() == [1.0]
    assert setting.asked(SERIES) == 2


def test_a_401_is_final(setting: Setting) -> None:
    setting.server.fail(Fault(SERIES, status=401))
    with pytest.raises(Unauthorized):
        setting.read()
    assert setting.read() == [1.0]


def test_a_fault_can_be_about_one_attribute(setting: Setting) -> None:
    setting.server.fail(Fault(SERIES, status=401, where=on_attribute("n")))
    assert setting.read("m") == [1.0]
    with pytest.raises(Unauthorized):
        setting.read("n")


def test_the_listing_is_not_retried_by_the_client(setting: Setting) -> None:
    setting.server.fail(Fault("entries/search", status=503))
    with (
        neptune.init_project("team/cats", mode="read-only") as project,
        pytest.raises(HTTPServiceUnavailable),
    ):
        project.fetch_runs_table(progress_bar=False).to_rows()


def test_a_cut_download_is_not_retried_by_the_client(setting: Setting, tmp_path: Path) -> None:
    setting.server.fail(Fault("attributes/download", cut_after=1000))
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        setting.backend.download_file(setting.run.id, None, ["f"], str(tmp_path), False)


def test_a_hang_ends_with_the_timeout_of_the_request(setting: Setting) -> None:
    setting.server.fail(Fault("/experiments", delay=3600.0))
    http = setting.backend._http_client
    url = f"{setting.server.url}/api/leaderboard/v1/experiments?experimentId={setting.run.id}"
    request = http.session.prepare_request(http.authenticator.apply(requests.Request("GET", url)))
    with pytest.raises(requests.exceptions.ReadTimeout):
        http.session.send(request, timeout=0.2)
    before = time.monotonic()
    setting.server.stop()
    assert time.monotonic() - before < 60  # the hanging request does not keep the server


def test_a_401_for_an_expired_token_is_tried_again(setting: Setting) -> None:
    setting.server.fail(token_expired())
    assert setting.read() == [1.0]
    assert setting.asked(SERIES) == 2


def test_expired_tokens_are_refused_until_they_are_refreshed(setting: Setting) -> None:
    setting.read()
    issued = setting.server.tokens.issued
    setting.server.tokens.expire(after_requests=2)
    setting.read()
    setting.read()
    # The client trusts its clock and would ask again without a pause; this is what makes it refresh.
    setting.backend._http_client.authenticator.auth.token_expires_at = 0
    assert setting.read() == [1.0]
    assert setting.server.tokens.issued == issued + 1


def test_the_next_request_after_the_expiry_gets_a_401(setting: Setting) -> None:
    setting.read()
    http = setting.backend._http_client
    url = f"{setting.server.url}/api/leaderboard/v1/attributes?experimentId={setting.run.id}"

    def get() -> requests.Response:
        request = http.authenticator.apply(requests.Request("GET", url))
        answer: requests.Response = http.session.send(http.session.prepare_request(request))
        return answer

    assert get().status_code == 200
    setting.server.tokens.expire()
    refused = get()
    assert (refused.status_code, refused.json()["errorType"]) == (401, "AUTHORIZATION_TOKEN_EXPIRED")


def test_a_short_lifetime_makes_the_client_refresh(setting: Setting) -> None:
    setting.server.tokens.lifetime = 10.0  # below the 30 seconds that the client keeps in reserve
    setting.backend._http_client.authenticator.auth.token_expires_at = 0
    issued = setting.server.tokens.issued
    for _ in range(3):
        assert setting.read() == [1.0]
    assert setting.server.tokens.issued == issued + 3


def test_a_refused_refresh_makes_the_client_begin_anew(setting: Setting) -> None:
    setting.read()
    setting.server.tokens.expire()
    setting.server.tokens.expire_refresh()
    setting.backend._http_client.authenticator.auth.token_expires_at = 0
    assert setting.read() == [1.0]
    assert setting.asked("oauth-token") == 2


def test_a_wrong_api_token_is_refused(setting: Setting, backend_of: Callable[[Neptune2Server], Any]) -> None:
    other = Neptune2Server([setting.project])
    setting.server.tokens.api_token = other.tokens.api_token
    other.stop()
    authenticator = setting.backend._http_client.authenticator
    with pytest.raises(NeptuneInvalidApiTokenException):
        authenticator.auth.session_factory()
