"""The stale-run reaper: whom it fails, and what helps."""

from __future__ import annotations

import time

import httpx
import pytest

from neptune_exporter_pluto_server import DEFAULT_KEY, RehearsalServer

HISTORIC = 1_600_000_000_000


@pytest.fixture
def historic(create) -> int:
    run_id: int = create(externalId="old", createdAt=HISTORIC, updatedAt=HISTORIC).json()["runId"]
    return run_id


def test_a_historical_run_is_failed_at_once_and_stays_so(
    historic: int, run, server: RehearsalServer, http
) -> None:
    assert server.reap() == [historic]
    answer = http.post("/api/runs/status/update", json={"runId": historic, "status": "COMPLETED"})
    assert answer.json() == {"success": True}
    assert run.get(f"details/{historic}")["status"] == "FAILED"
    http.post("/api/runs/resume", json={"runId": historic})
    http.post("/api/runs/status/update", json={"runId": historic, "status": "COMPLETED"})
    assert server.reap() == []
    assert run.get(f"details/{historic}")["status"] == "COMPLETED"


def test_terminal_runs_are_never_examined(historic: int, server: RehearsalServer, http) -> None:
    for status in ("COMPLETED", "TERMINATED", "CANCELLED", "FAILED"):
        http.post("/api/runs/status/update", json={"runId": historic, "status": status})
        assert server.reap() == []


def test_a_status_update_helps_only_until_old_metrics_are_seen(
    historic: int, run, server: RehearsalServer, http
) -> None:
    http.post("/api/runs/status/update", json={"runId": historic, "status": "RUNNING"})
    assert server.reap() == []
    headers = {"X-Run-Id": str(historic), "X-Project-Name": run.name}
    line = f'{{"time":{HISTORIC},"step":1,"data":{{"a":1}}}}'
    http.post("/ingest/metrics", content=line, headers=headers)
    assert server.reap() == [historic]


def test_without_heartbeats_half_an_hour_of_silence(run, server: RehearsalServer, clock) -> None:
    run.points("a", (1, 1.0), time=int(clock.now * 1000))
    clock.pass_seconds(1800)
    assert server.reap() == []
    clock.pass_seconds(1)
    assert server.reap() == [run.run_id]


def test_metrics_that_are_not_visible_do_not_count(run, server: RehearsalServer, clock) -> None:
    server.settings.visibility_delay = 6.0
    clock.pass_seconds(1799)
    run.points("a", (1, 1.0), time=int(clock.now * 1000))
    clock.pass_seconds(5)
    assert server.reap() == [run.run_id]


def test_with_heartbeats_the_newer_of_both_signals(run, server: RehearsalServer, clock, http) -> None:
    http.post("/api/runs/trigger", json={"runId": run.run_id})
    run.points("a", (1, 1.0), time=HISTORIC)
    clock.pass_seconds(150)
    assert server.reap() == []
    clock.pass_seconds(1)
    assert server.reap() == [run.run_id]


def test_nobody_with_heartbeats_is_judged_right_after_a_start(
    run, server: RehearsalServer, clock, http
) -> None:
    http.post("/api/runs/trigger", json={"runId": run.run_id})
    server.runs.by_id[run.run_id].heartbeat = clock.now - 1000
    clock.pass_seconds(149)
    assert server.reap() == []
    clock.pass_seconds(1)
    assert server.reap() == [run.run_id]


def test_times_before_1981_are_taken_for_broken(create, server: RehearsalServer) -> None:
    create(createdAt=0, updatedAt=0)
    assert server.reap() == []


def test_it_runs_by_itself() -> None:
    with RehearsalServer(reaper_interval=0.05) as server:
        headers = {"Authorization": f"Bearer {DEFAULT_KEY}"}
        body = {"runName": "r", "projectName": "p", "updatedAt": HISTORIC}
        httpx.post(f"{server.url}/api/runs/create", json=body, headers=headers)
        for _ in range(100):
            if server.stats()["statuses"] == {"FAILED": 1}:
                break
            time.sleep(0.05)
        assert server.stats()["statuses"] == {"FAILED": 1}
