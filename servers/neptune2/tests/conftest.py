"""A server in the environment of the unmodified client, and a guard that nothing leaves loopback."""

from __future__ import annotations

import io
import ipaddress
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from neptune.internal.backends.hosted_neptune_backend import HostedNeptuneBackend
from neptune.internal.credentials import Credentials
from PIL import Image as Picture

from neptune_exporter_neptune2_server import FakeProject, Neptune2Server, Options

Serve = Callable[..., Neptune2Server]
_strangers: list[str] = []


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Note every address that is connected to or looked up and is not this machine."""
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    elif event == "socket.getaddrinfo" or event == "socket.gethostbyname":
        host = arguments[0]
    else:
        return
    try:
        local = host in (None, "", "localhost") or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        _strangers.append(str(host))


sys.addaudithook(_watch)


@pytest.fixture(autouse=True)
def only_loopback() -> Iterator[None]:
    _strangers.clear()
    yield
    assert _strangers == []


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Starts a server and points the client at it."""
    started: list[Neptune2Server] = []

    def start(*projects: FakeProject, options: Options | None = None) -> Neptune2Server:
        server = Neptune2Server(projects, options)
        server.start()
        started.append(server)
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def backend_of() -> Callable[[Neptune2Server], Any]:
    """The client's own backend for a server."""
    return lambda server: HostedNeptuneBackend(Credentials.from_token(server.tokens.api_token))


@pytest.fixture
def png() -> Callable[[str], bytes]:
    def picture(colour: str) -> bytes:
        buffer = io.BytesIO()
        Picture.new("RGB", (3, 2), colour).save(buffer, "PNG")
        return buffer.getvalue()

    return picture
