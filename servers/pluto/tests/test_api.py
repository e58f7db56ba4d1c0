"""The writing routes of the API service."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from neptune_exporter_pluto_server import DEFAULT_KEY, RehearsalServer

NOW_MS = 1_760_000_000_000


def issue(answer: httpx.Response) -> Any:
    assert answer.status_code == 400
    body = answer.json()
    assert body["success"] is False
    assert body["error"]["name"] == "ZodError"
    return body["error"]["issues"][0]


# Keys


def test_the_slug_checks_a_key(http: httpx.Client) -> None:
    assert http.post("/api/slug").json() == {"organization": {"slug": "rehearsal"}}


@pytest.mark.parametrize(
    ("header", "body"),
    [
        (None, {"error": "Unauthorized"}),
        ("Bearer plt_x", {"error": "Unauthorized", "message": "Invalid API key"}),
        ("Bearer mlps_x", {"error": "Unauthorized", "message": "Key not found"}),
    ],
)
@pytest.mark.parametrize("path", ["/api/slug", "/api/runs/create"])
def test_a_bad_key_is_a_401(server: RehearsalServer, path: str, header: str | None, body: Any) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = httpx.post(server.url + path, headers=headers, json={})
    assert (answer.status_code, answer.json()) == (401, body)


# Create


def test_create_tells_where_the_run_is(create, server: RehearsalServer) -> None:
    assert create(externalId="x").json() == {
        "runId": 1,
        "number": 1,
        "displayId": "MMP-1",
        "projectName": "my-ml-project",
        "organizationSlug": "rehearsal",
        "url": f"{server.url}/o/rehearsal/projects/my-ml-project/r1",
        "resumed": False,
        "forkedFromRunId": None,
        "forkStep": None,
    }
    assert create(projectName="resnet 50/é").json()["url"].endswith("/projects/resnet%2050%2F%C3%A9/r2")


def test_create_again_returns_the_run_and_keeps_what_it_was(create, run, http: httpx.Client) -> None:
    first = create(externalId="e", runName="first", tags=["a"], config='{"x":{"y":1}}', createdAt=5).json()
    http.post("/api/runs/status/update", json={"runId": first["runId"], "status": "FAILED"})
    again = create(externalId="e", runName="second", tags=["b"], config='{"x":{"z":2}}', createdAt=9).json()
    assert (again["runId"], again["resumed"]) == (first["runId"], True)
    details = run.get(f"details/{first['runId']}")
    assert (details["name"], details["tags"], details["status"]) == ("first", ["a"], "RUNNING")
    assert details["createdAt"] == "1970-01-01T00:00:00.005Z"
    assert details["config"] == {"x": {"y": 1, "z": 2}}


def test_external_ids_belong_to_a_project(create) -> None:
    first, second = create(externalId="e").json(), create(externalId="e", projectName="other").json()
    assert first["runId"] != second["runId"]
    assert not second["resumed"]
    assert create().json()["resumed"] is False


def test_create_without_an_external_id_always_makes_a_run(create, server: RehearsalServer) -> None:
    assert len({create().json()["runId"] for _ in range(3)}) == 3
    assert server.stats()["runs"] == 3


def test_times_are_set_at_create(create, run) -> None:
    made = create(createdAt=0, updatedAt=1600000000123.0).json()
    details = run.get(f"details/{made['runId']}")
    assert details["createdAt"] == "1970-01-01T00:00:00.000Z"
    assert details["updatedAt"] == "2020-09-13T12:26:40.123Z"
    assert run.details()["createdAt"] == "2025-10-09T08:53:20.000Z"


@pytest.mark.parametrize(
    ("body", "code", "path"),
    [
        ({"runName": None}, "invalid_type", ["runName"]),
        ({"runName": 5}, "invalid_type", ["runName"]),
        ({"externalId": ""}, "too_small", ["externalId"]),
        ({"config": {"a": 1}}, "invalid_type", ["config"]),
        ({"tags": "a"}, "invalid_type", ["tags"]),
        ({"tags": ["a", 1]}, "invalid_type", ["tags", 1]),
        ({"tags": [str(i) for i in range(51)]}, "too_big", ["tags"]),
        ({"createdAt": "2020-01-01"}, "invalid_type", ["createdAt"]),
        ({"createdAt": 8.64e15 + 2}, "too_big", ["createdAt"]),
        ({"inheritConfig": "yes"}, "invalid_type", ["inheritConfig"]),
    ],
)
def test_wrong_shapes_are_refused_as_zod_does(create, body: Any, code: str, path: Any) -> None:
    found = issue(create(**body))
    assert (found["code"], found["path"]) == (code, path)
    assert found["message"]


def test_a_missing_member_is_required(http: httpx.Client) -> None:
    found = issue(http.post("/api/runs/create", json={"runName": "r"}))
    assert found == {
        "code": "invalid_type",
        "expected": "string",
        "received": "undefined",
        "path": ["projectName"],
        "message": "Required",
    }


def test_the_content_type_must_say_json(http: httpx.Client) -> None:
    body = json.dumps({"runName": "r", "projectName": "p"})
    assert http.post("/api/runs/create", content=body).status_code == 500
    headers = {"Content-Type": "application/json"}
    assert http.post("/api/runs/create", content="{nonsense", headers=headers).status_code == 400
    assert issue(http.post("/api/runs/create", content="[]", headers=headers))["received"] == "array"
    assert http.post("/api/runs/create", content=body, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"runName": "r" * 255}, 200),
        ({"runName": "r" * 256}, 500),
        ({"externalId": "e" * 256}, 500),
        ({"projectName": "p" * 256}, 500),
        ({"runName": "a\0b"}, 500),
        ({"tags": ["a\0b"]}, 500),
        ({"config": '{"a":"\\u0000"}'}, 500),
        ({"config": '{"\\ud800":1}'}, 500),
        ({"config": '{"a":NaN}'}, 400),
        ({"config": "nonsense"}, 400),
        ({"systemMetadata": "{"}, 400),
        ({"config": "null"}, 200),
        ({"config": ""}, 200),
        ({"tags": ["group:a", "group:b"]}, 400),
        ({"tags": ["group:a", "b"]}, 200),
    ],
)
def test_what_the_database_cannot_take_is_no_400(create, body: Any, status: int) -> None:
    assert create(**body).status_code == status


def test_quota(create, server: RehearsalServer) -> None:
    create(externalId="old")
    server.settings.quota_exceeded = True
    answer = create(externalId="new")
    assert (answer.status_code, answer.json()) == (400, {"error": "Organization is at limit"})
    assert create(externalId="old").json()["resumed"] is True


# Config as JSONB


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("1.0", "1"),
        ("-0.0", "0"),
        ("0.1", "0.1"),
        ("0.30000000000000004", "0.3"),
        ("1.7976931348623157e308", "null"),
        ("9007199254740992", "9007199254740992"),
        ("9007199254740993", "9007199254740992"),
        ("12345678901234567890", "12345678901234570000"),
        ("1e20", "100000000000000000000"),
        ("1e21", "1e+21"),
        ("1e400", "null"),
        ('[1.0,{"b":2.0}]', '[1, {"b": 2}]'),
    ],
)
def test_numbers_are_those_of_javascript(run, sent: str, kept: str) -> None:
    assert run.post("config/update", config=f'{{"a":{sent}}}').json() == {"success": True}
    assert json.dumps(run.details()["config"]["a"]) == kept


def test_the_order_of_keys_is_lost(run) -> None:
    run.post("config/update", config='{"zz":1,"b":2,"a":3,"é":4}')
    assert list(run.details()["config"]) == ["a", "b", "zz", "é"]


def test_config_merges_deeply_and_never_removes(run) -> None:
    run.post("config/update", config='{"a":{"x":1,"y":[1,2]},"b":1}')
    run.post("config/update", config='{"a":{"y":[3],"z":null},"b":{"c":1}}')
    assert run.details()["config"] == {"a": {"x": 1, "y": [3], "z": None}, "b": {"c": 1}}


@pytest.mark.parametrize(
    ("config", "status"),
    [("[1]", 400), ("nonsense", 400), ('{"a":Infinity}', 400), ('{"a":"\\u0000"}', 500), ("null", 200)],
)
def test_configs_that_are_refused(run, config: str, status: int) -> None:
    assert run.post("config/update", config=config).status_code == status


# Status


def test_a_lesser_status_is_answered_and_ignored(run) -> None:
    for status, kept in (
        ("COMPLETED", "COMPLETED"),
        ("TERMINATED", "TERMINATED"),
        ("FAILED", "FAILED"),
        ("COMPLETED", "FAILED"),
        ("CANCELLED", "FAILED"),
        ("RUNNING", "RUNNING"),
        ("COMPLETED", "COMPLETED"),
    ):
        assert run.post("status/update", status=status).json() == {"success": True}
        assert run.details()["status"] == kept


def test_a_run_keeps_its_historical_end(run, clock) -> None:
    run.post("status/update", status="COMPLETED", statusUpdated=1600000000000, statusMetadata='{"a":1}')
    clock.pass_seconds(5)
    run.post("status/update", status="COMPLETED")
    details = run.details()
    assert details["statusUpdated"] == "2020-09-13T12:26:40.000Z"
    assert details["updatedAt"] == "2025-10-09T08:53:25.000Z"
    assert details["statusMetadata"] == {"a": 1}


def test_status_shapes(run) -> None:
    assert issue(run.post("status/update", status="DONE"))["code"] == "invalid_enum_value"
    assert run.post("status/update", status="FAILED", statusMetadata="{").status_code == 400


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("status/update", {"status": "FAILED"}),
        ("logName/add", {"logName": ["a"], "logType": "METRIC"}),
        ("tags/update", {"tags": []}),
        ("notes/update", {"notes": "n"}),
        ("config/update", {"config": "{}"}),
    ],
)
def test_updates_of_unknown_runs(http: httpx.Client, path: str, body: Any) -> None:
    answer = http.post(f"/api/runs/{path}", json={"runId": 77, **body})
    assert (answer.status_code, answer.json()) == (404, {"error": "Run not found"})


# Names, tags, notes


def test_log_names_keep_their_first_type(run) -> None:
    run.post("logName/add", logName=["train/loss", "a"], logType="METRIC")
    run.post("logName/add", logName=["a", "b"], logType="IMAGE")
    assert run.details()["logNames"] == [
        {"logName": "train/loss", "logType": "METRIC", "logGroup": "train"},
        {"logName": "a", "logType": "METRIC", "logGroup": ""},
        {"logName": "b", "logType": "IMAGE", "logGroup": ""},
    ]
    assert issue(run.post("logName/add", logName=["c"], logType="STRING"))["path"] == ["logType"]


def test_details_show_a_thousand_log_names(run) -> None:
    run.post("logName/add", logName=[f"n{i}" for i in range(1001)], logType="METRIC")
    assert len(run.details()["logNames"]) == 1000


def test_tags_are_replaced(run) -> None:
    assert run.post("tags/update", tags=["a", "b"]).status_code == 200
    assert run.post("tags/update", tags=["c"]).status_code == 200
    assert run.details()["tags"] == ["c"]
    assert issue(run.post("tags/update", tags=["x"] * 51))["code"] == "too_big"
    answer = run.post("tags/update", tags=["group:a", "group:b"])
    assert (answer.status_code, answer.json()) == (400, {"error": "A run can have at most one group:* tag."})


def test_notes(run, server: RehearsalServer) -> None:
    assert run.post("notes/update", notes="n" * 1000).status_code == 200
    assert server.runs.by_id[run.run_id].notes == "n" * 1000
    assert issue(run.post("notes/update", notes="n" * 1001))["code"] == "too_big"
    assert issue(run.post("notes/update", notes="🦀" * 501))["code"] == "too_big"
    assert run.post("notes/update", notes=None).status_code == 200
    assert server.runs.by_id[run.run_id].notes is None


# Resume


def test_resume_by_each_id(run, http: httpx.Client) -> None:
    for body in (
        {"runId": run.run_id},
        {"displayId": "mmp-1"},
        {"externalId": "neptune-1", "projectName": run.name},
    ):
        run.post("status/update", status="FAILED")
        answer = http.post("/api/runs/resume", json=body).json()
        assert (answer["runId"], answer["resumed"]) == (run.run_id, True)
        assert run.details()["status"] == "RUNNING"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"runId": 1, "displayId": "MMP-1"}, 400),
        ({"displayId": "nonsense"}, 400),
        ({"externalId": "neptune-1"}, 400),
        ({"externalId": "other", "projectName": "my-ml-project"}, 404),
        ({"runId": 99}, 404),
        ({"displayId": "MMP-99"}, 404),
    ],
)
def test_resume_that_finds_nothing(run, http: httpx.Client, body: Any, status: int) -> None:
    assert http.post("/api/runs/resume", json=body).status_code == status


# Forks


def test_a_fork_inherits_the_config_but_not_the_tags(run, create) -> None:
    run.post("config/update", config='{"lr":1,"model":{"a":1}}')
    run.post("tags/update", tags=["t"])
    run.points("loss", (5, 1.0), (10, 2.0))
    made = create(forkRunId=run.run_id, forkStep=10, config='{"model":{"b":2}}').json()
    assert (made["forkedFromRunId"], made["forkStep"]) == (run.run_id, 10)
    child = run.get(f"details/{made['runId']}")
    assert (child["config"], child["tags"]) == ({"lr": 1, "model": {"b": 2}}, [])
    assert (child["forkedFromRunId"], child["forkStep"]) == (run.run_id, 10)
    other = create(forkRunId=run.run_id, forkStep=5, inheritConfig=False, inheritTags=True, tags=["u"]).json()
    child = run.get(f"details/{other['runId']}")
    assert (child["config"], child["tags"]) == (None, ["t", "u"])


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"forkStep": None}, "forkStep is required when forkRunId is provided"),
        ({"forkStep": 11}, "forkStep (11) exceeds the parent run's max step (10)"),
        ({"forkRunId": 99}, "Fork parent run not found in this project"),
        ({"projectName": "another"}, "Fork parent run not found in this project"),
    ],
)
def test_forks_that_are_refused(run, create, body: Any, error: str) -> None:
    run.points("loss", (10, 2.0))
    answer = create(**{"forkRunId": run.run_id, "forkStep": 10, **body})
    assert (answer.status_code, answer.json()) == (400, {"error": error})


def test_the_step_of_a_fork_must_be_visible(run, create, server: RehearsalServer, clock) -> None:
    run.points("loss", (1, 2.0))
    server.settings.visibility_delay = 6.0
    clock.pass_seconds(6)
    run.points("loss", (10, 2.0))
    assert create(forkRunId=run.run_id, forkStep=10).status_code == 400
    clock.pass_seconds(6)
    assert create(forkRunId=run.run_id, forkStep=10).status_code == 200


def test_a_fork_below_a_fork_belongs_to_the_ancestor(run, create) -> None:
    run.points("loss", (10, 2.0))
    child = create(forkRunId=run.run_id, forkStep=8).json()["runId"]
    grandchild = create(forkRunId=child, forkStep=3).json()
    assert grandchild["forkedFromRunId"] == run.run_id


# Heartbeat


def test_the_heartbeat_tells_the_status(run, http: httpx.Client, server: RehearsalServer) -> None:
    run.post("status/update", status="CANCELLED")
    answer = http.post("/api/runs/trigger", json={"runId": run.run_id})
    assert answer.json() == {"status": "CANCELLED", "triggers": None}
    assert server.runs.by_id[run.run_id].heartbeat == NOW_MS / 1000
    assert http.post("/api/runs/trigger", json={"runId": 99}).status_code == 404
    assert http.post("/api/runs/trigger", json={}).status_code == 422
    headers = {"Authorization": "Bearer mlps_wrong"}
    assert http.post("/api/runs/trigger", json={"runId": 1}, headers=headers).status_code == 401


def test_any_key_can_be_accepted() -> None:
    with RehearsalServer(api_key=None) as server:
        for key, status in (("mlpi_anything", 200), ("mlps_x", 200), ("plt_x", 401)):
            answer = httpx.post(f"{server.url}/api/slug", headers={"Authorization": f"Bearer {key}"})
            assert answer.status_code == status
    assert DEFAULT_KEY.startswith("mlps_")
