"""The least rate below the HTTP libraries that plugins use: from the first byte of the status line on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpcore
import httpx
import pytest
import requests

from neptune_exporter.testing.loopback import Fault, LoopbackServer, Response
from neptune_exporter.toolkit import SlowError
from neptune_exporter.toolkit.connections import demand_least_rate
from neptune_exporter_neptune2.adapter import PacedAdapter, mount

Get = Callable[[str], bytes]
SECONDS = 1.0


def with_httpx(url: str) -> bytes:
    with httpx.Client(timeout=SECONDS) as client:
        demand_least_rate(client, SECONDS)
        return client.get(url).content


def with_requests(url: str) -> bytes:
    with requests.Session() as session:
        mount(session, PacedAdapter(SECONDS))
        return session.get(url).content


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    server = LoopbackServer()
    server.route(
        "GET", "/(?P<size>.*)", lambda request: Response(body=bytes(int(request.path_values["size"])))
    )
    with server:
        yield server


@pytest.fixture(params=[with_httpx, with_requests])
def get(request: pytest.FixtureRequest) -> Get:
    found: Get = request.param
    return found


@pytest.mark.parametrize(("size", "head"), [(300, True), (300, False), (0, True)])
@pytest.mark.parametrize("through", ["", "HTTP_PROXY"])
def test_a_drip_ends(
    server: LoopbackServer, get: Get, size: int, head: bool, through: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From its status line or its body on, also through a proxy."""
    server.route("GET", "http://elsewhere.example/.*", lambda request: Response(body=bytes(size)))
    address = server.url
    if through:
        monkeypatch.setenv("http_proxy", server.url)
        address = "http://elsewhere.example"
    server.fail(Fault(drip=0.05, drip_head=head, times=10**6))
    with pytest.raises(SlowError, match=r"the server sent only \d+ bytes in 1 s"):
        get(f"{address}/{size}")


def test_a_server_that_stops_in_the_middle_of_a_drip_is_slow_too(server: LoopbackServer) -> None:
    """Its last byte renews no timeout: the span ends when it ends."""
    server.fail(Fault(drip=0.7, drip_head=True))
    with pytest.raises(SlowError):
        with_httpx(f"{server.url}/300")


def test_a_slow_line_is_no_drip(server: LoopbackServer, get: Get) -> None:
    server.fail(Fault(drip=0.003, drip_head=True))
    assert get(f"{server.url}/400") == bytes(400)


def test_the_error_can_be_of_the_library(server: LoopbackServer) -> None:
    server.fail(Fault(drip=0.05, drip_head=True))
    with httpx.Client(timeout=SECONDS) as client, pytest.raises(httpx.ReadTimeout, match="sent only"):
        demand_least_rate(client, SECONDS, lambda error: httpcore.ReadTimeout(str(error)))
        client.get(f"{server.url}/300")
