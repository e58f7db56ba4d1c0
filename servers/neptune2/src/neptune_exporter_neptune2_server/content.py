"""Bodies that are files: whole, in ranges, and file sets as zips."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

from neptune_exporter.testing.loopback import Request, Response
from neptune_exporter_neptune2_server.attributes import FileSet
from neptune_exporter_neptune2_server.errors import not_found
from neptune_exporter_neptune2_server.wire import timestamp

_CHUNK = 1 << 18
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_UNSAFE = re.compile(r'[^ -~]|["\\]')
"""What a plain `filename="…"` cannot hold."""


def file_response(
    request: Request, content: bytes | Path, name: str, content_type: str, ranges: bool
) -> Response:
    """A file to download, named by Content-Disposition. With `ranges`, a byte range is answered with 206."""
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    disposition = request.param("expectedContentDisposition") or "attachment"
    headers = {"Content-Disposition": f'{disposition}; filename="{_UNSAFE.sub("_", name)}"'}
    start, end, status = 0, size, 200
    if ranges:
        headers["Accept-Ranges"] = "bytes"
        asked = _RANGE.fullmatch(request.headers.get("range", ""))
        if asked is not None:
            start, end = int(asked[1]), min(int(asked[2] or size) + 1, size)
            if start >= size or end <= start:
                return Response(416, headers={"Content-Range": f"bytes */{size}"})
            status = 206
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    body = content[start:end] if isinstance(content, bytes) else _pieces(content, start, end)
    return Response(status, body, content_type, headers, length=end - start)


def _pieces(path: Path, start: int, end: int) -> Iterator[bytes]:
    with path.open("rb") as stream:
        stream.seek(start)
        while start < end:
            piece = stream.read(min(_CHUNK, end - start))
            if not piece:
                raise ConnectionError(f"{path.name} became shorter while it was served")
            start += len(piece)
            yield piece


def zipped(files: FileSet) -> bytes:
    """The zip of a file set; the same bytes each time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in sorted(files.files.items()):
            info = zipfile.ZipInfo(path, files.mtime.timetuple()[:6])
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return buffer.getvalue()


def listing(files: FileSet, folder: str) -> list[dict[str, object]]:
    """One level of a file set, as `lsFileSetAttribute` answers: folders, then files.

    Raises:
        ApiError: 404 for an unknown folder.
    """
    prefix = f"{folder.strip('/')}/" if folder.strip("/") else ""
    sizes: dict[tuple[str, str], int] = {}
    for path, content in files.files.items():
        if path.startswith(prefix):
            head, slash, _ = path[len(prefix) :].partition("/")
            sizes["directory" if slash else "file", head] = 0 if slash else len(content)
    if prefix and not sizes:
        raise not_found(f"folder {folder}")
    mtime = timestamp(files.mtime)
    return [
        {"name": name, "fileType": kind, "mtime": mtime, "size": size}
        for (kind, name), size in sorted(sizes.items())
    ]
