"""The ingest routes over HTTP: what is stored, for whom, and how failures look."""

from __future__ import annotations

import gzip
import http.client
import json
import socket

import httpx
import pytest

from neptune_exporter_pluto_server import DEFAULT_KEY, RehearsalServer

POINT = b'{"time":1000,"step":1,"data":{"loss":0.5,"acc":1}}'


def test_success_counts_records_not_lines(run) -> None:
    answer = run.ingest("metrics", POINT, POINT, b"")
    assert (answer.status_code, answer.text) == (200, "Stream processed successfully: 4 records")
    assert run.ingest("metrics").text == "Stream processed successfully: 0 records"


def test_lines_before_a_bad_one_stay(run, server: RehearsalServer) -> None:
    answer = run.ingest("metrics", POINT, b'{"time":1000,"step":-2,"data":{"loss":1}}', POINT)
    assert answer.status_code == 422
    assert answer.json()["code"] == "PROCESSING_FAILED"
    assert "Failed to parse JSON line" in answer.json()["message"]
    assert server.stats()["points"] == 2
    assert len(run.get("metrics")["metrics"]) == 2


def test_a_chunked_body_is_read_like_any_other(run, server: RehearsalServer) -> None:
    pieces = (POINT[:20], POINT[20:] + b"\n" + POINT[:30], POINT[30:])
    answer = run.http.post("/ingest/metrics", content=iter(pieces), headers=run.headers)
    assert answer.text == "Stream processed successfully: 4 records"


def test_gzip_is_not_understood(run) -> None:
    headers = {**run.headers, "Content-Encoding": "gzip"}
    answer = run.http.post("/ingest/metrics", content=gzip.compress(POINT), headers=headers)
    assert answer.status_code == 422
    assert "Failed to parse" in answer.text


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        (None, "MissingToken (1003 - Authentication Error)"),
        ("Basic abc", "InvalidBearerFormat (1007 - Authentication Error)"),
        ("Bearer mlps_ab!c", "InvalidTokenFormat (1006 - Authentication Error)"),
        ("Bearer mlps_wrong", "InvalidToken (1002 - Authentication Error): Invalid API key"),
    ],
)
def test_a_bad_key_is_a_422_that_says_so(server: RehearsalServer, header: str | None, shown: str) -> None:
    headers = {
        "X-Run-Id": "1",
        "X-Project-Name": "p",
        **({} if header is None else {"Authorization": header}),
    }
    for kind in ("metrics", "data", "logs"):
        answer = httpx.post(f"{server.url}/ingest/{kind}", content=POINT, headers=headers)
        assert answer.status_code == 422
        assert f"Failed to process {kind} stream: {shown}" in answer.json()["message"]
    assert server.stats()["points"] == 0


@pytest.mark.parametrize("missing", ["X-Run-Id", "X-Project-Name"])
def test_headers_are_required(run, missing: str) -> None:
    headers = {name: value for name, value in run.headers.items() if name != missing}
    answer = run.http.post("/ingest/metrics", content=POINT, headers=headers)
    assert answer.status_code == 422
    assert f"InvalidHeaderFormat (2004 - Validation Error): Missing required header: {missing}" in answer.text


def test_a_project_header_that_is_not_ascii_fails(run) -> None:
    headers = {**run.headers, "X-Project-Name": "проект".encode()}
    answer = run.http.post("/ingest/metrics", content=POINT, headers=headers)
    assert answer.status_code == 422
    assert "Missing required header: X-Project-Name" in answer.text


@pytest.mark.parametrize("run_id", ["RUN-1", "1.0", "-1", "", "99999999999999999999"])
def test_a_run_id_that_is_no_number_becomes_run_0(run, server: RehearsalServer, run_id: str) -> None:
    answer = run.http.post("/ingest/metrics", content=POINT, headers={**run.headers, "X-Run-Id": run_id})
    assert answer.status_code == 200
    assert server.store.points.rows((run.name, 0)) == 2
    assert server.stats()["orphan_points"] == 2
    assert run.get("metrics")["metrics"] == []


def test_rows_under_a_wrong_project_are_stored_and_never_seen(run, server: RehearsalServer) -> None:
    answer = run.http.post(
        "/ingest/metrics", content=POINT, headers={**run.headers, "X-Project-Name": "other"}
    )
    assert answer.status_code == 200
    assert server.stats()["orphan_points"] == 2
    assert run.get("metrics")["metrics"] == []


def test_data_and_logs_keep_every_duplicate(run, server: RehearsalServer) -> None:
    histogram = {"freq": [1, 2], "maxFreq": 2, "bins": {"min": 0, "max": 1, "num": 2}, "shape": "uniform"}
    rows = [
        {"time": 1, "step": 1, "dataType": "HISTOGRAM", "logName": "h", "data": json.dumps(histogram)},
        {"time": 1, "step": 1, "dataType": "TABLE", "logName": "t", "data": '{"table":[[1]]}'},
        {"time": 1, "step": 1, "dataType": "string-series", "logName": "s", "data": "warm up"},
    ]
    for _ in range(2):
        assert run.ingest("data", *rows).text.endswith("3 records")
        line = {"time": 1, "message": "m", "lineNumber": 1, "logType": "INFO"}
        assert run.ingest("logs", line).text.endswith("1 records")
    key = server.key(run.run_id)
    assert [row["data"] for row in server.store.histograms(key, "h")] == [histogram] * 2
    assert server.store.tables(key)[0]["data"] == {"table": [[1]]}
    assert server.store.string_series(key, "s")[0]["data"] == "warm up"
    assert len(server.store.log_rows(key)) == 2
    stats = server.stats()
    assert [stats[n] for n in ("histograms", "tables", "string_series_rows", "log_lines")] == [2, 2, 2, 2]


def test_ingest_does_not_look_at_the_status(run) -> None:
    assert run.post("status/update", status="COMPLETED").status_code == 200
    assert run.ingest("metrics", POINT).status_code == 200
    assert run.details()["status"] == "COMPLETED"


def test_whole_lines_stay_when_the_client_goes_away(run, server: RehearsalServer) -> None:
    request = (
        f"POST /ingest/metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {DEFAULT_KEY}\r\n"
        f"X-Run-Id: {run.run_id}\r\nX-Project-Name: {run.name}\r\nContent-Length: 1000000\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(request.encode() + POINT + b"\n" + POINT + b"\n" + POINT[:-5])
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(10)
        assert connection.recv(100) == b""
    assert server.stats()["points"] == 4


def test_an_answer_leaves_the_connection_usable(run, server: RehearsalServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    headers = {**run.headers, "Authorization": f"Bearer {DEFAULT_KEY}"}
    bad = b"bad\n" + POINT * 1 + b"\n" * 200_000
    for body, status in ((bad, 422), (POINT, 200)):
        connection.request("POST", "/ingest/metrics", body, headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status
    connection.close()
