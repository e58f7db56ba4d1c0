"""Files of a run: a list of them, and their bytes in a form that no browser executes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, BinaryIO
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse

from neptune_exporter.contract import NeptuneExporterError, RunView
from neptune_exporter.model import FILE_TYPES
from neptune_exporter.schema import step_as_float
from neptune_exporter.toolkit import filekinds
from neptune_exporter_explorer.guard import SANDBOX

SHOWN = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "bmp": "image/bmp",
    "avif": "image/avif",
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
    "m4a": "audio/mp4",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "mov": "video/mp4",
}
"""What the pages show: a browser draws or plays it and executes nothing. All other files are downloads."""
_COLUMNS = (
    "attribute_path",
    "attribute_type",
    "step",
    "step_float64",
    "timestamp",
    "file_value",
    "file_size",
)
_PIECE = 1 << 18
"""Bytes that are sent at once."""


def listed(run: RunView) -> Iterator[dict[str, Any]]:
    """Every file: attribute, type, step, path, name, size, whether it is missing, and how it can be shown."""
    for batch in run.batches(FILE_TYPES, columns=_COLUMNS):
        steps = step_as_float(batch).to_pylist()
        for row, step in zip(batch.to_pylist(), steps, strict=True):
            path = (row["file_value"] or {}).get("path") or ""
            found = _size(run, path)
            yield {
                "attribute": row["attribute_path"],
                "type": row["attribute_type"],
                "step": step,
                "time": row["timestamp"].isoformat() if row["timestamp"] else None,
                "path": path,
                "name": PurePosixPath(path).name,
                "size": found if row["file_size"] is None else row["file_size"],
                "missing": found is None,
                "shown": kind_of(path),
            }


def _size(run: RunView, path: str) -> int | None:
    try:
        return run.file_size(path)
    except NeptuneExporterError:  # its name leads out of the folder: opening the file says so
        return None


def kind_of(path: str) -> str | None:
    """`image`, `audio` or `video` for what is shown, by the end of its name."""
    kind = SHOWN.get(_extension(path))
    return None if kind is None else kind.partition("/")[0]


def _extension(path: str) -> str:
    return PurePosixPath(path).suffix.lstrip(".").lower()


def response(run: RunView, path: str, wanted_range: str | None, as_text: bool) -> Response:
    """The bytes of a file, or a range of them: as image, audio or video, as plain text, or as a download.
    Raises MissingFileError or UnsafePathError as `ExportedRun.open_file` does."""
    file = run.open_file(path)
    size = file.seek(0, 2)
    file.seek(0)
    headers = {"content-security-policy": SANDBOX, "accept-ranges": "bytes"}
    extension = _extension(path)
    shown = SHOWN.get(extension) if extension else _by_content(file)
    media_type = "text/plain; charset=utf-8" if as_text else shown
    if media_type is None:
        media_type = "application/octet-stream"
        headers["content-disposition"] = f"attachment; filename*=UTF-8''{quote(PurePosixPath(path).name)}"
    first, last = _range(wanted_range, size)
    status = 200 if (first, last) == (0, size - 1) else 206
    if status == 206:
        headers["content-range"] = f"bytes {first}-{last}/{size}"
    headers["content-length"] = str(last - first + 1)
    return StreamingResponse(_pieces(file, first, last), status, headers, media_type)


def _by_content(file: BinaryIO) -> str | None:
    """The type of what can be shown and has a name without an extension: other exporters store such names."""
    head = file.read(filekinds.HEAD_BYTES)
    file.seek(0)
    return SHOWN.get(filekinds.kind_of("", head).extension)


def _range(wanted: str | None, size: int) -> tuple[int, int]:
    """The first and last byte that the header Range asks for; those of the whole file if it is invalid."""
    if wanted and wanted.startswith("bytes=") and "," not in wanted:
        first, _, last = wanted[6:].partition("-")
        try:
            low = int(first) if first else max(0, size - int(last))
            high = min(size - 1, int(last)) if first and last else size - 1
        except ValueError:
            return 0, size - 1
        if 0 <= low <= high:
            return low, high
    return 0, size - 1


def _pieces(file: BinaryIO, first: int, last: int) -> Iterator[bytes]:
    with file:
        file.seek(first)
        left = last - first + 1
        while left > 0 and (piece := file.read(min(left, _PIECE))):
            left -= len(piece)
            yield piece
