"""Datasets to look at, and the server of the pages without a socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import neptune_exporter
from neptune_exporter_explorer.app import make_app

EXISTING = Path(__file__).parents[3] / "tests/data/existing-export"
HOST = "127.0.0.1:8000"
Serve = Callable[[Path], TestClient]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Give the pages of a dataset, all of whose runs were read."""
    clients = []

    def start(folder: Path) -> TestClient:
        app = make_app(neptune_exporter.open_dataset(folder), {HOST})
        client = TestClient(app, base_url=f"http://{HOST}")
        clients.append(client)
        app.state.table.wait()
        return client

    yield start
    for client in clients:
        client.app.state.table.stop()  # type: ignore[attr-defined]


@pytest.fixture
def existing(serve: Serve) -> TestClient:
    """The earlier tool's export."""
    return serve(EXISTING)
