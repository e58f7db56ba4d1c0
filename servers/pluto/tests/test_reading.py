"""The reading routes: what comes back, in which order, and how much of it."""

from __future__ import annotations

import json
import math
from typing import Any

import httpx
import pytest

from neptune_exporter_pluto_server import RehearsalServer

RUN_ROUTES = ["metrics/raw", "metrics", "logs", "files"]


@pytest.mark.parametrize("path", [*RUN_ROUTES, "list", "projects", "details/1", "metric-names"])
def test_reading_needs_a_key(server: RehearsalServer, path: str) -> None:
    assert httpx.get(f"{server.url}/api/runs/{path}").status_code == 401


def test_raw_keeps_every_row_and_metrics_the_newest_of_a_step(run) -> None:
    run.points("loss", (1, 1.0), (2, 2.0), time=1000)
    run.points("loss", (1, 10.0), time=3000)
    run.points("loss", (1, 5.0), (2, 5.0), time=500)
    raw = run.get("metrics/raw", logName="loss")
    assert [(row["step"], row["value"]) for row in raw["rows"]] == [
        (1, 5),
        (1, 1),
        (1, 10),
        (2, 5),
        (2, 2),
    ]
    assert raw["truncated"] is False
    charted = run.get("metrics", logName="loss")["metrics"]
    assert [(row["step"], row["value"]) for row in charted] == [(1, 10), (2, 2)]


def test_the_last_of_the_same_time_wins(run) -> None:
    run.points("loss", (1, 1.0))
    run.points("loss", (1, 2.0))
    assert [row["value"] for row in run.get("metrics")["metrics"]] == [2]


def test_a_row_is_shaped_as_the_client_expects(run) -> None:
    run.points("train/loss", (3, 0.25), time=1_700_000_000_123)
    row = {
        "logName": "train/loss",
        "logGroup": "train",
        "time": "2023-11-14 22:13:20.123",
        "step": 3,
        "value": 0.25,
    }
    assert run.get("metrics")["metrics"] == [{**row, "valueFlag": ""}]
    del row["logName"]
    assert run.get("metrics/raw", logName="train/loss")["rows"] == [{**row, "nonFiniteFlags": 0}]


def test_as_many_rows_as_the_limit_are_called_truncated(run) -> None:
    run.points("x", (1, 1.0), (2, 2.0))
    assert run.get("metrics/raw", logName="x", limit=2)["truncated"] is True
    assert run.get("metrics/raw", logName="x", limit=3)["truncated"] is False


@pytest.mark.parametrize(
    ("sent", "value", "flag", "bits"),
    [
        ("NaN", 0, "NaN", 1),
        ("Infinity", 0, "Inf", 2),
        ("-Infinity", 0, "-Inf", 4),
        (-0.0, 0, "", 0),
        (1.0, 1, "", 0),
        (0.1, 0.1, "", 0),
        (5e-324, 5e-324, "", 0),
        (1.7976931348623157e308, 1.7976931348623157e308, "", 0),
    ],
)
def test_values_as_they_read_back(run, sent: Any, value: float, flag: str, bits: int) -> None:
    run.ingest("metrics", {"time": 1, "step": 0, "data": {"x": sent}})
    (row,) = run.get("metrics")["metrics"]
    (raw,) = run.get("metrics/raw", logName="x")["rows"]
    assert (row["value"], row["valueFlag"]) == (value, flag)
    assert (raw["value"], raw["nonFiniteFlags"]) == (value, bits)
    assert math.copysign(1, row["value"]) == 1
    assert isinstance(row["value"], int) == float(value).is_integer() or abs(value) > 2**53


def test_steps_beyond_what_a_double_holds_come_back_rounded(run) -> None:
    run.points("x", (2**64 - 1, 1.0), (2**53 + 1, 2.0))
    raw = run.get("metrics/raw", logName="x", stepMin=2**53 + 1, stepMax=2**64 - 1)["rows"]
    assert [row["step"] for row in raw] == [2**53, 18446744073709552000]


