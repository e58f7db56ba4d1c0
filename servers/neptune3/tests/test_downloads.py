"""download_files of the unmodified client, and the object store by itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import httpx
import neptune_query
import pytest
from neptune_query import runs, types
from neptune_query.exceptions import NeptuneFileDownloadError, NeptuneProjectInaccessible
from neptune_query.internal.client import get_client
from neptune_query.internal.context import get_context
from neptune_query.internal.retrieval.files import SignedFile, fetch_signed_urls

from neptune_exporter.testing.loopback import Fault
from neptune_exporter_neptune3_server import (
    SIGN_PATH,
    STORAGE_PATH,
    FakeFile,
    FakeProject,
    FakeRun,
    FileSeries,
    Limits,
    Neptune3Server,
    Provider,
)

PROJECT = "acme/vision"
MODEL = b"weights" * 1000


def files_of(run: str) -> list[types.File]:
    table = runs.fetch_runs_table(project=PROJECT, runs=[run], attributes="^files/model")
    series = runs.fetch_series(project=PROJECT, runs=[run], attributes=["files/samples"])
    return [*(each for each in table.loc[run]), *series["files/samples"]]


def signed(file: types.File) -> SignedFile:
    return fetch_signed_urls(get_client(get_context()), [file])[0]


@pytest.mark.parametrize("provider", ["gcp", "aws", "azure"])
def test_files_are_downloaded_from_every_provider(
    project: FakeProject, tmp_path: Path, provider: Provider
) -> None:
    with Neptune3Server([project], provider=provider) as server:
        neptune_query.set_api_token(server.api_token)
        table = runs.download_files(files=files_of("root"), destination=tmp_path)
    contents = {name: [Path(path).read_bytes() for path in table[name].dropna()] for name in table}
    assert contents == {"files/model.bin": [MODEL], "files/samples": [b"<p>0</p>", b"two"]}


def test_files_found_by_a_table_of_experiments(server: Neptune3Server, tmp_path: Path) -> None:
    table = neptune_query.fetch_experiments_table(project=PROJECT, experiments="exp-a", attributes="^files/")
    downloaded = neptune_query.download_files(files=table, destination=tmp_path)
    assert len(downloaded) == 2  # the file, and the last one of the series


def test_names_that_differ_in_a_replaced_character_overwrite_each_other(
    server: Neptune3Server, tmp_path: Path
) -> None:
    attributes = {"dot.name/f": FakeFile(b"one"), "dot_name/f": FakeFile(b"two")}
    server.projects.append(FakeProject("acme/dots", [FakeRun("r", dict(attributes))]))
    table = runs.fetch_runs_table(project="acme/dots", attributes="name")
    downloaded = runs.download_files(files=table, destination=tmp_path)
    assert downloaded.iloc[0].nunique() == 1


@pytest.mark.parametrize("provider", ["gcp", "azure"])
def test_a_blob_that_is_not_there_is_none(project: FakeProject, tmp_path: Path, provider: Provider) -> None:
    project.runs[0].attributes["files/model.bin"] = FakeFile(b"gone", missing=True)
    with Neptune3Server([project], provider=provider) as server:
        neptune_query.set_api_token(server.api_token)
        table = runs.download_files(files=files_of("root")[:1], destination=tmp_path)
    assert table["files/model.bin"].isna().all()


@pytest.mark.parametrize("provider", ["gcp", "azure"])
def test_an_expired_url_is_signed_anew(project: FakeProject, tmp_path: Path, provider: Provider) -> None:
    with Neptune3Server([project], provider=provider) as server:
        neptune_query.set_api_token(server.api_token)
        files = files_of("root")[:1]
        server.objects.url_lifetime = -1
        with pytest.raises(NeptuneFileDownloadError):
            runs.download_files(files=files, destination=tmp_path)
        assert (
            sum(each.path == SIGN_PATH for each in server.requests) == 4
        )  # at first, and after each of three tries


def test_the_size_that_the_server_tells_may_be_wrong(server: Neptune3Server, project: FakeProject) -> None:
    project.runs[0].attributes["files/model.bin"] = FakeFile(b"short", size_bytes=99)
    file = files_of("root")[0]
    assert file.size_bytes == 99
    assert httpx.get(signed(file).url).content == b"short"


def test_parts_of_a_file(server: Neptune3Server) -> None:
    url = signed(files_of("root")[0]).url

    def part(text: str, **headers: str) -> httpx.Response:
        return httpx.get(url, headers={"Range": text, **headers})

    whole = httpx.get(url)
    assert (whole.status_code, whole.content) == (200, MODEL)
    middle = part("bytes=10-19")
    assert (middle.status_code, middle.content) == (206, MODEL[10:20])
    assert middle.headers["content-range"] == "bytes 10-19/7000"
    assert part("bytes=6990-").content == MODEL[6990:]
    assert part("bytes=-5").content == MODEL[-5:]
    assert part("bytes=0-99999").content == MODEL
    assert part("bytes=7000-").status_code == 416
    etag = whole.headers["etag"]
    assert part("bytes=1-2", **{"If-Range": etag}).status_code == 206
    assert part("bytes=1-2", **{"If-Range": '"other"'}).content == MODEL
    head = httpx.head(url)
    assert (head.headers["content-length"], head.content) == ("7000", b"")
    server.objects.ranges = False
    assert part("bytes=10-19").content == MODEL


def test_a_cut_body_ends_early_and_can_be_resumed(server: Neptune3Server) -> None:
    url = signed(files_of("root")[0]).url
    server.fail(Fault(path=STORAGE_PATH, cut_after=1000))
    got = bytearray()
    with pytest.raises(httpx.RemoteProtocolError), httpx.stream("GET", url) as response:
        for piece in response.iter_raw():
            got += piece
    assert bytes(got) == MODEL[:1000]
    got += httpx.get(url, headers={"Range": "bytes=1000-"}).content
    assert bytes(got) == MODEL


def test_the_client_takes_a_cut_file_for_an_error(server: Neptune3Server, tmp_path: Path) -> None:
    server.fail(Fault(path=STORAGE_PATH, cut_after=1000))
    with pytest.raises(NeptuneFileDownloadError):
        runs.download_files(files=files_of("root")[:1], destination=tmp_path)


def test_a_url_is_good_for_its_file_and_its_time_only(server: Neptune3Server) -> None:
    files = files_of("root")
    one, two = signed(files[0]).url, signed(files[1]).url
    swapped = two.partition("?")[0] + "?" + one.partition("?")[2]
    assert httpx.get(swapped).status_code == 403
    assert httpx.get(one.partition("?")[0]).status_code == 403
    server.objects.url_lifetime = -1
    assert httpx.get(signed(files[0]).url).status_code == 400


def test_a_path_signed_before_a_restart_is_still_known(project: FakeProject) -> None:
    with Neptune3Server([project]) as server:
        neptune_query.set_api_token(server.api_token)
        files = files_of("root")
    with Neptune3Server([project]) as server:
        neptune_query.set_api_token(server.api_token)
        assert [httpx.get(signed(file).url).content for file in files] == [MODEL, b"<p>0</p>", b"two"]
        unknown = dataclasses.replace(files[0], path="root/never/there")
        assert httpx.get(signed(unknown).url).status_code == 404


def test_what_may_not_be_signed(project: FakeProject) -> None:
    with Neptune3Server([project], limits=Limits(signed_urls=2)) as server:
        neptune_query.set_api_token(server.api_token)
        files = files_of("root")
        client = get_client(get_context())
        assert len(fetch_signed_urls(client, files[:2])) == 2
        with pytest.raises(Exception, match="413"):
            fetch_signed_urls(client, files)
        with pytest.raises(NeptuneProjectInaccessible):
            fetch_signed_urls(client, files[:1], permission="write")
        with pytest.raises(NeptuneProjectInaccessible):
            fetch_signed_urls(client, [dataclasses.replace(files[0], project_identifier="acme/other")])


def test_equal_files_of_two_attributes_have_two_paths(server: Neptune3Server) -> None:
    same = FakeFile(b"same")
    run = FakeRun("r", {"a b": same, "a_b": same, "s": FileSeries([0, 1], [same, same])})
    server.projects.append(FakeProject("acme/same", [run]))
    table = runs.fetch_runs_table(project="acme/same", attributes="^a")
    series = runs.fetch_series(project="acme/same", runs=["r"], attributes=["s"])
    assert len({file.path for file in [*table.loc["r"], *series["s"]]}) == 4
