"""The server as its own process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import requests

COMMAND = [sys.executable, "-m", "neptune_exporter_neptune2_server"]


@pytest.fixture
def process() -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    size = ["--runs", "3", "--series", "2", "--points", "1500"]
    with subprocess.Popen(
        [*COMMAND, *size], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as started:
        try:
            assert started.stdout is not None
            yield started, json.loads(started.stdout.readline())
        finally:
            started.kill()


def test_it_serves_what_was_asked_for(process: tuple[subprocess.Popen[str], dict[str, Any]]) -> None:
    _, ready = process
    session = requests.Session()
    session.trust_env = False
    token = session.get(
        ready["url"] + "/api/backend/v1/authorization/oauth-token",
        headers={"X-Neptune-Api-Token": ready["api_token"]},
        timeout=10,
    ).json()["accessToken"]
    session.headers["Authorization"] = f"Bearer {token}"
    table = session.post(
        ready["url"] + "/api/leaderboard/v1/leaderboard/entries/search",
        params={"projectIdentifier": ready["project"], "type": "run"},
        json={},
        timeout=10,
    ).json()
    assert table["matchingItemCount"] == 3
    (first, *_) = table["entries"]
    series = [a["name"] for a in first["attributes"] if a["type"] == "floatSeries"]
    assert len(series) == 2
    page = session.get(
        ready["url"] + "/api/leaderboard/v1/attributes/series/float",
        params={"experimentId": first["experimentId"], "attribute": series[0], "limit": 1000, "offset": 1000},
        timeout=10,
    ).json()
    assert (page["totalItemCount"], len(page["values"])) == (1500, 500)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_a_signal(
    process: tuple[subprocess.Popen[str], dict[str, Any]], number: signal.Signals
) -> None:
    started, _ = process
    started.send_signal(number)
    assert started.wait(timeout=30) == 0


def test_it_ends_with_its_input(process: tuple[subprocess.Popen[str], dict[str, Any]]) -> None:
    started, _ = process
    assert started.stdin is not None
    started.stdin.close()
    assert started.wait(timeout=30) == 0
