"""Requests that are sent ahead and read later, by one thread and past `requests`."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable

import pytest

from neptune_exporter.contract import RunSelection, Secret, Source
from neptune_exporter.testing.loopback import Request, Response
from neptune_exporter.toolkit import Patience
from neptune_exporter_neptune2 import series
from neptune_exporter_neptune2.api import LEADERBOARD, Api
from neptune_exporter_neptune2.client import Connection
from neptune_exporter_neptune2.values import Attribute, attributes_of
from neptune_exporter_neptune2_server import FakeProject, Fault, FloatSeries, Neptune2Server

from .conftest import Serve

CONNECTIONS = 4


@pytest.fixture
def server(serve: Serve) -> Neptune2Server:
    project = FakeProject("team", "cats")
    project.add_run({f"m{n}": FloatSeries([float(n)]) for n in range(6)})
    return serve(project)


@pytest.fixture
def api(server: Neptune2Server) -> Api:
    return Api(Connection(Secret(server.tokens.api_token), CONNECTIONS, 5), Patience(5.0, first_wait=0.01))


@pytest.fixture
def handle(server: Neptune2Server, connect: Callable[..., Source]) -> str:
    (run,) = connect(server).runs("team/cats", RunSelection())
    return run.handle


def series_of(api: Api, handle: str) -> list[Attribute]:
    attributes = api.get(f"{LEADERBOARD}/attributes", {"experimentId": handle}, attributes_of)
    return [each for each in attributes if each.path.startswith("m")]


def test_several_are_under_way_at_once_and_read_in_order(
    server: Neptune2Server, api: Api, handle: str
) -> None:
    pages = series.first_pages(api, handle, series_of(api, handle), CONNECTIONS)
    first = next(pages)
    deadline = time.monotonic() + 30
    while sum("/series/float" in request.path for request in server.requests) < CONNECTIONS:
        assert time.monotonic() < deadline, "the others were not sent before their answers are wanted"
        time.sleep(0.01)
    found = [outcome.result() for outcome in (first, *pages)]
    assert [page.values.to_pylist() for page in found] == [[float(n)] for n in range(6)]


@pytest.mark.parametrize(
    "fault", [Fault("/series/float", drop=True), Fault("/series/float", cut_after=10)], ids=["dropped", "cut"]
)
def test_what_breaks_is_asked_for_once_more_and_the_rest_too(
    server: Neptune2Server, api: Api, handle: str, fault: Fault
) -> None:
    wanted = series_of(api, handle)
    server.fail(fault)
    found = [outcome.result() for outcome in series.first_pages(api, handle, wanted, CONNECTIONS)]
    assert [page.values.to_pylist() for page in found] == [[float(n)] for n in range(6)]


def test_no_connection_is_kept_from_others_if_reading_ends_early(
    server: Neptune2Server, api: Api, handle: str
) -> None:
    wanted = series_of(api, handle)
    for _ in range(3):
        pages = series.first_pages(api, handle, wanted, CONNECTIONS)
        next(pages)
        pages.close()
    path, params = f"{LEADERBOARD}/attributes", {"experimentId": handle}
    asked = [api.ask(path, params) for _ in range(CONNECTIONS + 1)]
    assert [each is None for each in asked] == [False] * CONNECTIONS + [True]
    for each in asked:
        if each is not None:
            each.discard()


def test_an_error_is_judged_by_its_one_answer(server: Neptune2Server, api: Api, handle: str) -> None:
    (first, *_) = series_of(api, handle)
    server.requests.clear()
    server.fail(Fault("/series/float", status=403, body=b"{}", times=9))
    (outcome,) = series.first_pages(api, handle, [first], 1)
    assert outcome.error is not None and "403" in str(outcome.error)
    assert len(server.requests) == 1


def test_a_compressed_answer_is_read(server: Neptune2Server, api: Api) -> None:
    body = gzip.compress(json.dumps({"n": 1}).encode())

    def answer(request: Request) -> Response:
        assert "gzip" in (request.headers.get("accept-encoding") or "")
        return Response(200, body, headers={"Content-Encoding": "gzip"})

    server.route("GET", "/api/leaderboard/v1/compressed", answer)
    assert api.get(f"{LEADERBOARD}/compressed", {"a": "b c&d"}, lambda found: found["n"]) == 1


def test_cookies_and_redirections_count_here_too(server: Neptune2Server, api: Api) -> None:
    moved = {"Location": f"{LEADERBOARD}/there", "Set-Cookie": "seen=1; Path=/"}
    seen: list[str | None] = []

    def there(request: Request) -> Response:
        seen.append(request.headers.get("cookie"))
        return Response.of_json({"q": request.param("q")})

    server.route("GET", "/api/leaderboard/v1/moved", lambda request: Response(302, b"", headers=moved))
    server.route("GET", "/api/leaderboard/v1/there", there)
    api.get(f"{LEADERBOARD}/moved", {"q": "ä/ö"}, lambda found: found["q"])
    api.get(f"{LEADERBOARD}/there", {"q": "ä/ö"}, lambda found: found["q"])
    assert seen == ["seen=1", "seen=1"]