def test_raw_pages_by_step(run) -> None:
    run.points("x", *((step, step / 2) for step in range(25)))
    found: list[int] = []
    step = 0
    for _ in range(10):
        page = run.get("metrics/raw", logName="x", stepMin=step, limit=10)
        found += [row["step"] for row in page["rows"]]
        if not page["truncated"]:
            break
        step = found[-1] + 1
    assert found == list(range(25))
    assert [row["step"] for row in run.get("metrics/raw", logName="x", stepMin=3, stepMax=5)["rows"]] == [
        3,
        4,
        5,
    ]


def test_above_the_limit_metrics_show_every_kth_point_and_the_last(run) -> None:
    run.points("x", *((step, 0.0) for step in range(25)))
    shown = [row["step"] for row in run.get("metrics", limit=10)["metrics"]]
    assert shown == [0, 3, 6, 9, 12, 15, 18, 21, 24]
    assert len(run.get("metrics", limit=25)["metrics"]) == 25


@pytest.mark.parametrize(
    ("path", "params", "status"),
    [
        ("metrics/raw", {"logName": "x", "limit": 50_000}, 200),
        ("metrics/raw", {"logName": "x", "limit": 50_001}, 400),
        ("metrics/raw", {}, 400),
        ("metrics", {"limit": 10_000}, 200),
        ("metrics", {"limit": 10_001}, 400),
        ("metrics", {"limit": 0}, 400),
        ("metrics", {"stepMin": -1}, 400),
        ("metrics", {"stepMin": 1.5}, 400),
        ("logs", {"limit": 10_001}, 400),
        ("logs", {"logType": "TRACE"}, 400),
        ("list", {"limit": 201}, 400),
        ("list", {"limit": "many"}, 400),
    ],
)
def test_limits_are_refused_not_cut(run, path: str, params: Any, status: int) -> None:
    params = {"runId": run.run_id, "projectName": run.name, **params}
    assert run.http.get(f"/api/runs/{path}", params=params).status_code == status


@pytest.mark.parametrize("path", RUN_ROUTES)
def test_run_and_project_are_required(run, path: str) -> None:
    for params in ({"runId": 1, "logName": "x"}, {"projectName": "p", "logName": "x"}):
        assert run.http.get(f"/api/runs/{path}", params=params).status_code == 400


def test_logs_by_line_number_with_an_exact_total(run) -> None:
    lines = [
        {
            "time": number,
            "message": f"m{number}",
            "lineNumber": number,
            "logType": "INFO" if number % 3 else "ERROR",
        }
        for number in (5, 3, 9, 1, 7, 2, 8, 4, 6, 0)
    ]
    run.ingest("logs", *lines[:4])
    run.ingest("logs", *lines[4:])
    page = run.get("logs", limit=4, offset=3)
    assert page["total"] == 10
    assert [line["lineNumber"] for line in page["logs"]] == [3, 4, 5, 6]
    assert page["logs"][0] == {
        "time": "1970-01-01 00:00:00.003",
        "logType": "ERROR",
        "lineNumber": 3,
        "message": "m3",
        "step": 0,
    }
    errors = run.get("logs", logType="ERROR")
    assert (errors["total"], [line["lineNumber"] for line in errors["logs"]]) == (4, [0, 3, 6, 9])
    assert run.get("logs", offset=10) == {"logs": [], "total": 10}


