"""The local Pluto answers every recorded request as the real one did."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from neptune_exporter_pluto_server import DEFAULT_KEY, RehearsalServer

from .contract import Replay, recording

LINES = recording()


@pytest.fixture(scope="module")
def differences() -> dict[int, str | None]:
    """All requests in their order, as they depend on each other."""
    with (
        RehearsalServer(reaper_interval=None) as server,
        httpx.Client(base_url=server.url, timeout=30, trust_env=False) as client,
    ):
        replay = Replay(client, DEFAULT_KEY, "contract 12345678")
        return {line["n"]: replay.difference(line) for line in LINES}


def test_the_recording_is_whole() -> None:
    assert [line["n"] for line in LINES] == list(range(1, 297))


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line['n']} {line['label']}")
def test_every_request_is_answered_as_recorded(
    line: dict[str, Any], differences: dict[int, str | None]
) -> None:
    assert differences[line["n"]] is None, differences[line["n"]]
