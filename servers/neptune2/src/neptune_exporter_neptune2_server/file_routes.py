"""Downloads: files, file sets, images, and the listings of file sets and artifacts."""

from __future__ import annotations

import threading
import uuid

from neptune_exporter.testing.loopback import Request, Response
from neptune_exporter_neptune2_server.attributes import File, FileSet, Image, ImageSeries
from neptune_exporter_neptune2_server.content import file_response, listing, zipped
from neptune_exporter_neptune2_server.errors import not_found
from neptune_exporter_neptune2_server.store import Routes, Store, integer
from neptune_exporter_neptune2_server.swagger import LEADERBOARD
from neptune_exporter_neptune2_server.wire import file_name

_BYTES = "application/octet-stream"


def file_routes(store: Store, base_url: str) -> Routes:
    lb = LEADERBOARD
    zips = _Zips(store, base_url)
    return [
        ("GET", f"{lb}/attributes/download", lambda request: _download(store, request)),
        ("GET", f"{lb}/attributes/ls", lambda request: _list(store, request)),
        ("GET", f"{lb}/attributes/series/image/single", lambda request: _image_by_index(store, request)),
        (
            "GET",
            f"{lb}/images/(?P<container>[^/]+)/(?P<channel>[^/]+)/(?P<index>[0-9]+)\\.[a-z]+",
            lambda request: _image_by_channel(store, request),
        ),
        ("POST", f"{lb}/attributes/downloadFileSetZipRequest", zips.request),
        ("GET", f"{lb}/download/downloadRequest", zips.poll),
        ("GET", f"{lb}/download/downloadFile", zips.download),
        ("GET", "/api/artifacts/v1/artifact/files", lambda request: _artifact_files(store, request)),
    ]


def _download(store: Store, request: Request) -> Response:
    inside = request.param("path")
    if inside is None:
        _, path, file = store.attribute(request, File)
        return file_response(request, file.content, file_name(path, file), _BYTES, store.options.ranges)
    _, path, files = store.attribute(request, FileSet)
    if inside not in files.files:
        raise not_found(f"file {inside} in {path}")
    name = inside.rsplit("/", 1)[-1]
    return file_response(request, files.files[inside], name, _BYTES, store.options.ranges)


def _list(store: Store, request: Request) -> Response:
    _, _, files = store.attribute(request, FileSet)
    return Response.of_json(listing(files, request.param("path") or ""))


def _image_by_index(store: Store, request: Request) -> Response:
    _, _, series = store.attribute(request, ImageSeries)
    return _image(store, request, series, integer(request, "index", -1))


def _image_by_channel(store: Store, request: Request) -> Response:
    _, _, series = store.channel(request.path_values["channel"])
    return _image(store, request, series, int(request.path_values["index"]))


def _image(store: Store, request: Request, series: ImageSeries, index: int) -> Response:
    if not 0 <= index < len(series.images):
        raise not_found(f"image {index}")
    image: Image = series.images[index]
    extension = image.content_type.rsplit("/", 1)[-1]
    return file_response(
        request, image.content, f"{index}.{extension}", image.content_type, store.options.ranges
    )


def _artifact_files(store: Store, request: Request) -> Response:
    files = store.artifact(store.project(request.param("projectIdentifier")), request.param("hash"))
    return Response.of_json(
        {
            "files": [
                {
                    "filePath": file.path,
                    "fileHash": file.hash,
                    "type": file.kind,
                    "size": file.size,
                    "metadata": [
                        {"key": key, "value": value} for key, value in sorted(file.metadata.items())
                    ],
                }
                for file in files
            ]
        }
    )


class _Zips:
    """Zips that were asked for: made ready after some polls, then downloaded from a URL of their own."""

    def __init__(self, store: Store, base_url: str) -> None:
        self._store = store
        self._url = f"{base_url}{LEADERBOARD}/download/downloadFile"
        self._lock = threading.Lock()
        self._wanted: dict[str, tuple[str, FileSet]] = {}
        self._polls_left: dict[str, int] = {}

    def request(self, request: Request) -> Response:
        _, path, files = self._store.attribute(request, FileSet)
        identifier = str(uuid.uuid4())
        with self._lock:
            self._wanted[identifier] = (f"{path.rsplit('/', 1)[-1]}.zip", files)
            self._polls_left[identifier] = self._store.options.zip_polls
        return Response.of_json({"id": identifier})

    def poll(self, request: Request) -> Response:
        identifier, _ = self._known(request)
        with self._lock:
            self._polls_left[identifier] -= 1
            ready = self._polls_left[identifier] < 0
        url = {"downloadUrl": f"{self._url}?id={identifier}"} if ready else {}
        return Response.of_json({"id": identifier, **url})

    def download(self, request: Request) -> Response:
        identifier, (name, files) = self._known(request)
        if self._polls_left[identifier] >= 0:
            raise not_found(f"download {identifier}")
        return file_response(request, zipped(files), name, "application/zip", self._store.options.ranges)

    def _known(self, request: Request) -> tuple[str, tuple[str, FileSet]]:
        identifier = request.param("id") or ""
        with self._lock:
            wanted = self._wanted.get(identifier)
        if wanted is None:
            raise not_found(f"download {identifier}")
        return identifier, wanted
