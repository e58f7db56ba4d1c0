"""Servers that send a byte now and then, and downloads that are shorter or longer than the file."""

from __future__ import annotations

import pytest

from neptune_exporter.contract import SourceError
from neptune_exporter.toolkit import longest_wait
from neptune_exporter_neptune2.plugin import make_source
from neptune_exporter_neptune2_server import (
    FakeProject,
    Fault,
    File,
    FileSet,
    Float,
    FloatSeries,
    Image,
    ImageSeries,
)

from .conftest import Exporter, Serve, settings_for

SLOW: dict[str, object] = {"timeout": 1.0, "retry_seconds": 1}
FILE, ZIP, IMAGE = "/attributes/download$", "/download/downloadFile", "/series/image/single"
CONTENT = bytes(range(250)) * 20


@pytest.fixture
def project() -> FakeProject:
    project = FakeProject("team", "cats")
    project.add_run(
        {
            "m": FloatSeries([float(n) for n in range(50)]),
            "f": File(CONTENT),
            "set": FileSet({"a": CONTENT}),
            "images": ImageSeries((Image(CONTENT, 0.0, 1_700_000_000_000, "image/png"),)),
            "lr": Float(0.5),
        }
    )
    return project


def check_whole(export: Exporter) -> None:
    assert len(export.rows("SAN-1", "m")) == 50
    for path in ("f", "images"):
        assert export.content("SAN-1", export.rows("SAN-1", path)[0]) == CONTENT
    assert export.rows("SAN-1", "set/files_list.json")


@pytest.mark.parametrize("path", ["/v1/attributes$", "/series/float", FILE, ZIP, IMAGE])
@pytest.mark.parametrize("kind", [{}, {"chunked": True}, {"drip_head": True}], ids=str)
def test_a_drip_ends_and_what_failed_of_it_is_there_next_time(
    serve: Serve, export: Exporter, project: FakeProject, path: str, kind: dict[str, bool]
) -> None:
    server = serve(project)
    server.fail(Fault(path, drip=0.1, times=10**6, **kind))
    result = export(server, settings=SLOW)
    assert result.failures
    for failure in result.failures:
        assert f"{server.url}: the server sent only" in failure.message
    assert longest_wait() is None
    server.faults.clear()
    assert export(server).complete
    check_whole(export)


def test_a_listing_that_drips_ends(serve: Serve, project: FakeProject) -> None:
    server = serve(project)
    source = make_source(settings_for(server, **SLOW))
    server.fail(Fault("/projects$", drip=0.1, times=10**6))
    with pytest.raises(SourceError, match="the server sent only"):
        source.projects()
    source.close()


@pytest.mark.parametrize("path", ["swagger.json", "/clients/config", "/oauth-token"])
@pytest.mark.parametrize("head", [False, True])
def test_a_handshake_that_drips_ends(serve: Serve, project: FakeProject, path: str, head: bool) -> None:
    """The client has no timeout of its own for the first of them."""
    server = serve(project)
    server.fail(Fault(path, drip=0.1, drip_head=head, times=10**6))
    with pytest.raises(SourceError, match=f"{server.url}.* the server sent only"):
        make_source(settings_for(server, **SLOW))


def test_a_handshake_without_an_answer_ends(
    serve: Serve, project: FakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neptune.common.backends.utils.retries_timeout", 0.5)
    server = serve(project)
    server.fail(Fault("swagger.json", delay=3600, times=10**6))
    with pytest.raises(SourceError, match=f"127.0.0.1:{server.port} .*gave no answer in time"):
        make_source(settings_for(server, **SLOW))


def test_a_renewal_of_the_token_that_drips_ends(serve: Serve, project: FakeProject) -> None:
    server = serve(project)
    source = make_source(settings_for(server, **SLOW))
    server.tokens.expire()
    server.fail(Fault("openid-connect/token", drip=0.1, drip_head=True, times=10**6))
    with pytest.raises(SourceError, match="the server sent only"):
        source.projects()
    source.close()


@pytest.mark.parametrize("only", [0, 20])
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("path", "attribute"), [(FILE, "f"), (ZIP, "set"), (IMAGE, "images")])
def test_a_short_body_is_no_file_and_the_next_export_has_it(
    serve: Serve, export: Exporter, project: FakeProject, path: str, attribute: str, only: int, chunked: bool
) -> None:
    if attribute == "images" and only:
        pytest.skip("only the answer itself says how large an image is")
    server = serve(project)
    server.fail(Fault(path, only=only, chunked=chunked, times=10**6))
    (failure,) = export(server).failures
    assert failure.attribute_path == attribute
    assert f"bytes and the server sent {only}" in failure.message
    assert export.rows("SAN-1", attribute) == []
    server.faults.clear()
    server.requests.clear()
    assert export(server).complete
    assert sum("series/float" in request.path for request in server.requests) == 0
    check_whole(export)


@pytest.mark.parametrize("path", [ZIP, IMAGE])
def test_a_login_page_is_no_file(serve: Serve, export: Exporter, project: FakeProject, path: str) -> None:
    server = serve(project)
    page = b"<html><title>Company network</title>" + bytes(100)
    server.fail(Fault(path, status=200, body=page, content_type="text/html", times=10**6))
    (failure,) = export(server, settings={"retry_seconds": 1}).failures
    assert f"{server.url} answered with a web page" in failure.message
    server.faults.clear()
    assert export(server).complete
    check_whole(export)
