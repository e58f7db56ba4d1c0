"""What the storage in a bucket does by itself: locks, large files, listings, and what it says of errors."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from neptune_exporter.contract import (
    AttributeRequest,
    AttributeSelection,
    DatasetError,
    Secret,
    SourceRun,
    UsageError,
)
from neptune_exporter.dataset import Dataset, Finding, record, verify
from neptune_exporter.dataset.format import encoding, object_lock, object_store, rowless, uploading
from neptune_exporter.dataset.format.layout import LOCK, UNFINISHED, Place
from neptune_exporter.dataset.format.object_storage import ObjectStorage
from neptune_exporter.jobs.summary import summarise_dataset
from neptune_exporter.location import Location, options_of
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.redaction import redact
from neptune_exporter.schema import SCHEMA, parameter_batch
from neptune_exporter.testing import old_layout

from . import store_server
from .store_server import StoreServer

pytest.importorskip("moto")
ADDRESS = "s3://bucket/exports/data"


@pytest.fixture(scope="module")
def server() -> Iterator[StoreServer]:
    with store_server.running() as running:
        yield running


@pytest.fixture
def store(server: StoreServer, monkeypatch: pytest.MonkeyPatch) -> StoreServer:
    """A bucket, and what leads there; empty but for what other tests left elsewhere."""
    for name, value in {**store_server.ENVIRONMENT, "AWS_ENDPOINT_URL": server.url}.items():
        monkeypatch.setenv(name, value)
    server.requests.clear()
    server.fault = lambda request: None
    return server


@pytest.fixture
def address(request: pytest.FixtureRequest) -> str:
    """A folder of the test's own."""
    return f"s3://bucket/{request.node.name.replace('[', '-').strip(']')}/data"


def storage(address: str) -> ObjectStorage:
    return ObjectStorage(Location.of(address))


def test_one_writer_and_who_it_is(store: StoreServer, address: str) -> None:
    one, other = storage(address), storage(address)
    with one.lock(), pytest.raises(DatasetError) as refused, other.lock():
        pass
    said = rf"{address} is being written by process {os.getpid()} on \S+ since \S+ \(last sign of life \d+ s"
    assert refused.match(said)
    with other.lock():  # it was given back
        pass


def test_a_lock_without_a_sign_of_life_is_taken_over_and_its_owner_writes_no_more(
    store: StoreServer, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_lock, "_CONFIRM", 0.0)
    one, other = storage(address), storage(address)
    with one.lock():
        store_server.age(f"{address.removeprefix('s3://bucket/')}/{LOCK}", object_lock.STALE + 1)
        with other.lock():
            one._locks[LOCK].alive -= object_lock.STALE  # as it was away so long
            with pytest.raises(DatasetError, match="was taken over by another process"):
                one.commit("a/_receipts/a.receipt.parquet", b"x")
        with pytest.raises(DatasetError, match="was taken over"):
            one.commit("a/_receipts/a.receipt.parquet", b"x")
    assert other.list("a") == []


def test_a_sign_of_life_keeps_a_lock(store: StoreServer, address: str) -> None:
    one, other = storage(address), storage(address)
    with one.lock():
        store_server.age(LOCK, object_lock.STALE + 1)
        one._locks[LOCK].beat()
        assert other.try_lock(LOCK) is None


def test_a_receipt_that_another_wrote_meanwhile_stays(store: StoreServer, address: str) -> None:
    path = "a/_receipts/a.receipt.parquet"
    one, other = storage(address), storage(address)
    for each in (one, other):
        each.look("a/_receipts")
    one.commit(path, b"first")
    with pytest.raises(DatasetError, match="was written by another process meanwhile: export again"):
        other.commit(path, b"second")
    other.forget()
    one.forget()
    other.look("a/_receipts")
    one.look("a/_receipts")
    other.commit(path, b"second")
    with pytest.raises(DatasetError, match="meanwhile"):
        one.commit(path, b"third")
    assert storage(address).read(path) == b"second"


