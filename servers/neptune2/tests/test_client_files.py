"""The unmodified client downloads files, file sets, images and artifacts."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import neptune
import pytest
from neptune.exceptions import ArtifactNotFoundException, NeptuneFeatureNotAvailableException

from neptune_exporter_neptune2_server import (
    Artifact,
    ArtifactFile,
    FakeProject,
    File,
    FileSet,
    Image,
    ImageSeries,
    Neptune2Server,
    Options,
)

Serve = Callable[..., Neptune2Server]


@pytest.fixture
def project() -> FakeProject:
    return FakeProject("team", "cats")


def open_run(project: FakeProject) -> Any:
    return neptune.init_run(with_id="SAN-1", project=project.qualified_name, mode="read-only")


def test_files_keep_bytes_and_extension(serve: Serve, project: FakeProject, tmp_path: Path) -> None:
    content = bytes(range(256)) * 8192  # more than one chunk of the client
    source = tmp_path / "source"
    source.write_bytes(content)
    project.add_run({"f/small": File(b"abc", "txt"), "f/streamed": File(source, "bin"), "f/bare": File(b"")})
    serve(project)
    target = tmp_path / "out"
    target.mkdir()
    with open_run(project) as run:
        for name in ("small", "streamed", "bare"):
            run[f"f/{name}"].download(str(target), progress_bar=False)
        assert run["f/small"].fetch_extension() == "txt"
    assert {path.name: path.read_bytes() for path in target.iterdir()} == {
        "small.txt": b"abc",
        "streamed.bin": content,
        "bare": b"",
    }


def test_a_file_set_is_zipped_when_asked_for(serve: Serve, project: FakeProject, tmp_path: Path) -> None:
    files = {"a/b/c.txt": b"1", "a/d.txt": b"22", "e é.txt": b"333"}
    project.add_run({"data/set": FileSet(files)})
    server = serve(project, options=Options(zip_polls=1))
    with open_run(project) as run:
        run["data/set"].download(str(tmp_path))
        assert [(e.name, e.file_type) for e in run["data/set"].list_fileset_files("a")] == [
            ("b", "directory"),
            ("d.txt", "file"),
        ]
    with zipfile.ZipFile(tmp_path / "set.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == files
    polls = [r for r in server.requests if r.path.endswith("/download/downloadRequest")]
    assert len(polls) == 2


def test_images_come_by_index(
    serve: Serve, project: FakeProject, tmp_path: Path, png: Callable[[str], bytes]
) -> None:
    images = (Image(png("red"), 0.5), Image(b"GIF89a", 3.0, content_type="image/gif"))
    project.add_run({"i": ImageSeries(images), "none": ImageSeries(())})
    serve(project)
    with open_run(project) as run:
        run["i"].download(str(tmp_path / "i"), progress_bar=False)
        run["none"].download(str(tmp_path / "none"), progress_bar=False)
    assert (tmp_path / "i/0.png").read_bytes() == png("red")
    assert (tmp_path / "i/1.gif").read_bytes() == b"GIF89a"
    assert list((tmp_path / "none").iterdir()) == []


def test_the_channel_tells_steps_times_and_names_of_images(
    serve: Serve, project: FakeProject, backend_of: Callable[..., Any]
) -> None:
    images = tuple(Image(b"x", step / 4, 1_700_000_000_000 + step, name=f"n{step}") for step in range(5))
    run = project.add_run({"i": ImageSeries(images)})
    api = backend_of(serve(project)).leaderboard_client.api
    listed = api.getExperimentAttributes(experimentId=run.id).response().result.attributes
    (series,) = [attribute for attribute in listed if attribute.name == "i"]
    channel = series.imageSeriesProperties.channelId
    answer = api.getChannelValues(channelId=channel, offset=3, limit=10).response().result
    assert answer.totalItemCount == 5
    assert [(v.x, v.timestampMillis, v.y.imageValue.name) for v in answer.values] == [
        (0.75, 1_700_000_000_003, "n3"),
        (1.0, 1_700_000_000_004, "n4"),
    ]


def test_a_server_without_channels_does_not_offer_them(
    serve: Serve, project: FakeProject, backend_of: Callable[..., Any]
) -> None:
    backend = backend_of(serve(project, options=Options(channels=False)))
    with pytest.raises(AttributeError):
        backend.leaderboard_client.api.getChannelValues(channelId="x")


def test_artifacts_are_listings(serve: Serve, project: FakeProject, tmp_path: Path) -> None:
    source = tmp_path / "data.csv"
    source.write_text("1,2")
    remote = ArtifactFile(
        "k", "h", None, "S3", {"location": "s3://b/k", "last_modified": "2024-01-01 00:00:00"}
    )
    project.add_run({"a": Artifact((ArtifactFile.local(source, "in/data.csv"), remote))})
    serve(project)
    with open_run(project) as run:
        local, other = run["a"].fetch_files_list()
        assert run["a"].fetch_hash() == project.find("SAN-1")["a"].hash  # type: ignore[union-attr]
        assert (other.type, other.size, other.metadata["location"]) == ("S3", None, "s3://b/k")
        assert (local.file_path, local.size) == ("in/data.csv", 3)
        assert local.metadata["file_path"] == source.resolve().as_uri()


def test_a_local_artifact_file_is_within_reach_of_the_client(
    serve: Serve, project: FakeProject, tmp_path: Path
) -> None:
    source = tmp_path / "data.csv"
    source.write_text("1,2")
    project.add_run({"a": Artifact((ArtifactFile.local(source),))})
    serve(project)
    with open_run(project) as run:
        run["a"].download(str(tmp_path / "out"))
    assert (tmp_path / "out/data.csv").read_text() == "1,2"


def test_an_artifact_that_the_server_forgot(serve: Serve, project: FakeProject) -> None:
    project.add_run({"a": Artifact(None, "gone")})
    serve(project)
    with open_run(project) as run, pytest.raises(ArtifactNotFoundException):
        run["a"].fetch_files_list()


def test_a_server_without_artifacts(serve: Serve, project: FakeProject) -> None:
    project.add_run({"a": Artifact(())})
    serve(project, options=Options(artifacts=False))
    with open_run(project) as run, pytest.raises(NeptuneFeatureNotAvailableException):
        run["a"].fetch_files_list()
