"""An export into a bucket is one into a folder: the same rows, few requests, and nothing lost to faults."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from neptune_exporter import open_dataset
from neptune_exporter.dataset import Dataset
from neptune_exporter.location import Location, options_of
from neptune_exporter.model import RunKey
from neptune_exporter.testing.facts import Facts, facts_of_exported

from . import store_server
from .store_server import Request as StoreRequest
from .store_server import StoreServer
from .test_export_crashes import arguments, assert_same, undisturbed

__all__ = ["undisturbed"]

pytest.importorskip("moto")
PLACES = ("-d", "s3://bucket/exports/data", "-f", "s3://bucket/exports/files")
REHEARSED = ("load", "--loader", "pluto", "--pluto-rehearse")
TWO = ("--executor", "processes", "-j", "2")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[StoreServer]:
    """An empty bucket; in the environment is what leads there."""
    with store_server.running() as server:
        for name, value in {**store_server.ENVIRONMENT, "AWS_ENDPOINT_URL": server.url}.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def bucket(store: StoreServer) -> Dataset:
    """The dataset in the bucket, to be read by this process."""
    given = options_of([f"endpoint_url={store.url}"])
    return Dataset(*(Location.of(f"s3://bucket/exports/{name}", given) for name in ("data", "files")))


def holdings(dataset: Dataset) -> dict[RunKey, Facts]:
    dataset.data.forget()
    dataset.file_storage.forget()
    runs = list(dataset.runs())
    assert all(run.complete for run in runs)
    return {run.key: facts_of_exported(run) for run in runs}


def names(store: StoreServer) -> list[str]:
    found = store_server.client(store).list_objects_v2(Bucket=store_server.BUCKET)
    return [each["Key"] for each in found.get("Contents", [])]


def requests_of_runs(store: StoreServer, dataset: Dataset) -> dict[str, tuple[list[StoreRequest], int]]:
    """By run: the requests that its export took, and how many parts and files it has."""
    from neptune_exporter.dataset.format.run_locks import lock_path

    came, counted = list(store.requests), {}
    for run in dataset.runs():
        assert run.receipt is not None
        lock, stem = lock_path(run.place), run.place.stem
        took = [r for r in came if stem in r.path or stem in r.query or lock in r.path]
        counted[run.key.run_id] = took, len(run.receipt.parts) + run.receipt.files
    return counted


def sent(output: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith(("sent", "compared"))]


@pytest.mark.parametrize("executor", [(), TWO], ids=["threads", "processes"])
def test_a_bucket_gets_what_a_folder_gets_in_few_requests(  # type: ignore[no-untyped-def]
    executor, store, bucket, offline_folder, undisturbed, command_line
):
    command_line.run(*arguments(offline_folder, *PLACES, *executor))
    counted = requests_of_runs(store, bucket)
    assert_same(holdings(bucket), undisturbed)
    assert len(counted) == 3
    for run, (requests, objects) in counted.items():
        assert len(requests) <= 2 * objects + 6, (run, requests)
    store.requests.clear()
    again = command_line.run(*arguments(offline_folder, *PLACES, *executor))
    assert "acme/crash       3         0           3       0" in again.output, again.output
    assert {r.path for r in store.requests if r.method == "PUT"} == {
        f"/bucket/exports/{folder}/.neptune-exporter/lock.parquet" for folder in ("data", "files")
    }
    assert not [r for r in store.requests if "_part_" in r.path], "nothing is transferred"
    assert not [name for name in names(store) if "writing" in name or "lock" in name]
    assert "3 runs checked" in command_line.run("verify", *PLACES).output


def test_parts_alone_take_less(store, bucket, offline_folder, command_line):  # type: ignore[no-untyped-def]
    command_line.run(*arguments(offline_folder, *PLACES, "-c", "parameters"))
    assert all(
        objects == 1 and len(requests) <= 8 for requests, objects in requests_of_runs(store, bucket).values()
    )


def test_a_changed_run_replaces_the_old_one_when_its_receipt_does(  # type: ignore[no-untyped-def]
    store, bucket, offline_folder, undisturbed, command_line
):
    command_line.run(*arguments(offline_folder, *PLACES, "-c", "parameters"))
    command_line.run(*arguments(offline_folder, *PLACES))
    command_line.run(*arguments(offline_folder, *PLACES, "--force"))
    assert_same(holdings(bucket), undisturbed)
    assert sum("_part_" in name for name in names(store)) == 3
    command_line.run("verify", *PLACES)


@pytest.mark.parametrize(
    "failpoint",
    ["dataset.file-written", "dataset.part-renamed", "dataset.before-receipt", "dataset.published"],
)
def test_killed_anywhere_and_run_again(  # type: ignore[no-untyped-def]
    failpoint, store, bucket, offline_folder, undisturbed, command_line
):
    command_line.run(*arguments(offline_folder, *PLACES, "-c", "parameters"))
    command_line.run_until_killed(failpoint, *arguments(offline_folder, *PLACES, "--force"))
    refused = command_line.run(*arguments(offline_folder, *PLACES), expect=1)
    assert re.search(
        r"s3://bucket/exports/data is being written by process \d+ on \S+ since \S+ "
        r"\(last sign of life \d+ s ago\)",
        refused.output,
    ), refused.output
    store_server.age("lock.parquet", 400)
    command_line.run(*arguments(offline_folder, *PLACES))
    assert_same(holdings(bucket), undisturbed)
    assert not [name for name in names(store) if "writing" in name]
    assert "everything is as it should be" in command_line.run("verify", *PLACES).output


def test_slow_down_and_broken_connections_are_waited_out(  # type: ignore[no-untyped-def]
    store, bucket, offline_folder, undisturbed, command_line
):
    slow = store_server.error("503 Slow Down", "SlowDown", "Please reduce your request rate.")
    faults = {0: slow, 3: ("", b"")}
    store.fault = lambda request: faults.get(len(store.requests) % 9)
    command_line.run(*arguments(offline_folder, *PLACES))
    store.fault = lambda request: None
    assert_same(holdings(bucket), undisturbed)
    command_line.run("verify", *PLACES)


def test_a_token_that_expires_is_one_clear_line(  # type: ignore[no-untyped-def]
    store, bucket, offline_folder, undisturbed, command_line
):
    expired = store_server.error("400 Bad Request", "ExpiredToken", "The provided token has expired.")
    store.fault = lambda request: expired if "_part_" in request.path else None
    done = command_line.run(
        *arguments(offline_folder, *PLACES), expect=1, AWS_SESSION_TOKEN="old-session-token"
    )
    (line,) = [line for line in done.output.splitlines() if "expired" in line]
    assert "_part_0.parquet cannot be written: The provided token has expired" in line
    assert "renew the credentials of the store and run again" in line
    assert "old-session-token" not in done.output and "Traceback" not in done.output
    store.fault = lambda request: None
    command_line.run(*arguments(offline_folder, *PLACES))
    assert_same(holdings(bucket), undisturbed)


def test_an_object_that_appears_late_is_waited_for(  # type: ignore[no-untyped-def]
    store, bucket, offline_folder, undisturbed, command_line
):
    command_line.run(*arguments(offline_folder, *PLACES))
    missing = store_server.error("404 Not Found", "NoSuchKey", "The specified key does not exist.")
    seen: set[str] = set()

    def late(request: store_server.Request) -> tuple[str, bytes] | None:
        if request.method != "GET" or not request.path.endswith(".parquet") or request.path in seen:
            return None
        seen.add(request.path)
        return missing

    store.fault = late
    assert_same(holdings(bucket), undisturbed)
    assert len(seen) == 6, "receipts and parts"


def test_uploads_that_were_cut_off_are_taken_back(store, offline_folder, command_line):  # type: ignore[no-untyped-def]
    client = store_server.client(store)
    for name in ("exports/data/acme/part", "of-another/part"):
        client.create_multipart_upload(Bucket="bucket", Key=name)
    command_line.run(*arguments(offline_folder, *PLACES))
    left = client.list_multipart_uploads(Bucket="bucket").get("Uploads", [])
    assert [each["Key"] for each in left] == ["of-another/part"]


def test_a_load_from_a_bucket_sends_what_one_from_a_folder_sends(  # type: ignore[no-untyped-def]
    store, offline_folder, command_line
):
    command_line.run(*arguments(offline_folder, *PLACES))
    done = command_line.run(*REHEARSED, *PLACES)
    from_folder = command_line.run(*arguments(offline_folder)) and command_line.run(*REHEARSED)
    assert "3 runs loaded" in done.output
    assert sent(done.output) == sent(from_folder.output)


def test_a_summary_says_where(store, offline_folder, command_line):  # type: ignore[no-untyped-def]
    command_line.run(*arguments(offline_folder, *PLACES))
    output = command_line.run("summary", *PLACES).output
    assert "in s3://bucket/exports/data" in output and "in 5 files in s3://bucket/exports/files" in output


def test_options_of_the_store_come_from_everywhere_and_are_shown_nowhere(  # type: ignore[no-untyped-def]
    store, bucket, offline_folder, undisturbed, command_line
):
    (command_line.folder / "neptune-exporter.toml").write_text(
        f'[general]\ndata_path = "{PLACES[1]}"\nfiles_path = "{PLACES[3]}"\n'
        f'storage_option = ["endpoint_url={store.url}", "key=key-in-file", "secret=secret-in-file"]\n'
    )
    given = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_SESSION_TOKEN": "token-of-session"}
    command_line.run(*arguments(offline_folder), **given)
    assert_same(holdings(bucket), undisturbed)
    refused = store_server.error("403 Forbidden", "InvalidAccessKeyId", "No such key.")
    store.fault = lambda request: refused
    variable = f"endpoint_url={store.url}\nkey=key-in-variable\nsecret=secret-in-variable"
    done = command_line.run(
        *("summary", "-vv", "--log-file", "log.txt"),
        **{**given, "NEPTUNE_EXPORTER_STORAGE_OPTION": variable},
        expect=1,
    )
    pairs = (f"endpoint_url={store.url}", "key=key-in-flag", "secret=secret-in-flag", "token=token-of-flag")
    flags = [text for pair in pairs for text in ("--storage-option", pair)]
    flagged = command_line.run("summary", *flags, expect=1, **given)
    assert "InvalidAccessKeyId" in done.output and "check the credentials of the store" in flagged.output
    log = (command_line.folder / "log.txt").read_text()
    assert "botocore" in log or "s3fs" in log
    shown = log + done.output + flagged.output
    assert not re.search(r"(key|secret)-in-(file|variable|flag)|token-of-(session|flag)", shown)


def test_the_explorer_shows_of_a_bucket_what_it_shows_of_a_folder(  # type: ignore[no-untyped-def]
    store, offline_folder, command_line
):
    command_line.run(*arguments(offline_folder, *PLACES))
    command_line.run(*arguments(offline_folder))
    shown = [_shown_by_explorer(where) for where in ("s3://bucket/exports", command_line.folder / "exports")]
    assert len(shown[0]) == 3 * 5 + 5, "five pages of each run, and five files"
    assert shown[0] == shown[1]


def _shown_by_explorer(where: str | Path) -> dict[str, bytes]:
    """What each page of each run is made of, and each file."""
    from starlette.testclient import TestClient

    from neptune_exporter_explorer.app import make_app

    app = make_app(open_dataset(where), {"127.0.0.1:8000"})
    client = TestClient(app, base_url="http://127.0.0.1:8000")
    app.state.table.wait()
    try:
        asked = {}
        for row in client.get("/api/runs").json()["rows"]:
            for page in ("run", "parameters", "attributes", "files", "points?attribute=train/loss"):
                page, _, rest = page.partition("?")
                asked[row["name"], page] = client.get(f"/api/{page}?run={row['name']}&{rest}")
            for file in asked[row["name"], "files"].json()["files"]:
                asked[row["name"], file["path"]] = client.get("/file", params={"run": row["name"], **file})
        assert {each.status_code for each in asked.values()} == {200}
        return {key: answer.content for key, answer in asked.items()}
    finally:
        app.state.table.stop()
