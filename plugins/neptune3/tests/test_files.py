"""Files arrive whole in spite of faults on the way, and a file that cannot is reported."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from neptune_exporter.testing.loopback import Fault, Request, Response
from neptune_exporter_neptune3_server import (
    SIGN_PATH,
    STORAGE_PATH,
    FakeFile,
    FakeProject,
    FakeRun,
    FileSeries,
    Value,
)

from .conftest import PROJECT, Exporting

Exports = Callable[..., Exporting]
LARGE = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(60_000))


def content(export: Exporting, path: str, run_id: str = "r") -> list[bytes]:
    (run,) = (run for run in export.dataset.runs(PROJECT) if run.key.run_id == run_id)
    found = []
    for value in export.values(run_id, path, "file_value"):
        with run.open_file(value["path"]) as stream:
            found.append(stream.read())
    return found


@pytest.mark.parametrize("provider", ["gcp", "aws", "azure"])
@pytest.mark.parametrize("ranges", [True, False])
def test_resumes_where_the_connection_broke(exporting: Exports, provider: str, ranges: bool) -> None:
    export = exporting(FakeProject(PROJECT, [FakeRun("r", {"f": FakeFile(LARGE)})]), provider=provider)
    export.server.objects.ranges = ranges
    for cut in (700_000, 900_000):
        export.server.fail(Fault(path=STORAGE_PATH, cut_after=cut))
    export.server.fail(Fault(path=STORAGE_PATH, status=503, skip=1))
    assert export(settings={"retry_seconds": 20}).complete
    assert content(export, "f") == [LARGE]
    statuses = [each.status for each in export.server.requests if each.path.startswith(STORAGE_PATH)]
    assert (206 in statuses) == ranges
    (row,) = [row for row in export.rows("r") if row["attribute_path"] == "f"]
    assert row["file_size"] == len(LARGE)
    assert row["file_sha256"] == hashlib.sha256(LARGE).hexdigest()


@pytest.mark.parametrize("provider", ["gcp", "aws", "azure"])
def test_signs_anew_what_has_expired(exporting: Exports, provider: str) -> None:
    files = FileSeries(range(5), [FakeFile(b"%d" % n) for n in range(5)])
    export = exporting(FakeProject(PROJECT, [FakeRun("r", {"f": files})]), provider=provider)
    export.server.objects.url_lifetime = -1.0
    handle = export.server.objects.sign

    def signing(request: Any, url: str) -> Any:
        answer = handle(request, url)
        export.server.objects.url_lifetime = 60.0
        return answer

    export.server.objects.sign = signing  # type: ignore[method-assign]
    assert export().complete
    assert content(export, "f") == [b"%d" % n for n in range(5)]


def test_a_store_may_send_to_another_place(exporting: Exports) -> None:
    export = exporting(FakeProject(PROJECT, [FakeRun("r", {"f": FakeFile(b"moved")})]))
    handle = export.server.handle

    def moving(request: Any) -> Any:
        if not request.path.startswith(STORAGE_PATH) or request.param("moved"):
            return handle(request)
        query = urlencode({**{name: values[0] for name, values in request.query.items()}, "moved": "1"})
        return Response(307, headers={"Location": f"{quote(request.path)}?{query}"})

    export.server.handle = moving  # type: ignore[method-assign]
    assert export().complete
    assert content(export, "f") == [b"moved"]


def test_a_url_that_is_never_good_is_given_up(exporting: Exports) -> None:
    export = exporting(FakeProject(PROJECT, [FakeRun("r", {"f": FakeFile(b"x"), "n": 1})]), provider="aws")
    export.server.objects.url_lifetime = -1.0
    (failure,) = export(settings={"retry_seconds": 20}).failures
    assert failure.attribute_path == "f"
    assert "403" in failure.message
    assert "Signature" not in failure.message
    assert export.values("r", "n", "int_value") == [1]


def test_a_missing_blob_costs_itself_only(exporting: Exports) -> None:
    files = [FakeFile(b"0"), FakeFile(b"1", missing=True), FakeFile(b"2")]
    held: dict[str, Value | None] = {
        "s": FileSeries([0, 0.5, 1], files),
        "gone": FakeFile(b"x", missing=True),
        "there": FakeFile(b"y"),
    }
    project = FakeProject(PROJECT, [FakeRun("r", dict(held))])
    export = exporting(project)
    failures = {f.attribute_path: f.message for f in export().failures}
    assert failures.keys() == {"s", "gone"}
    assert "step 0.5" in failures["s"]
    assert "not in Neptune's object store" in failures["gone"]
    assert content(export, "s") == [b"0", b"2"]
    assert content(export, "there") == [b"y"]
    project.runs[0].attributes["s"] = FileSeries([0, 0.5, 1], [files[0], FakeFile(b"1"), files[2]])
    assert {f.attribute_path for f in export().failures} == {"gone"}
    assert content(export, "s") == [b"0", b"1", b"2"]


@pytest.mark.parametrize("listed", [1, 100])
def test_a_file_of_another_size_than_listed_is_not_taken_for_it(exporting: Exports, listed: int) -> None:
    held: dict[str, Value | None] = {"f": FakeFile(b"twelve bytes", size_bytes=listed)}
    export = exporting(FakeProject(PROJECT, [FakeRun("r", dict(held))]))
    (failure,) = export().failures
    assert failure.message == f"the file has {listed} bytes and the server sent 12"
    assert content(export, "f") == []
    assert export().failures == [failure], "what is not what it should be is passed over"


@pytest.mark.parametrize("only", [0, 3])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_short_body_is_no_file_and_the_next_export_has_it(
    exporting: Exports, only: int, chunked: bool
) -> None:
    export = exporting(FakeProject(PROJECT, [FakeRun("r", {"f": FakeFile(b"weights")})]))
    export.server.fail(Fault(path=f"^{STORAGE_PATH}", only=only, chunked=chunked, times=1000))
    (failure,) = export().failures
    assert failure.attribute_path == "f"
    assert failure.message == f"the file has 7 bytes and the server sent {only}"
    assert content(export, "f") == []
    export.server.faults.clear()
    assert export().complete
    assert content(export, "f") == [b"weights"]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_short_body_that_comes_once_costs_nothing(exporting: Exports, chunked: bool) -> None:
    export = exporting(FakeProject(PROJECT, [FakeRun("r", {"f": FakeFile(b"weights")})]))
    export.server.fail(Fault(path=f"^{STORAGE_PATH}", only=3, chunked=chunked))
    assert export().complete
    assert content(export, "f") == [b"weights"]


def test_a_page_of_a_proxy_is_not_taken_for_the_file(exporting: Exports) -> None:
    """A portal that asks to log in answers 200, as often as it is asked."""
    export = exporting(FakeProject(PROJECT, [FakeRun("r", {"f": FakeFile(b"weights")})]))
    page = b"<html>Log in, please</html>"
    fault = export.server.fail(Fault(path=f"^{STORAGE_PATH}", status=200, body=page, times=1000))
    (failure,) = export().failures
    assert failure.message == f"the file has 7 bytes and the server sent {len(page)}"
    assert content(export, "f") == []
    export.server.faults.remove(fault)
    assert export().complete
    assert content(export, "f") == [b"weights"]


def test_an_empty_file_and_names(exporting: Exports) -> None:
    held: dict[str, Value | None] = {"empty": FakeFile(b""), "page": FakeFile(b"<p>", "text/html")}
    export = exporting(FakeProject(PROJECT, [FakeRun("r", dict(held))]))
    assert export().complete
    assert content(export, "empty") == [b""]
    assert export.values("r", "page", "file_value")[0]["path"].endswith(".html")


def test_several_connections_at_once_and_no_more_than_allowed(exporting: Exports) -> None:
    """Each download is held until as many are under way as may be."""
    export = exporting(
        FakeProject(PROJECT, [FakeRun("r", {f"f{n}": FakeFile(b"%d" % n) for n in range(12)})])
    )
    together = threading.Barrier(3)
    under_way: list[int] = []
    most: list[int] = []
    handle = export.server.handle

    def holding(request: Request) -> Response:
        if not request.path.startswith(STORAGE_PATH):
            return handle(request)
        under_way.append(1)
        together.wait(30)
        most.append(len(under_way))
        together.wait(30)
        under_way.pop()
        return handle(request)

    export.server.handle = holding  # type: ignore[method-assign]
    assert export(settings={"connections": 3}).complete
    assert set(most) == {3}


def test_a_file_reaches_the_disk_while_it_comes(exporting: Exports) -> None:
    """The second half is sent when the first is seen in the files folder: nothing waits in memory."""
    export = exporting(FakeProject(PROJECT, [FakeRun("r", {"f": FakeFile(LARGE)})]))
    handle = export.server.handle
    half = len(LARGE) // 2
    seen: list[int] = []

    def on_disk() -> int:
        return max((p.stat().st_size for p in (export.folder / "files").rglob("*") if p.is_file()), default=0)

    def halves() -> Iterator[bytes]:
        yield LARGE[:half]
        patience = time.monotonic() + 30
        while on_disk() < half // 2 and time.monotonic() < patience:
            time.sleep(0.01)
        seen.append(on_disk())
        yield LARGE[half:]

    def sending(request: Request) -> Response:
        if request.path.startswith(STORAGE_PATH):
            return Response(200, halves(), length=len(LARGE))
        return handle(request)

    export.server.handle = sending  # type: ignore[method-assign]
    assert export().complete
    assert seen[0] >= half // 2
    assert content(export, "f") == [LARGE]


def test_many_files_are_signed_together(exporting: Exports) -> None:
    files = FileSeries(range(450), [FakeFile(b"%d" % n) for n in range(450)])
    export = exporting(
        FakeProject(PROJECT, [FakeRun("r", {"f": files}), FakeRun("q", {"g": FakeFile(b"g")})])
    )
    assert export().complete
    assert content(export, "f") == [b"%d" % n for n in range(450)]
    assert content(export, "g", "q") == [b"g"]
    assert 3 <= sum(each.path == SIGN_PATH for each in export.server.requests) <= 4


def test_a_store_that_is_away_costs_its_files_only(exporting: Exports) -> None:
    export = exporting(FakeProject(PROJECT, [FakeRun("r", {"f": FakeFile(b"x"), "n": 1})]))
    export.server.fail(Fault(path=STORAGE_PATH, drop=True, times=10_000))
    (failure,) = export(settings={"retry_seconds": 1}).failures
    assert failure.attempts > 1
    export.server.faults.clear()
    assert export().complete
    assert content(export, "f") == [b"x"]


@pytest.mark.parametrize("expired", [False, True])
def test_a_file_that_is_left_out_of_an_answer_of_urls_costs_itself_only(
    exporting: Exports, expired: bool
) -> None:
    """Without being asked for again; also where its URL had expired and had to be renewed."""
    held: dict[str, Value | None] = {f"f{n}": FakeFile(b"%d" % n) for n in range(30)}
    export = exporting(FakeProject(PROJECT, [FakeRun("r", held)]))
    objects = export.server.objects
    sign = objects.sign

    calls: list[int] = []

    def leaving_out(request: Request, url: str) -> Response:
        calls.append(1)
        expires = expired and len(calls) == 1
        objects.url_lifetime = -1.0 if expires else 60.0
        answer = json.loads(sign(request, url).body)  # type: ignore[arg-type]
        if not expires:
            answer["files"] = [each for each in answer["files"] if "/f17/" not in each["path"]]
        return Response.of_json(answer)

    objects.sign = leaving_out  # type: ignore[method-assign]
    (failure,) = export(settings={"retry_seconds": 60}).failures
    assert (failure.attribute_path, failure.attempts) == ("f17", 1)
    assert failure.message == "the server gives no URL of the file"
    assert [content(export, path) for path in held if path != "f17"] == [
        [b"%d" % n] for n in range(30) if n != 17
    ]
    assert len(calls) == (31 if expired else 1)
