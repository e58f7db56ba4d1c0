"""Files: announcing, uploading through presigned URLs, and what is stored."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import httpx
import pytest

from neptune_exporter_pluto_server import RehearsalServer

FILE = {"fileName": "a.png", "logName": "val/images", "fileSize": 3, "fileType": "png", "step": 1, "time": 5}


def announce(run, *files: dict[str, Any]) -> Any:
    answer = run.http.post(
        "/files", json={"files": [{**FILE, **file} for file in files]}, headers=run.headers
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def upload(url: str, content: Any, content_type: str = "image/png") -> httpx.Response:
    return httpx.put(url, content=content, headers={"Content-Type": content_type})


def test_a_file_goes_up_and_comes_back(run, server: RehearsalServer) -> None:
    urls = announce(run, {"caption": "a cat"})
    assert urls.keys() == {"val/images"}
    answer = upload(urls["val/images"][0]["a.png"], b"abc")
    assert (answer.status_code, answer.headers["etag"]) == (200, f'"{hashlib.md5(b"abc").hexdigest()}"')
    (file,) = run.get("files")["files"]
    assert httpx.get(file.pop("url")).content == b"abc"
    assert file == {
        "fileName": "a.png",
        "fileType": "png",
        "fileSize": 3,
        "logName": "val/images",
        "logGroup": "val",
        "time": "1970-01-01 00:00:00.005",
        "step": 1,
        "caption": "a cat",
        "annotations": None,
    }
    assert server.file_bytes(run.run_id, "val/images", "a.png") == b"abc"


def test_two_files_of_one_name_overwrite_each_other(run, server: RehearsalServer) -> None:
    for step, content in ((1, b"one"), (2, b"two")):
        upload(announce(run, {"step": step})["val/images"][0]["a.png"], content)
    files = run.get("files")["files"]
    assert [file["step"] for file in files] == [1, 2]
    assert [httpx.get(file["url"]).content for file in files] == [b"two", b"two"]
    stats = server.stats()
    assert (stats["file_rows"], stats["files"], stats["files_overwritten"], stats["file_bytes"]) == (
        2,
        1,
        1,
        3,
    )


def test_announcing_twice_leaves_two_rows(run) -> None:
    announce(run, {})
    announce(run, {})
    assert len(run.get("files")["files"]) == 2


def test_a_row_is_there_before_its_bytes(run, server: RehearsalServer) -> None:
    announce(run, {})
    (file,) = run.get("files")["files"]
    answer = httpx.get(file["url"])
    assert (answer.status_code, "NoSuchKey" in answer.text) == (404, True)
    with pytest.raises(KeyError):
        server.file_bytes(run.run_id, "val/images", "a.png")


def test_one_answer_for_many_files(run) -> None:
    urls = announce(run, {}, {"fileName": "b.png"}, {"logName": "other"})
    assert [list(each) for each in urls["val/images"]] == [["a.png"], ["b.png"]]
    assert [list(each) for each in urls["other"]] == [["a.png"]]
    assert len({url for each in urls.values() for file in each for url in file.values()}) == 3


@pytest.mark.parametrize(
    "name", ["é ü.png", "100%.png", "a b+c&d=e?f#g.png", "..png", "x" * 300, "new\nline"]
)
def test_any_name_is_a_key_and_no_path(run, server: RehearsalServer, name: str) -> None:
    url = announce(run, {"fileName": name})["val/images"][0][name]
    assert upload(url, name.encode()).status_code == 200
    assert server.file_bytes(run.run_id, "val/images", name) == name.encode()


def test_a_name_that_climbs_ends_elsewhere_and_is_refused(run) -> None:
    # HTTP clients resolve dot segments before they send, so the signature is another key's
    url = announce(run, {"fileName": "../up.png"})["val/images"][0]["../up.png"]
    assert upload(url, b"abc").status_code == 403


def test_urls_expire(run, server: RehearsalServer, clock) -> None:
    url = announce(run, {})["val/images"][0]["a.png"]
    clock.pass_seconds(3600)
    assert upload(url, b"abc").status_code == 200
    clock.pass_seconds(1)
    answer = upload(url, b"abc")
    assert answer.status_code == 403
    assert "<Code>AccessDenied</Code><Message>Request has expired</Message>" in answer.text
    server.settings.presign_seconds = 0.5
    url = announce(run, {})["val/images"][0]["a.png"]
    clock.pass_seconds(1)
    assert upload(url, b"abc").status_code == 403


@pytest.mark.parametrize(
    ("file_type", "content_type", "status"),
    [
        ("png", "image/png", 200),
        ("png", "application/octet-stream", 403),
        ("PNG", "image/png", 200),
        ("npy", "npy", 200),
        ("npy", "application/octet-stream", 403),
        ("yml", "application/x-yaml", 200),
        ({"custom": "text/x-log"}, "text/x-log", 200),
    ],
)
def test_older_servers_sign_the_content_type(
    run, server: RehearsalServer, file_type: Any, content_type: str, status: int
) -> None:
    url = announce(run, {"fileType": file_type})["val/images"][0]["a.png"]
    assert upload(url, b"abc", "anything/else").status_code == 200
    server.settings.sign_content_type = True
    url = announce(run, {"fileType": file_type})["val/images"][0]["a.png"]
    assert upload(url, b"abc", content_type).status_code == status


@pytest.mark.parametrize(
    ("sent", "stored"),
    [("png", "png"), ("YML", "yaml"), ("npy", "npy"), ("", ""), ({"custom": "text/x-log"}, "text/x-log")],
)
def test_the_type_of_a_file_as_it_reads_back(run, sent: Any, stored: str) -> None:
    announce(run, {"fileType": sent})
    assert run.get("files")["files"][0]["fileType"] == stored


def test_a_url_is_good_for_one_key_and_one_method(run) -> None:
    url = announce(run, {})["val/images"][0]["a.png"]
    assert upload(url.replace("a.png", "b.png"), b"abc").status_code == 403
    assert httpx.get(url).status_code == 403
    assert httpx.put(url.partition("?")[0], content=b"abc").status_code == 403


def test_a_bucket_wants_to_know_the_length(run) -> None:
    url = announce(run, {})["val/images"][0]["a.png"]
    answer = upload(url, iter([b"abc"]))
    assert (answer.status_code, "MissingContentLength" in answer.text) == (411, True)


def test_an_upload_that_breaks_off_leaves_nothing(run, server: RehearsalServer) -> None:
    url = announce(run, {})["val/images"][0]["a.png"]

    def broken() -> Any:
        yield b"half"
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        httpx.put(url, content=broken(), headers={"Content-Type": "image/png", "Content-Length": "8"})
    with pytest.raises(KeyError):
        server.file_bytes(run.run_id, "val/images", "a.png")


def test_a_large_upload_streams(run, server: RehearsalServer) -> None:
    url = announce(run, {})["val/images"][0]["a.png"]
    piece = bytes(range(256)) * 4096
    headers = {"Content-Type": "image/png", "Content-Length": str(20 * len(piece))}
    assert httpx.put(url, content=(piece for _ in range(20)), headers=headers, timeout=60).status_code == 200
    assert server.file_bytes(run.run_id, "val/images", "a.png") == piece * 20


@pytest.mark.parametrize(
    "wrong",
    [
        {"step": None},
        {"step": -1},
        {"step": 1.0},
        {"time": "5"},
        {"fileSize": None},
        {"fileName": None},
        {"logName": 5},
        {"fileType": 5},
        {"sampleIndex": 2**32},
        {"caption": 5},
    ],
)
def test_wrong_announcements(run, server: RehearsalServer, wrong: dict[str, Any]) -> None:
    answer = run.http.post("/files", json={"files": [FILE, {**FILE, **wrong}]}, headers=run.headers)
    assert answer.status_code == 422
    assert server.stats()["file_rows"] == 0


def test_unknown_members_are_ignored(run) -> None:
    assert announce(run, {"annotations": "{}", "anything": 1})


def test_failures_have_their_own_status(run, server: RehearsalServer) -> None:
    body = json.dumps({"files": [FILE]})
    headers = {**run.headers, "Content-Type": "application/json"}

    def post(content: str, **other: str) -> tuple[int, str]:
        answer = run.http.post("/files", content=content, headers={**headers, **other})
        return answer.status_code, answer.text

    assert post(body, **{"Content-Type": "text/plain"})[0] == 415
    assert post("{nonsense")[0] == 400
    assert post('{"files":5}')[0] == 422
    assert post(body + " " * 2_100_000)[0] == 413
    status, text = post(body, Authorization="Bearer mlps_wrong")
    assert (status, json.loads(text)) == (401, {"code": "INVALID_TOKEN", "message": "Invalid API key"})
    status, text = post(body, **{"X-Project-Name": "a\tb"})
    assert (status, json.loads(text)["code"]) == (400, "INVALID_HEADER_FORMAT")
    with pytest.raises(httpx.RemoteProtocolError):  # the real service panics
        post(body, **{"X-Run-Id": "RUN-1"})
    assert server.stats()["file_rows"] == 0
    assert post(body)[0] == 200


def test_at_most_a_thousand_files_are_listed(run) -> None:
    announce(run, *({"fileName": f"{i}.png", "logName": "many"} for i in range(1001)))
    announce(run, {})
    assert len(run.get("files", logName="many")["files"]) == 1000
    assert len(run.get("files", logName="val/images")["files"]) == 1
