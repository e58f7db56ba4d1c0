"""The server by plain HTTP: what it refuses, ranges, and that its documents name no other host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from neptune_exporter_neptune2_server import (
    FakeProject,
    File,
    FileSet,
    Float,
    FloatSeries,
    Image,
    ImageSeries,
    Int,
    Neptune2Server,
    Options,
    String,
)

Serve = Callable[..., Neptune2Server]
LB = "/api/leaderboard/v1"


class Http:
    """Requests with a token."""

    def __init__(self, server: Neptune2Server) -> None:
        self.server = server
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Bearer {server.tokens.issue().access_token}"

    def get(self, place: str, *, wanted: str | None = None, **query: Any) -> requests.Response:
        """`wanted` is a Range."""
        headers = None if wanted is None else {"Range": wanted}
        return self.session.get(self.server.url + place, params=query, headers=headers, timeout=10)

    def post(self, place: str, body: Any, **query: Any) -> requests.Response:
        return self.session.post(self.server.url + place, params=query, json=body, timeout=10)


@pytest.fixture
def project() -> FakeProject:
    return FakeProject("team", "cats")


def test_the_documents_name_this_server_and_no_other(serve: Serve, project: FakeProject) -> None:
    http = Http(serve(project))
    for name in ("backend", "leaderboard", "artifacts"):
        answer = http.get(f"/api/{name}/swagger.json")
        document = answer.json()
        assert document["host"] == http.server.url.removeprefix("http://")
        assert document["schemes"] == ["http"]
        assert "neptune.ai" not in answer.text
        for path in document["paths"]:
            assert path.startswith(f"/api/{name}/v1/")


@pytest.mark.parametrize("authorization", ["", "Bearer nonsense", "Basic abc"])
def test_without_an_access_token_nothing_is_reported(
    serve: Serve, project: FakeProject, authorization: str
) -> None:
    http = Http(serve(project))
    http.session.headers["Authorization"] = authorization
    for path in ("/api/backend/v1/projects", f"{LB}/attributes", "/api/artifacts/v1/artifact/files"):
        assert http.get(path).status_code == 401


def test_a_page_may_not_be_larger_than_the_limit(serve: Serve, project: FakeProject) -> None:
    run = project.add_run({"m": FloatSeries(range(30))})
    http = Http(serve(project, options=Options(page_limit=20)))
    asked: dict[str, Any] = {"experimentId": run.id, "attribute": "m"}
    assert http.get(f"{LB}/attributes/series/float", limit=21, **asked).status_code == 400
    assert http.get(f"{LB}/attributes/series/float", limit=5, offset=-1, **asked).status_code == 400
    assert http.get(f"{LB}/attributes/series/float", limit="x", **asked).status_code == 400
    page = http.get(f"{LB}/attributes/series/float", limit=20, offset=25, **asked).json()
    assert (page["totalItemCount"], len(page["values"])) == (30, 5)
    beyond = http.get(f"{LB}/attributes/series/float", limit=20, offset=31, **asked).json()
    assert (beyond["totalItemCount"], beyond["values"]) == (30, [])


def test_a_series_that_is_replaced_is_served_anew(serve: Serve, project: FakeProject) -> None:
    run = project.add_run({"m": FloatSeries([1.0])})
    http = Http(serve(project))
    for values in ([1.0], [1.0, 2.0]):
        run["m"] = FloatSeries(values)
        page = http.get(f"{LB}/attributes/series/float", experimentId=run.id, attribute="m").json()
        assert [point["value"] for point in page["values"]] == values


def test_a_run_that_is_removed_is_gone(serve: Serve, project: FakeProject) -> None:
    run, other = project.add_run(), project.add_run()
    http = Http(serve(project))
    assert http.get(f"{LB}/attributes", experimentId=run.id).status_code == 200
    project.containers.remove(run)
    gone = http.get(f"{LB}/attributes", experimentId=run.id)
    assert (gone.status_code, gone.json()["errorType"]) == (404, "EXPERIMENT_NOT_FOUND")
    assert http.get(f"{LB}/attributes", experimentId=other.id).status_code == 200


def test_pages_of_a_very_long_series(serve: Serve, project: FakeProject) -> None:
    series = FloatSeries(range(250_000))
    run = project.add_run({"m": series})
    http = Http(serve(project))
    asked: dict[str, Any] = {"experimentId": run.id, "attribute": "m", "offset": 249_500}
    page = http.get(f"{LB}/attributes/series/float", **asked).json()
    assert [point["value"] for point in page["values"]] == list(range(249_500, 250_000))
    assert series.pages == {}


def test_a_value_is_found_under_its_own_type_only(serve: Serve, project: FakeProject) -> None:
    run = project.add_run({"p": Int(1)})
    http = Http(serve(project))
    asked: dict[str, Any] = {"experimentId": run.id, "attribute": "p"}
    assert http.get(f"{LB}/attributes/integers", **asked).json()["value"] == 1
    assert http.get(f"{LB}/attributes/floats", **asked).status_code == 404
    assert http.get(f"{LB}/attributes/integers", experimentId="x", attribute="p").status_code == 404


def test_a_download_honours_a_range(serve: Serve, project: FakeProject) -> None:
    run = project.add_run({"f": File(b"0123456789", "bin", name='a "ü".bin')})
    http = Http(serve(project))

    def get(wanted: str | None) -> requests.Response:
        return http.get(f"{LB}/attributes/download", wanted=wanted, experimentId=run.id, attribute="f")

    whole = get(None)
    assert (whole.status_code, whole.content) == (200, b"0123456789")
    assert whole.headers["Content-Disposition"] == 'attachment; filename="a ___.bin"'
    rest = get("bytes=4-")
    assert (rest.status_code, rest.content, rest.headers["Content-Range"]) == (206, b"456789", "bytes 4-9/10")
    part = get("bytes=2-3")
    assert (part.content, part.headers["Content-Range"]) == (b"23", "bytes 2-3/10")
    assert get("bytes=10-").status_code == 416
    http.server.options.ranges = False
    assert get("bytes=4-").content == b"0123456789"


def test_a_range_of_a_streamed_file(serve: Serve, project: FakeProject, tmp_path: Any) -> None:
    source = tmp_path / "big"
    source.write_bytes(bytes(range(250)) * 4000)
    run = project.add_run({"f": File(source)})
    http = Http(serve(project))
    answer = http.get(f"{LB}/attributes/download", wanted="bytes=999990-", experimentId=run.id, attribute="f")
    assert answer.content == source.read_bytes()[999_990:]


def test_one_file_of_a_set(serve: Serve, project: FakeProject) -> None:
    run = project.add_run({"s": FileSet({"a/b.txt": b"1"})})
    http = Http(serve(project))
    asked: dict[str, Any] = {"experimentId": run.id, "attribute": "s"}
    assert http.get(f"{LB}/attributes/download", path="a/b.txt", **asked).content == b"1"
    assert http.get(f"{LB}/attributes/download", path="a", **asked).status_code == 404
    assert http.get(f"{LB}/attributes/ls", path="missing", **asked).status_code == 404


def test_a_zip_is_there_when_the_server_says_so(serve: Serve, project: FakeProject) -> None:
    run = project.add_run({"s": FileSet({"a": b"1"})})
    http = Http(serve(project, options=Options(zip_polls=1)))
    wanted = http.post(f"{LB}/attributes/downloadFileSetZipRequest", None, experimentId=run.id, attribute="s")
    identifier = wanted.json()["id"]
    assert http.get(f"{LB}/download/downloadFile", id=identifier).status_code == 404
    assert "downloadUrl" not in http.get(f"{LB}/download/downloadRequest", id=identifier).json()
    ready = http.get(f"{LB}/download/downloadRequest", id=identifier).json()
    assert ready["downloadUrl"].startswith(http.server.url)
    assert http.session.get(ready["downloadUrl"], timeout=10).headers["Content-Type"] == "application/zip"
    assert http.get(f"{LB}/download/downloadRequest", id="other").status_code == 404


def test_images_by_index_and_by_the_url_of_the_channel(serve: Serve, project: FakeProject) -> None:
    run = project.add_run({"i": ImageSeries((Image(b"1", 0.0), Image(b"2", 0.5)))})
    http = Http(serve(project))
    asked: dict[str, Any] = {"experimentId": run.id, "attribute": "i"}
    assert http.get(f"{LB}/attributes/series/image", limit=1, **asked).json() == {"totalItemCount": 2}
    single = http.get(f"{LB}/attributes/series/image/single", index=1, **asked)
    assert (single.content, single.headers["Content-Type"]) == (b"2", "image/png")
    assert http.get(f"{LB}/attributes/series/image/single", index=2, **asked).status_code == 404
    values = http.get(f"{LB}/channels/{run.channel_id('i')}/values").json()["values"]
    assert http.get(values[1]["y"]["imageValue"]["imageUrl"]).content == b"2"
    http.server.options.channels = False
    assert http.get(f"{LB}/channels/{run.channel_id('i')}/values").status_code == 404


def test_a_table_ends_at_ten_thousand(serve: Serve, project: FakeProject) -> None:
    project.add_run()
    http = Http(serve(project))

    def search(offset: int, limit: int) -> int:
        body = {"pagination": {"offset": offset, "limit": limit}, "query": {"query": ""}}
        path = f"{LB}/leaderboard/entries/search"
        return http.post(path, body, projectIdentifier=project.id, type="run").status_code

    assert search(0, 10_000) == 200
    assert search(9_999, 1) == 200
    assert search(9_999, 2) == 400
    assert search(0, -1) == 400


def test_names_are_searched_by_a_part(serve: Serve, project: FakeProject) -> None:
    project.add_run({"train/loss": Float(1.0)})
    project.add_run({"train/loss": FloatSeries([1.0]), "lossy": String("")})
    project.add_model("M", {"model/loss": Float(1.0)})
    http = Http(serve(project))
    answer = http.post(
        f"{LB}/leaderboard/attributes/search", {}, projectIdentifier="team/cats", search="Loss", type="run"
    )
    assert [(entry["name"], entry["type"]) for entry in answer.json()["entries"]] == [
        ("lossy", "string"),
        ("train/loss", "float"),
        ("train/loss", "floatSeries"),
    ]


def test_two_servers_with_the_same_data_agree(serve: Serve) -> None:
    answers = []
    for _ in range(2):
        project = FakeProject("team", "cats")
        run = project.add_run({"i": ImageSeries((Image(b"1", 0.0),)), "s": FileSet({"a": b"1"})})
        http = Http(serve(project))
        answers.append(http.get(f"{LB}/attributes", experimentId=run.id).content)
    assert answers[0] == answers[1]