def test_an_answer_that_was_lost_is_no_conflict(store: StoreServer, address: str) -> None:
    """The store has the object, the connection breaks, and the client sends the request again."""
    path = "a/_receipts/a.receipt.parquet"
    broken = []

    def once(request: store_server.Request) -> tuple[str, bytes] | None:
        if request.method == "PUT" and not broken:
            broken.append(request)
            key = request.path.removeprefix("/bucket/")
            store_server.client(store).put_object(Bucket="bucket", Key=key, Body=b"mine")
            return "", b""
        return None

    store.fault = once
    one = storage(address)
    one.look("a/_receipts")
    one.commit(path, b"mine")
    assert broken and one.read(path) == b"mine"


def test_a_large_file_goes_up_and_comes_back_in_pieces(
    store: StoreServer, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "_UPLOAD_BYTES", 5 << 20)  # the least that S3 takes
    one = storage(address)
    content = os.urandom(11 << 20)
    temporary = f"{UNFINISHED}/large"
    one.create_whole(temporary, content)
    store.requests.clear()
    one.move(temporary, "files/large")
    assert sum("partNumber" in request.query for request in store.requests) == 3
    fresh = storage(address)
    store.requests.clear()
    with fresh.open_bytes("files/large") as stream:
        stream.seek(9 << 20)
        assert stream.read(1000) == content[9 << 20 : (9 << 20) + 1000]
        stream.seek(0)
        assert stream.read() == content
    assert store.kinds()["GET"] <= 4
    assert fresh.sha256("files/large") == one.sha256("files/large")