def test_log_pages_across_what_was_spilled(
    run, server: RehearsalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neptune_exporter_pluto_server.rows._FRESH_BYTES", 2000)
    numbers = [(i * 37) % 300 for i in range(300)]
    for start in range(0, 300, 50):
        lines = [
            {"time": n, "message": f"message {n}", "lineNumber": n, "logType": "INFO"}
            for n in numbers[start : start + 50]
        ]
        run.ingest("logs", *lines)
    found = [
        line for offset in range(0, 300, 70) for line in run.get("logs", limit=70, offset=offset)["logs"]
    ]
    assert [line["message"] for line in found] == [f"message {n}" for n in range(300)]


def test_rows_become_visible_after_the_delay(run, server: RehearsalServer, clock) -> None:
    server.settings.visibility_delay = 6.0
    run.points("x", (1, 1.0))
    run.ingest("logs", {"time": 1, "message": "m", "lineNumber": 1, "logType": "INFO"})
    clock.pass_seconds(5)
    run.points("x", (2, 2.0))
    assert run.get("metrics")["metrics"] == []
    assert run.get("logs")["total"] == 0
    clock.pass_seconds(1)
    assert [row["step"] for row in run.get("metrics")["metrics"]] == [1]
    assert run.get("logs")["total"] == 1
    clock.pass_seconds(5)
    assert [row["step"] for row in run.get("metrics/raw", logName="x")["rows"]] == [1, 2]
    assert server.stats()["points"] == 2


def test_integers_may_come_quoted(run, server: RehearsalServer) -> None:
    server.settings.quoted_integers = True
    run.points("x", (7, 1.0))
    assert run.get("metrics")["metrics"][0]["step"] == "7"


def test_runs_are_listed_newest_first_without_external_ids(create, run, http: httpx.Client) -> None:
    for number in range(3):
        create(
            runName=f"run {number}",
            createdAt=number,
            tags=["even"] if number % 2 == 0 else [],
            externalId=f"e{number}",
        )

    def names(**params: Any) -> list[str]:
        answer = http.get("/api/runs/list", params={"projectName": run.name, **params}).json()
        assert all("externalId" not in run for run in answer["runs"])
        return [run["name"] for run in answer["runs"]]

    assert names() == ["a run", "run 2", "run 1", "run 0"]
    assert names(limit=2, offset=1) == ["run 2", "run 1"]
    assert names(tags="even") == ["run 2", "run 0"]
    assert names(search="UN 1") == ["run 1"]
    assert names(sort="+createdAt", limit=1) == ["run 0"]
    assert http.get("/api/runs/list", params={"projectName": "none"}).json() == {"runs": [], "total": 0}


def test_details_by_both_ids(run, http: httpx.Client) -> None:
    by_id = run.details()
    fork = {"forkedFromRunId": None, "forkStep": None}
    assert by_id == {**run.get("details/by-display-id/MMP-1"), **fork}
    assert by_id["externalId"] == "neptune-1"
    assert "notes" not in by_id
    for path in (
        "details/99",
        "details/by-display-id/MMP-9",
        "details/by-display-id/MMP-1?projectName=other",
    ):
        assert http.get(f"/api/runs/{path}").status_code == 404
    for path in ("details/x", "details/by-display-id/x"):
        assert http.get(f"/api/runs/{path}").status_code == 400


def test_projects_and_metric_names(create, run, http: httpx.Client) -> None:
    create(projectName="other")
    run.points("train/loss", (1, 1.0))
    run.points("acc", (1, 1.0))
    projects = http.get("/api/runs/projects").json()["projects"]
    assert [(project["name"], project["runCount"]) for project in projects] == [
        ("my-ml-project", 1),
        ("other", 1),
    ]
    params = {"projectName": run.name}
    assert http.get("/api/runs/metric-names", params=params).json()["metricNames"] == ["acc", "train/loss"]
    params = {"projectName": run.name, "search": "LOSS", "runIds": str(run.run_id)}
    assert http.get("/api/runs/metric-names", params=params).json()["metricNames"] == ["train/loss"]


def test_nothing_else_answers(http: httpx.Client) -> None:
    assert http.get("/api/runs/histograms").status_code == 404
    assert http.get("/api/slug").status_code == 405
    assert json.loads(http.get("/nothing").text) == {"error": "not found"}
