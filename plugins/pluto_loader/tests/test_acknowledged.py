"""An answer of 200 is not proof: what is not Pluto's own answer is never counted as sent."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from neptune_exporter.contract import LoadedRun, LoadOptions, SinkError
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.loopback import Fault
from neptune_exporter_pluto import ordered_ingest
from neptune_exporter_pluto.form import metric_lines
from neptune_exporter_pluto.form.losses import LossCode
from neptune_exporter_pluto.service.storage import not_stored
from neptune_exporter_pluto.sink import PlutoSink
from neptune_exporter_pluto_server import RehearsalServer, faults

from .killed_load import everything, settings
from .test_ordered_ingest import check, load_once

ROUTES = [
    "^/ingest/metrics$",
    "^/ingest/data$",
    "^/ingest/logs$",
    "^/files$",
    "^/storage/",
    "^/api/runs/create$",
    "^/api/runs/status/update$",
    "^/api/runs/logName/add$",
    "^/api/runs/notes/update$",
    "^/api/runs/config/update$",
    "^/api/runs/details/",
]
BODIES = {"html": faults.LOGIN_PAGE, "null": b"null", "empty": b"", "other": b'{"success":false}'}


@pytest.fixture(autouse=True)
def small_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordered_ingest, "BODY_BYTES", 4_000)
    monkeypatch.setattr(metric_lines, "BODY_BYTES", 4_000)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RehearsalServer, int]]:
    with RehearsalServer(reaper_interval=None) as server:
        loaded = load_once(server, tmp_path_factory.mktemp("reference"))
        yield server, int(loaded.target_id)


def load_impatiently(server: RehearsalServer, base_dir: Path) -> LoadedRun:
    run = MemoryRun(everything())
    impatient = replace(settings(server.url, server.api_key or "", base_dir), retry_for=0.5)
    sink = PlutoSink.connected(impatient, LoadOptions(), local=True)
    try:
        return sink.load(run, None)
    finally:
        sink.close()


@pytest.mark.parametrize(
    ("fault", "body"),
    [*((faults.page, body) for body in BODIES.values()), (faults.commit_then_page, faults.LOGIN_PAGE)],
    ids=[*BODIES, "html-after"],
)
@pytest.mark.parametrize("route", ROUTES)
def test_a_page_in_place_of_an_answer_loses_and_duplicates_nothing(
    server: RehearsalServer,
    reference: tuple[RehearsalServer, int],
    tmp_path: Path,
    route: str,
    fault: Callable[..., Fault],
    body: bytes,
) -> None:
    server.fail(fault(route, body))
    loaded = load_once(server, tmp_path)
    assert not server.faults, "it never went wrong"
    check(server, int(loaded.target_id), *reference)


@pytest.mark.parametrize("route", ROUTES)
def test_pages_for_ever_are_an_error_that_names_the_server_and_the_run(
    server: RehearsalServer, reference: tuple[RehearsalServer, int], tmp_path: Path, route: str
) -> None:
    server.fail(faults.page(route, times=10_000))
    with pytest.raises(SinkError, match=r"127\.0\.0\.1.* answered (200|with success, but) ") as told:
        load_impatiently(server, tmp_path)
    assert re.search(r"run (\d+|'baseline')", str(told.value))
    assert not (tmp_path / ".pluto_upload_cache.txt").exists(), "it counts as loaded"
    server.faults.clear()
    check(server, int(load_once(server, tmp_path).target_id), *reference)


@pytest.mark.parametrize("route", ["metrics", "data", "logs"])
@pytest.mark.parametrize("records", [0, 1, 10**6])
def test_another_number_of_records_is_no_acknowledgement(
    server: RehearsalServer,
    reference: tuple[RehearsalServer, int],
    tmp_path: Path,
    route: str,
    records: int,
) -> None:
    server.fail(faults.miscounted(f"^/ingest/{route}$", records))
    loaded = load_once(server, tmp_path)
    assert not server.faults, "it never went wrong"
    check(server, int(loaded.target_id), *reference)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_login_page_in_front_of_everything_ends_the_load_at_once(
    server: RehearsalServer, tmp_path: Path, body: bytes
) -> None:
    server.fail(faults.page(body=body, times=10_000))
    with pytest.raises(SinkError, match=r"http://127.*does not answer as Pluto does.*PLUTO_URL_API"):
        PlutoSink.connected(settings(server.url, server.api_key or "", tmp_path), LoadOptions(), local=True)
    assert len(server.requests) == 1


@pytest.mark.parametrize("etag", [None, "0" * 32], ids=["none", "other"])
def test_a_file_that_was_stored_otherwise_is_put_again(
    server: RehearsalServer, reference: tuple[RehearsalServer, int], tmp_path: Path, etag: str | None
) -> None:
    server.fail(faults.stored_otherwise(etag, times=2, skip=3))
    loaded = load_once(server, tmp_path)
    assert not server.faults, "it never went wrong"
    check(server, int(loaded.target_id), *reference)


@pytest.mark.parametrize("status", [401, 403])
def test_a_storage_that_refuses_once_leaves_no_loss(
    server: RehearsalServer, reference: tuple[RehearsalServer, int], tmp_path: Path, status: int
) -> None:
    server.fail(faults.storage_refuses(status, times=1))
    loaded = load_once(server, tmp_path)
    assert not server.faults, "it never went wrong"
    assert not [loss for loss in loaded.losses if loss.reason == LossCode.FILE_LISTED_TWICE]
    check(server, int(loaded.target_id), *reference)


def test_a_second_listing_is_told_by_the_load_that_made_it_only(
    server: RehearsalServer, tmp_path: Path
) -> None:
    expired = b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
    server.fail(Fault("^/storage/", method="PUT", status=403, body=expired))
    first = load_once(server, tmp_path)
    assert [loss.reason for loss in first.losses if loss.reason == LossCode.FILE_LISTED_TWICE]
    again = load_once(server, tmp_path)
    assert again.already_loaded
    assert not [loss for loss in again.losses if loss.reason == LossCode.FILE_LISTED_TWICE]


def answer(etag: str | None, body: bytes = b"", host: str = "bucket.s3.amazonaws.com", **headers: str) -> str:
    """What is wrong with the answer of a storage to the PUT of `b"abc"`; empty: nothing."""
    given = {**headers} if etag is None else {"ETag": etag, **headers}
    response = httpx.Response(
        200,
        headers=given,
        content=body,
        request=httpx.Request("PUT", f"https://{host}/a/b?X-Amz-Signature=s"),
    )
    problem = not_stored(response, hashlib.md5(b"abc").hexdigest()) or ""
    assert "Signature" not in problem
    return problem


def test_what_storages_answer() -> None:
    md5, other = hashlib.md5(b"abc").hexdigest(), hashlib.md5(b"abd").hexdigest()
    keyed = {"x-amz-server-side-encryption": "aws:kms"}
    customer = {"x-amz-server-side-encryption-customer-algorithm": "AES256"}
    assert not answer(f'"{md5}"')
    assert not answer(md5.upper())
    assert not answer(f'W/"{md5}"')
    assert not answer(f'"{md5}"', **{"x-amz-server-side-encryption": "AES256"})
    assert not answer(f'"{other}"', **keyed)
    assert not answer(f'"{other}"', **customer)
    assert not answer(f'"{other}"', host="bucket--use1-az5--x-s3.s3express-use1-az5.us-east-1.amazonaws.com")
    assert not answer('"00000000000000000000000000000000-1"')
    assert "MD5" in answer(f'"{other}"')
    assert "MD5" in answer(f'"{other}"', **{"x-amz-server-side-encryption": "AES256"})
    assert "without the ETag" in answer(None)
    assert "without the ETag" in answer(None, faults.LOGIN_PAGE)
    assert "not as S3 does" in answer('"5f3c-61a2b"', faults.LOGIN_PAGE)
    assert "not as S3 does" in answer(f'"{other}"', faults.LOGIN_PAGE, **keyed)
