"""Files, file sets, file series and artifacts, through whole exports with the real client."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from itertools import pairwise
from pathlib import Path

import pytest

from neptune_exporter.testing.loopback import LoopbackServer, Request, Response
from neptune_exporter_neptune2_server import (
    Artifact,
    ArtifactFile,
    FakeProject,
    Fault,
    File,
    FileSet,
    Image,
    ImageSeries,
    Int,
    Neptune2Server,
    Options,
    on_attribute,
)

from .conftest import Exporter, Serve

CONTENT = bytes(range(256)) * 4096  # 1 MiB
DOWNLOAD = "/attributes/download$"


@pytest.fixture
def project() -> FakeProject:
    return FakeProject("team", "cats")


def asked(server: Neptune2Server, path: str) -> int:
    return sum(request.path.endswith(path) for request in server.requests)


def test_files_keep_bytes_and_extension(serve: Serve, export: Exporter, project: FakeProject) -> None:
    files = {
        "model": File(CONTENT, "pt"),
        "bare": File(b"x"),
        "empty": File(b"", "txt"),
        "same/a": File(b"a", "csv"),
        "same_a": File(b"b", "csv"),
        "../up": File(b"c", "sh", "../../evil.sh"),
        "same//a": File(b"d", "csv"),  # whose paths the client cannot build
    }
    project.add_run(files)
    assert export(serve(project)).complete
    for path, file in files.items():
        (row,) = export.rows("SAN-1", path)
        assert export.content("SAN-1", row) == file.content
        assert Path(row["file_value"]["path"]).suffix == (f".{file.ext}" if file.ext else "")
        assert (row["attribute_type"], row["file_size"]) == ("file", len(file.content))
    assert not (export.folder / "evil.sh").exists()


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_goes_on_where_it_broke(
    serve: Serve, export: Exporter, project: FakeProject, ranges: bool
) -> None:
    project.add_run({"model": File(CONTENT, "pt")})
    server = serve(project, options=Options(ranges=ranges))
    offsets: list[str | None] = []

    def note(request: Request) -> bool:
        offsets.append(request.headers.get("range"))
        return True

    server.fail(Fault(DOWNLOAD, cut_after=700_000, where=note))
    server.fail(Fault(DOWNLOAD, skip=10**9, where=note))  # only looks on
    assert export(server).complete
    (row,) = export.rows("SAN-1", "model")
    assert export.content("SAN-1", row) == CONTENT
    assert offsets[0] is None
    assert offsets[-1] is not None and int(offsets[-1].removeprefix("bytes=").rstrip("-")) > 0
    assert asked(server, "/attributes/download") == 2


def test_a_download_that_fails_for_good_costs_itself(
    serve: Serve, export: Exporter, project: FakeProject
) -> None:
    project.add_run({"gone": File(b"1"), "there": File(b"2")})
    server = serve(project)
    server.fail(
        Fault(DOWNLOAD, status=404, body=b'{"message": "no such blob"}', times=99, where=on_attribute("gone"))
    )
    (failure,) = export(server).failures
    assert (failure.attribute_path, failure.message) == ("gone", "HTTP 404, no such blob")
    assert export.content("SAN-1", export.rows("SAN-1", "there")[0]) == b"2"
    assert export.rows("SAN-1", "gone") == []
    server.faults.clear()
    server.requests.clear()
    assert export(server).complete
    assert asked(server, "/attributes/download") == 1
    assert export.content("SAN-1", export.rows("SAN-1", "gone")[0]) == b"1"


def test_a_file_of_another_size_than_listed_is_not_taken_for_it(
    serve: Serve, export: Exporter, project: FakeProject
) -> None:
    project.add_run({"f": File(b"12345")})
    server = serve(project)
    body = json.dumps(
        {"attributes": [{"name": "f", "type": "file", "fileProperties": {"name": "f", "ext": "", "size": 9}}]}
    )
    server.fail(Fault("/v1/attributes$", status=200, body=body.encode(), times=99))
    (failure,) = export(server).failures
    assert not failure.permanent
    assert failure.message == "the file has 9 bytes and the server sent 5"
    assert export.rows("SAN-1", "f") == []
    server.faults.clear()
    assert export(server).complete
    assert export.content("SAN-1", export.rows("SAN-1", "f")[0]) == b"12345"


def test_several_connections_download_at_once(serve: Serve, export: Exporter, project: FakeProject) -> None:
    project.add_run({f"f{n}": File(b"x") for n in range(8)})
    server = serve(project)
    server.fail(Fault(DOWNLOAD, delay=0.5, times=8))
    assert export(server).complete
    ended = sorted(r.at for r in server.requests if r.path.endswith("/attributes/download"))
    gaps = [later - earlier for earlier, later in pairwise(ended)]
    assert min(gaps) < 0.5  # each takes at least that long: one after the other they end further apart


def test_a_file_set_is_a_zip_and_its_list(serve: Serve, export: Exporter, project: FakeProject) -> None:
    files = {"a/b.py": b"print()", "ü.txt": b"", "big.bin": CONTENT}
    project.add_run({"source_code/files": FileSet(files)})
    server = serve(project, options=Options(zip_polls=2))
    server.fail(Fault("/download/downloadFile", cut_after=100))
    assert export(server).complete
    (row,) = export.rows("SAN-1", "source_code/files")
    assert row["attribute_type"] == "file_set"
    with zipfile.ZipFile(io.BytesIO(export.content("SAN-1", row))) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == files
    (listing,) = export.rows("SAN-1", "source_code/files/files_list.json")
    listed = json.loads(export.content("SAN-1", listing))
    assert {entry["filePath"]: entry["size"] for entry in listed} == {k: len(v) for k, v in files.items()}


def test_a_zip_of_more_files_than_can_be_listed_is_kept_and_noted(
    serve: Serve, export: Exporter, project: FakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neptune_exporter_neptune2.zips._KEPT", 2000)
    files = {f"{n}.txt": b"%d" % n for n in range(200)}
    project.add_run({"set": FileSet(files), "few": FileSet({"a": b"1"})})
    assert export(serve(project)).complete
    (row,) = export.rows("SAN-1", "set")
    with zipfile.ZipFile(io.BytesIO(export.content("SAN-1", row))) as archive:
        assert len(archive.namelist()) == 200
    assert export.rows("SAN-1", "set/files_list.json") == []
    assert export.notes("SAN-1") == ("set: it has too many files to list them; its zip has them all",)


def test_a_zip_that_is_none_costs_itself(serve: Serve, export: Exporter, project: FakeProject) -> None:
    project.add_run({"set": FileSet({"a": b"1"}), "n": Int(1)})
    server = serve(project)
    server.fail(
        Fault("/download/downloadFile", status=200, body=b"no zip, but of no known size either", times=99)
    )
    (failure,) = export(server).failures
    assert failure.attribute_path == "set"
    assert "no whole zip" in failure.message
    assert export.rows("SAN-1", "set") == []


def test_the_list_never_hides_an_attribute(serve: Serve, export: Exporter, project: FakeProject) -> None:
    project.add_run({"set": FileSet({"a": b"1"}), "set/files_list.json": Int(7)})
    assert export(serve(project)).complete
    assert export.value("SAN-1", "set/files_list.json", "int_value") == 7


def test_images_have_their_step_time_name_and_description(
    serve: Serve, export: Exporter, project: FakeProject
) -> None:
    images = (
        Image(b"one", 0.5, 1_700_000_000_001, "image/png", "first", "the first"),
        Image(b"two", 0.5, 1_700_000_000_002, "image/jpeg"),
        Image(b"three", 1e12, 1_699_999_999_999, "image/gif", None, "third"),
    )
    project.add_run({"i": ImageSeries(images), "none": ImageSeries(())})
    server = serve(project)
    server.fail(Fault("/series/image/single", cut_after=1))
    assert export(server).complete
    rows = export.rows("SAN-1", "i")
    found = {
        export.content("SAN-1", row): (
            row.get("step_float64") or float(row["step"]),
            round(row["timestamp"].timestamp() * 1000),
            Path(row["file_value"]["path"]).suffix,
        )
        for row in rows
    }
    assert found == {
        b"one": (0.5, 1_700_000_000_001, ".png"),
        b"two": (0.5, 1_700_000_000_002, ".jpg"),
        b"three": (1e12, 1_699_999_999_999, ".gif"),
    }
    assert {row["attribute_type"] for row in rows} == {"file_series"}
    assert [row["string_value"] for row in export.rows("SAN-1", "i/name")] == ["first"]
    described = export.rows("SAN-1", "i/description")
    assert [row["string_value"] for row in described] == ["the first", "third"]
    assert round(described[1]["timestamp"].timestamp() * 1000) == 1_699_999_999_999


def test_more_images_than_a_page(serve: Serve, export: Exporter, project: FakeProject) -> None:
    images = tuple(Image(b"%d" % n, float(n)) for n in range(1010))
    project.add_run({"i": ImageSeries(images)})
    assert export(serve(project)).complete
    rows = export.rows("SAN-1", "i")
    assert [(float(row["step"]), export.content("SAN-1", row)) for row in rows] == [
        (float(n), b"%d" % n) for n in range(1010)
    ]


def test_without_channels_the_index_is_the_step_and_that_is_noted(
    serve: Serve, export: Exporter, project: FakeProject
) -> None:
    project.add_run({"i": ImageSeries((Image(b"a", 5.0), Image(b"b", 7.0)))})
    assert export(serve(project, options=Options(channels=False))).complete
    rows = export.rows("SAN-1", "i")
    assert [(float(row["step"]), export.content("SAN-1", row)) for row in rows] == [(0.0, b"a"), (1.0, b"b")]
    assert all("timestamp" not in row for row in rows)
    assert any("the index stands for the step" in note for note in export.notes("SAN-1"))


def test_images_without_a_step_have_their_index(serve: Serve, export: Exporter, project: FakeProject) -> None:
    """The API promises only `timestampMillis` and `y` of a point."""
    project.add_run({"i": ImageSeries(tuple(Image(b"%d" % n, 5.0 + n) for n in range(3)))})
    server = serve(project)
    points: list[dict[str, object]] = [{"timestampMillis": 1000 + n, "y": {}} for n in range(3)]
    points[1]["x"] = 6.5
    points[2]["x"] = None
    body = json.dumps({"totalItemCount": 3, "values": points}).encode()
    server.fail(Fault("/channels/", status=200, body=body, times=99))
    assert export(server).complete
    rows = export.rows("SAN-1", "i")
    assert [(float(row["step"]), export.content("SAN-1", row)) for row in rows] == [
        (0.0, b"0"),
        (2.0, b"2"),
        (6.5, b"1"),
    ]
    assert all("timestamp" in row for row in rows)
    assert export.notes("SAN-1") == ("i: the server gives no step for 2 images; the index stands for it",)


def test_one_image_that_fails_is_named(serve: Serve, export: Exporter, project: FakeProject) -> None:
    project.add_run({"i": ImageSeries(tuple(Image(b"%d" % n, float(n)) for n in range(4)))})
    server = serve(project)
    server.fail(
        Fault("/series/image/single", status=404, times=99, where=lambda r: r.param("index") in ("1", "2"))
    )
    (failure,) = export(server).failures
    assert failure.attribute_path == "i"
    assert failure.message.startswith("image 1: HTTP 404")
    assert failure.message.endswith("(and 1 more of it failed)")
    assert len(export.rows("SAN-1", "i")) == 2


def test_an_artifact_is_its_list(
    serve: Serve, export: Exporter, project: FakeProject, tmp_path: Path
) -> None:
    source = tmp_path / "data.csv"
    source.write_text("1,2")
    remote = ArtifactFile("k", "h", None, "S3", {"location": "s3://b/k"})
    project.add_run({"a": Artifact((ArtifactFile.local(source, "in/data.csv"), remote)), "e": Artifact(())})
    assert export(serve(project)).complete
    (row,) = export.rows("SAN-1", "a")
    assert row["attribute_type"] == "artifact"
    listed = json.loads(export.content("SAN-1", row))
    assert [entry["filePath"] for entry in listed] == ["in/data.csv", "k"]
    assert listed[0]["fileHash"] == hashlib.sha1(b"1,2").hexdigest()
    assert listed[1]["metadata"] == [{"key": "location", "value": "s3://b/k"}]
    assert json.loads(export.content("SAN-1", export.rows("SAN-1", "e")[0])) == []
    assert export.rows("SAN-1", "a/in/data.csv") == []  # only if asked for


def test_an_artifact_that_the_server_forgot(serve: Serve, export: Exporter, project: FakeProject) -> None:
    project.add_run({"a": Artifact(None, "f00d")})
    (failure,) = export(serve(project)).failures
    assert failure.attribute_path == "a"
    assert "f00d" in failure.message


def test_files_of_artifacts_that_a_path_still_reaches(
    serve: Serve, export: Exporter, project: FakeProject, tmp_path: Path
) -> None:
    places = {name: tmp_path / name for name in ("there 1.csv", "changed.csv", "gone.csv")}
    for name, place in places.items():
        place.write_text(name)
    files = [ArtifactFile.local(place, f"in/{name}") for name, place in places.items()]
    plain = {"file_path": f"file://{places['there 1.csv'].as_posix()}"}  # as the client writes it
    files.append(ArtifactFile("plain", files[0].hash, 11, "Local", plain))
    files.append(ArtifactFile("away", "00", 1, "Local", {"file_path": "file://other.host/x"}))
    places["changed.csv"].write_text("other")
    places["gone.csv"].unlink()
    project.add_run({"a": Artifact(tuple(files)), "a/away": Int(1)})
    assert export(serve(project), settings={"artifact_files": True}).complete
    for path in ("a/in/there 1.csv", "a/plain"):
        (row,) = export.rows("SAN-1", path)
        assert (row["attribute_type"], export.content("SAN-1", row)) == ("file", b"there 1.csv")
    assert export.rows("SAN-1", "a/in/changed.csv") == export.rows("SAN-1", "a/in/gone.csv") == []
    assert any("a: 2 of the artifact's files cannot be reached" in note for note in export.notes("SAN-1"))


def test_files_of_artifacts_in_s3(
    serve: Serve, export: Exporter, project: FakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {"ETag": '"e7a9"', "Accept-Ranges": "bytes"}
    with LoopbackServer() as s3:
        s3.route("GET", "/bucket/in/data.csv", lambda _: Response(200, b"from s3", headers=headers))
        for name, value in {
            "S3_ENDPOINT_URL": s3.url,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret-of-s3",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            monkeypatch.setenv(name, value)
        place = {"location": "s3://bucket/in/data.csv"}
        files = (
            ArtifactFile("data.csv", "e7a9", 7, "S3", place),
            ArtifactFile("other.csv", "ffff", 7, "S3", place),
            ArtifactFile("gone.csv", "aaaa", 7, "S3", {"location": "s3://bucket/gone.csv"}),
        )
        project.add_run({"a": Artifact(files)})
        assert export(serve(project), settings={"artifact_files": True}).complete
    assert export.content("SAN-1", export.rows("SAN-1", "a/data.csv")[0]) == b"from s3"
    assert export.rows("SAN-1", "a/other.csv") == []
    assert any("2 of the artifact's files cannot be reached" in note for note in export.notes("SAN-1"))