def test_files_above_five_gigabytes_have_pieces_that_s3_takes() -> None:
    for size in (6 << 30, 200 << 30, 5 << 40):
        piece = object_store.upload_bytes(size)
        assert 5 << 20 <= piece <= 5 << 30 and -(-size // piece) <= 10_000


def test_work_folders_go_with_their_process(store: StoreServer, address: str) -> None:
    one = storage(address)
    one.create_whole(f"{UNFINISHED}/a", b"x")
    folder = Path(one._staging.describe(""))
    assert folder.is_dir()
    one._staged.close()
    assert not folder.exists()


def test_what_is_missing_is_one_line(store: StoreServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "s3fs", None)
        with pytest.raises(
            UsageError,
            match=r"^s3:// takes .* not installed; .*uv sync --inexact --extra s3, or pip install s3fs$",
        ):
            storage(ADDRESS)
    with pytest.raises(UsageError, match="fsspec knows no nfs42://"):
        ObjectStorage(Location.of("nfs42://server/export"))
    with pytest.raises(DatasetError, match=r"s3://nowhere/data.* cannot be locked: .*bucket does not exist"):
        storage("s3://nowhere/data").try_lock(LOCK)


def test_credentials_of_a_store_are_shown_nowhere(store: StoreServer) -> None:
    nested = '{"aws_session_token": "nested-token", "region_name": "eu-west-1"}'
    options = options_of(
        ["secret=topsecret1", "anon=false", f"client_kwargs={nested}", "endpoint_url=http://h"]
    )
    location = Location.of(ADDRESS, options)
    assert "topsecret1" not in repr(location) and "nested-token" not in f"{location!r} {options!r}"
    assert redact("topsecret1 nested-token eu-west-1 false") == "*** *** eu-west-1 false"
    assert location.given() == {
        "secret": "topsecret1",
        "anon": False,
        "client_kwargs": {"aws_session_token": "nested-token", "region_name": "eu-west-1"},
        "endpoint_url": "http://h",
    }
    assert options_of(location.pairs()) == options
    with pytest.raises(UsageError) as refused:
        options_of(["anon=false", "topsecret1"])
    assert str(refused.value) == "--storage-option: the value number 2 is not KEY=VALUE"
    assert isinstance(dict(options)["secret"], Secret)


@pytest.mark.parametrize("number", [1_050])
def test_a_summary_takes_a_request_for_a_thousand_runs(number: int, store: StoreServer, address: str) -> None:
    """A listing gives a thousand names, and the index is one object."""
    files = address.replace("/data", "/files")
    many_runs(address, files, number)
    store.requests.clear()
    summary, *_ = summarise_dataset(Location.of(address), Location.of(files))
    assert sum(len(project.runs) for project in summary.projects) == number
    assert {run.state for project in summary.projects for run in project.runs} == {"complete"}
    pages = -(-number // 1_000)
    assert store.kinds() == {"LIST": 2 * pages + 3, "GET": 1}, store.kinds()


@pytest.mark.parametrize("by_another_tool", [False, True])
def test_a_run_that_another_process_exports_again_is_noticed(
    store: StoreServer, address: str, by_another_tool: bool
) -> None:
    """What a listing said, and what was read after it, is of the state before."""
    here, elsewhere = (Dataset(Location.of(address), Location.of(f"{address}-files")) for _ in range(2))
    key = RunKey("acme/vision", "RUN-1")
    elsewhere.writer(key).publish(SourceRun(key), "test 1", ())
    if by_another_tool:
        elsewhere.data.delete(Place.of(key).receipt)
    here.folder(key)  # lists both folders, as a worker does
    run = here.run(key)
    assert run is not None and run.has_receipt is not by_another_tool
    run.check_unchanged()
    writer = elsewhere.writer(key)
    writer.write(parameter_batch([("lr", AttributeType.FLOAT, 0.1)]))
    writer.publish(SourceRun(key), "test 1", ())
    with pytest.raises(DatasetError, match="it was exported again, or removed, since this command began"):
        run.check_unchanged()


def many_runs(address: str, files: str, number: int) -> None:
    """Put many runs there, without a request for each."""
    from moto.s3.models import s3_backends

    from neptune_exporter.dataset.format import receipt_index

    dataset = Dataset(Location.of(address), Location.of(files))
    key = RunKey("acme/vision", "RUN-0")
    writer = dataset.writer(key)
    receipt = writer.publish(SourceRun(key), "test 1", ())
    place = Place.of(key)
    content = dataset.data.read(place.path(receipt.parts[0].name))
    backend = next(each["aws"] for each in s3_backends.values() if "bucket" in each["aws"].buckets)
    root = address.removeprefix("s3://bucket/")
    receipts: dict[str, bytes] = {}
    for n in range(1, number):
        other = RunKey("acme/vision", f"RUN-{n}")
        there = Place.of(other)
        part = replace(receipt.parts[0], name=there.part_name(0))
        backend.put_object("bucket", f"{root}/{there.path(part.name)}", content)
        receipts[there.receipt] = replace(receipt, key=other, parts=(part,)).to_bytes()
        backend.put_object("bucket", f"{root}/{there.receipt}", receipts[there.receipt])
    data = dataset.data
    read = data.read
    with pytest.MonkeyPatch.context() as patched:  # reading them all would take minutes
        patched.setattr(data, "read", lambda path: receipts.get(path) or read(path))
        data.forget()
        receipt_index.update(data, place.folder)


def test_a_part_is_taken_back_whose_run_was_not_published(store: StoreServer, address: str) -> None:
    data = storage(address)
    place = Place.of(RunKey("acme/vision", "RUN-1"))
    temporary = f"{UNFINISHED}/{place.path(place.part_name(1))}.tmp"
    store_server.client(store).put_object(
        Bucket="bucket",
        Key=f"{address.removeprefix('s3://bucket/')}/{place.path(place.part_name(0))}",
        Body=b"old",
    )
    upload = uploading.Upload(data, place, [place.part_name(0)], None)
    data.create_whole(temporary, b"new")
    upload.part(temporary, place.part_name(1))
    note = {"folder": place.folder, "stem": place.stem, "old": [place.part_name(0)], "before": ""}
    data.forget()
    assert uploading.roll_back(data, note) == (None, [place.path(place.part_name(1))])
    data.forget()
    assert [each.name for each in data.list(place.folder)] == [place.part_name(0)]
    assert uploading.roll_back(data, {}) == (None, [])


@pytest.mark.parametrize("harm", ["a later version wrote it", "it is damaged", "it cannot be read now"])
def test_no_part_goes_while_it_is_unknown_what_the_receipt_names(
    harm: str, store: StoreServer, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    location, files = Location.of(address), Location.of(address.replace("/data", "/files"))
    writer = Dataset(location, files).writer(key := RunKey("acme/vision", "RUN-1"))
    writer.write(points("loss"))
    writer.publish(SourceRun(key), "test 1", ())
    place, data = Place.of(key), storage(address)
    content = data.read(place.receipt)
    if harm == "it is damaged":
        content = content.replace(b"RUN-1", b"RUN-2")
    elif harm == "a later version wrote it":
        later = rowless.unsealed(content).replace(b'"version": 1', b'"version": 99')
        assert later != rowless.unsealed(content)
        content = rowless.sealed(later)
    path = f"{address.removeprefix('s3://bucket/')}/{place.receipt}"
    store_server.client(store).put_object(Bucket="bucket", Key=path, Body=content)
    data.forget()
    note = {"folder": place.folder, "stem": place.stem, "old": [], "before": ""}
    if harm == "it cannot be read now":

        def refuse(path: str) -> bytes:
            raise DatasetError(f"{path} cannot be read: 503 SlowDown")

        monkeypatch.setattr(data, "read", refuse)
        with pytest.raises(DatasetError, match="SlowDown"):
            uploading.roll_back(data, note)
    else:
        assert uploading.roll_back(data, note) == (None, [])
    data.forget()
    assert data.size(place.path(place.part_name(0)))


def test_parts_of_a_large_run_go_up_before_it_ends(
    store: StoreServer, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that it takes little room here; what is thrown away is deleted there."""
    monkeypatch.setattr(encoding, "PART_BYTES", 1)
    dataset = Dataset(Location.of(address), Location.of(address.replace("/data", "/files")))
    key = RunKey("acme/vision", "RUN-1")
    kept, thrown_away = dataset.writer(key), dataset.writer(RunKey("acme/vision", "RUN-2"))
    for writer in (kept, thrown_away):
        for number in range(3):
            writer.write(points(f"metric-{number}"))
            writer.flush()
    uploaded = [each.name for each in dataset.data.list(Place.of(key).folder)]
    assert sum("RUN-1" in name for name in uploaded) == sum("RUN-2" in name for name in uploaded) == 3
    thrown_away.discard()
    receipt = kept.publish(SourceRun(key), "test 1", ())
    fresh = Dataset(Location.of(address), Location.of(address.replace("/data", "/files")))
    (run,) = fresh.runs()
    assert len(receipt.parts) == 3 and run.complete and sum(map(len, run.batches())) == 30
    assert not fresh.data.list(".neptune-exporter/writing")


def points(path: str) -> pa.RecordBatch:
    columns = {
        "attribute_path": [path] * 10,
        "attribute_type": ["float_series"] * 10,
        "step": [Decimal(n) for n in range(10)],
        "float_value": [float(n) for n in range(10)],
    }
    schema = pa.schema([SCHEMA.field(name) for name in columns])
    return pa.RecordBatch.from_pydict(columns, schema=schema)


def test_files_of_another_tool_stay_proven_after_an_export_into_a_bucket(
    store: StoreServer, address: str, tmp_path: Path
) -> None:
    """Their rows have neither a size nor a checksum."""
    key = RunKey("acme/vision", "RUN-1")
    shape = old_layout.Shape(metrics=1, steps=3, parameters=6, lines=1, histograms=0, files=2, file_bytes=64)
    old_layout.standard(tmp_path / "data", tmp_path / "files", runs=1, project_id="acme/vision", shape=shape)
    bucket, folder = store_server.client(store), address.removeprefix("s3://bucket/").removesuffix("/data")
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        name = f"{folder}/{path.relative_to(tmp_path).as_posix()}"
        bucket.put_object(Bucket="bucket", Key=name, Body=path.read_bytes())
    data, files = Location.of(address), Location.of(address.replace("/data", "/files"))
    writer = Dataset(data, files).writer(key)
    writer.write(points("loss"))
    asked = AttributeRequest(AttributeSelection(names=("loss",)))
    receipt = writer.publish(SourceRun(key), "test 1", (), asked=asked)
    assert (receipt.files, receipt.file_bytes) == (2, 128)
    (taken,) = record(Dataset(data, files))
    assert (taken.parts, taken.files) == (0, 2)
    summary = summarise_dataset(data, files)[0]
    assert (summary.runs[0].file_bytes, summary.without_checksums) == (128, 0)
    file = old_layout.file_path(key, 0)
    name = f"{folder}/files/{old_layout.san('acme/vision')}/{file}"
    bucket.put_object(Bucket="bucket", Key=name, Body=b"x" * 64)
    found = [item for item in verify(Dataset(data, files)) if isinstance(item, Finding)]
    assert [(item.item, item.is_damage) for item in found] == [(file, True)]
