"""Everything that can be made to go wrong, and what is stored then."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from neptune_exporter_pluto_server import RehearsalServer, faults

POINT = b'{"time":1000,"step":1,"data":{"loss":0.5}}'


def test_database_busy_is_a_422_for_a_while(run, server: RehearsalServer) -> None:
    server.fail(faults.database_busy(times=2, skip=1))
    answers = [run.ingest("metrics", POINT) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 422, 422, 200]
    message = answers[1].json()["message"]
    assert "DatabaseError (4001 - Database Error): Failed to validate API key" in message
    assert server.stats()["points"] == 2


def test_commit_then_drop_has_committed(run, server: RehearsalServer) -> None:
    server.fail(faults.commit_then_drop())
    with pytest.raises(httpx.RemoteProtocolError):
        run.ingest("metrics", POINT)
    assert server.stats()["points"] == 1
    server.fail(faults.dropped())
    with pytest.raises(httpx.RemoteProtocolError):
        run.ingest("metrics", POINT)
    assert server.stats()["points"] == 1


def test_commit_then_fail_has_committed(run, server: RehearsalServer) -> None:
    server.fail(faults.commit_then_fail(504))
    assert run.ingest("metrics", POINT).status_code == 504
    assert server.stats()["points"] == 1


def test_a_page_of_something_in_between(run, server: RehearsalServer) -> None:
    server.fail(faults.page("^/ingest/"))
    answer = run.ingest("metrics", POINT)
    assert (answer.status_code, answer.content) == (200, faults.LOGIN_PAGE)
    assert server.stats()["points"] == 0
    server.fail(faults.commit_then_page(body=b"null"))
    assert run.ingest("metrics", POINT).content == b"null"
    assert server.stats()["points"] == 1


def test_a_miscount_takes_nothing(run, server: RehearsalServer) -> None:
    server.fail(faults.miscounted(records=7))
    assert run.ingest("metrics", POINT).text == "Stream processed successfully: 7 records"
    assert server.stats()["points"] == 0


def test_storages_that_fail(run, server: RehearsalServer) -> None:
    file = {"fileName": "a.txt", "logName": "x", "fileSize": 3, "fileType": "txt", "step": 0, "time": 1}
    signed = run.http.post("/files", json={"files": [file]}, headers=run.headers).json()["x"][0]["a.txt"]
    server.fail(faults.stored_otherwise())
    server.fail(faults.stored_otherwise(None))
    server.fail(faults.storage_refuses(401))
    answers = [httpx.put(signed, content=b"abc") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 401, 200]
    tags = [answer.headers.get("etag") for answer in answers]
    assert tags == ['"' + "0" * 32 + '"', None, None, '"900150983cd24fb0d6963f7d28e17f72"']
    assert server.stats()["files"] == 1


def test_an_answer_that_drips_is_whole(run, server: RehearsalServer) -> None:
    server.fail(faults.dripping(0.001, "^/ingest/"))
    assert run.ingest("metrics", POINT).text == "Stream processed successfully: 1 records"
    assert server.stats()["points"] == 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
@pytest.mark.parametrize("retry_after", [None, "3"])
def test_a_proxy_in_front(run, server: RehearsalServer, status: int, retry_after: str | None) -> None:
    server.fail(faults.unavailable(status, retry_after=retry_after))
    answer = run.http.get("/api/runs/projects")
    assert (answer.status_code, answer.headers.get("retry-after")) == (status, retry_after)
    assert run.http.get("/api/runs/projects").status_code == 200


def test_a_stall_goes_on_and_ends_with_the_server(run, server: RehearsalServer) -> None:
    server.fail(faults.stalled(0.3))
    before = time.monotonic()
    assert run.ingest("metrics", POINT).status_code == 200
    assert time.monotonic() - before >= 0.3
    server.fail(faults.stalled(3600))
    with pytest.raises(httpx.ReadTimeout):
        run.http.post("/ingest/metrics", content=POINT, headers=run.headers, timeout=0.2)
    assert server.stats()["points"] == 1


def test_a_key_expires_half_way(run, server: RehearsalServer) -> None:
    server.settings.key_requests = 2
    assert run.ingest("metrics", POINT).status_code == 200
    assert run.http.post("/api/slug").status_code == 200
    answer = run.ingest("metrics", POINT)
    assert (
        answer.status_code,
        "InvalidToken (1002 - Authentication Error): API key has expired" in answer.text,
    ) == (
        422,
        True,
    )
    answer = run.http.post("/api/slug")
    assert (answer.status_code, answer.json()["message"]) == (401, "API key has expired")
    answer = run.http.post("/files", json={"files": []}, headers=run.headers)
    assert (answer.status_code, answer.json()["message"]) == (401, "API key has expired")
    server.settings.key_requests = None
    assert run.http.post("/api/slug").status_code == 200


def test_controls_from_the_outside(run, server: RehearsalServer) -> None:
    def control(path: str, body: Any) -> httpx.Response:
        return httpx.post(f"{server.url}/rehearsal/{path}", json=body)

    assert control(
        "faults", [{"fault": "database_busy"}, {"path": "^/api/slug", "status": 418, "body": "tea"}]
    ).json() == {"faults": 2}
    assert run.http.post("/api/slug").text == "tea"
    assert run.ingest("metrics", POINT).status_code == 422
    assert (
        control("settings", {"quota_exceeded": True, "visibility_delay": 2.5}).json()["visibility_delay"]
        == 2.5
    )
    assert server.settings.quota_exceeded is True
    assert control("settings", {"revoke": True}).status_code == 200
    assert run.http.post("/api/slug").json()["message"] == "API key has been revoked"
    assert control("reap", {}).json() == {"failed": []}
    for path, body in (
        ("faults", {"fault": "unknown"}),
        ("faults", {"colour": "red"}),
        ("faults", {"where": "anything"}),
        ("faults", 5),
        ("settings", {"colour": "red"}),
        ("settings", 5),
    ):
        assert control(path, body).status_code == 400, body
    assert httpx.get(f"{server.url}/rehearsal/stats").json() == server.stats()


def test_controls_are_neither_faulted_nor_counted(server: RehearsalServer) -> None:
    server.fail(faults.unavailable(times=100))
    assert httpx.get(f"{server.url}/rehearsal/stats").json()["requests"] == 0


def test_nothing_answers_after_the_end(server: RehearsalServer) -> None:
    with httpx.Client(base_url=server.url) as client:
        assert client.get("/rehearsal/stats").status_code == 200
        server.stop()
        with pytest.raises(httpx.ConnectError):
            client.get("/rehearsal/stats")
