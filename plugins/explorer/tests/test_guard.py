"""Who may ask, and what the browser is told about the answers."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from neptune_exporter_explorer.guard import Guard

HOST = "127.0.0.1:8000"


def client(any_host: bool = False) -> TestClient:
    methods = ["GET", "POST"]
    app = Starlette(routes=[Route("/", lambda request: PlainTextResponse("here"), methods=methods)])
    return TestClient(Guard(app, {HOST, "localhost:8000"}, any_host), base_url=f"http://{HOST}")


def test_this_machine_is_answered() -> None:
    assert client().get("/").text == "here"
    assert client().get("/", headers={"host": "localhost:8000", "origin": f"http://{HOST}"}).text == "here"


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example:8000"},
        {"host": "127.0.0.1:9000"},
        {"host": ""},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
    ],
)
def test_other_sites_are_refused(headers: dict[str, str]) -> None:
    answer = client().get("/", headers=headers)
    assert answer.status_code == 403 and "here" not in answer.text


def test_a_link_from_another_site_opens_the_page() -> None:
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert client().get("/", headers=headers).text == "here"


def test_nothing_can_be_sent() -> None:
    assert client().post("/").status_code == 403


def test_every_answer_forbids_what_the_pages_do_not_need() -> None:
    for answer in (client().get("/"), client().get("/", headers={"host": "evil.example"})):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy


def test_where_it_listens_on_all_addresses_names_of_others_are_still_refused() -> None:
    assert client(any_host=True).get("/", headers={"host": "192.168.1.5:8000"}).text == "here"
    assert client(any_host=True).get("/", headers={"host": "evil.example:8000"}).status_code == 403
