"""Looking for what another machine has loaded changes nothing in Pluto, and sends nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from neptune_exporter.model import RunKey, SysAttribute
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.runs import SampleRun, file, float_series, parameter
from neptune_exporter_pluto_server import RehearsalServer

from .conftest import MakeSink
from .killed_load import everything

KEY = RunKey("acme/vision", "123")
"""Looks like a number, as which Pluto would look for it."""
NO_TIMES = SampleRun(KEY, (parameter("lr", 0.1 + 0.2), parameter("state", True)))
FILES = SampleRun(KEY, (float_series("loss", [(0, 1.0), (1, 0.5)]), file("model", b"weights", "m.pt")))
FAILED = SampleRun(KEY, (parameter(SysAttribute.FAILED, True), float_series("loss", [(0, 1 / 3)])))


def shown(server: RehearsalServer, run_id: str) -> tuple[Any, Any]:
    """What Pluto shows of a run, with the history of its status."""
    headers = {"Authorization": f"Bearer {server.api_key}"}
    with httpx.Client(base_url=f"{server.url}/api/runs", headers=headers, trust_env=False) as client:
        history = client.get("/status/history", params={"runId": run_id}).json()
        return client.get(f"/details/{run_id}").json(), history


@pytest.mark.parametrize("run", [NO_TIMES, FILES, FAILED, everything()])
def test_a_second_load_changes_nothing(
    server: RehearsalServer, make_sink: MakeSink, tmp_path: Path, run: SampleRun
) -> None:
    loaded = make_sink().load(MemoryRun(run), None)
    before = shown(server, loaded.target_id)
    for folder in ("state", "another machine"):
        sink = make_sink(base_dir=tmp_path / folder)
        answered = len(server.requests)
        again = sink.load(MemoryRun(run), None)
        assert again.already_loaded and again.target_id == loaded.target_id
        assert {c.verdict.value for c in sink.verify(MemoryRun(run), full=True)} <= {"=", "~", "?"}
        later = make_sink(base_dir=tmp_path / f"only looks from {folder}")
        assert list(later.verify(MemoryRun(run)))
        assert {r.method for r in server.requests[answered:] if r.path != "/api/slug"} <= {"GET"}
        assert shown(server, loaded.target_id) == before
    assert again.url is not None and again.url == loaded.url
    assert len(server.runs.by_id) == 1


def test_a_run_that_cannot_be_found_yet_is_found_by_its_external_id(
    server: RehearsalServer, make_sink: MakeSink, tmp_path: Path
) -> None:
    """And put back as it was, as that makes it RUNNING."""
    loaded = make_sink().load(MemoryRun(FAILED), None)
    server.settings.unindexed_configs = True
    again = make_sink(base_dir=tmp_path / "another machine").load(MemoryRun(FAILED), None)
    assert again.already_loaded and again.target_id == loaded.target_id
    assert shown(server, loaded.target_id)[0]["status"] == "FAILED"
