"""A server that drips holds nothing up for ever: an answer that has begun comes at a least rate."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from neptune_exporter.contract import LoadOptions, Secret, SinkError
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter_pluto.service.transport import OutOfPatienceError, Transport
from neptune_exporter_pluto.sink import PlutoSink
from neptune_exporter_pluto_server import RehearsalServer, faults

from .killed_load import everything, settings

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 400\r\n\r\n"


@pytest.fixture
def dripping(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a server that sends the first bytes at once, then one every 0.02 s, for a minute."""
    at_once: int = request.param
    ended = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(65_536)
            text = HEAD.replace(b"400", b"%d" % (at_once + 4_000)) + b" " * at_once
            connection.sendall(text[:at_once])
            for byte in (text + b" " * 3_000)[at_once:]:
                if ended.wait(0.02):
                    return
                try:
                    connection.sendall(bytes([byte]))
                except OSError:  # the client has given up
                    return

    thread = threading.Thread(target=answer)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    ended.set()
    thread.join()
    listening.close()


@pytest.mark.parametrize("dripping", [1, len(HEAD), len(HEAD) + 50, 10**6], indirect=True)
def test_an_answer_that_drips_is_one_that_comes_too_late(dripping: str) -> None:
    """From the first byte of its status line, its headers or its body on, or after a fast megabyte."""
    key = Secret("mlps_any")
    transport = Transport(key, connections=1, timeout=1, retry_for=0, pool=1, local=True)
    with pytest.raises(OutOfPatienceError, match="the points: Pluto no answer in time"):
        transport.get(dripping, "the points", {}, bytes)
    transport.close()


@pytest.mark.parametrize(
    "route", ["^/ingest/metrics$", "^/ingest/data$", "^/api/runs/create$", "^/api/runs/details/"]
)
def test_a_load_is_not_held_up_by_drips(server: RehearsalServer, tmp_path: Path, route: str) -> None:
    server.fail(faults.dripping(0.2, route, times=10_000))
    impatient = replace(settings(server.url, server.api_key or "", tmp_path), timeout=1.0, retry_for=0.5)
    sink = PlutoSink.connected(impatient, LoadOptions(), local=True)
    with pytest.raises(SinkError, match="no answer in time"):
        sink.load(MemoryRun(everything()), None)
    server.faults.clear()
    assert not sink.load(MemoryRun(everything()), None).already_loaded
    sink.close()


def test_a_slow_line_is_no_drip(server: RehearsalServer) -> None:
    """500 bytes a second for longer than the timeout."""
    server.fail(faults.page("^/slow$", b" " * 600))
    server.faults[0].drip = 0.002
    transport = Transport(Secret("mlps_any"), connections=1, timeout=1, retry_for=0, pool=1, local=True)
    assert transport.get(f"{server.url}/slow", "a page", {}, len) == 600
    transport.close()
