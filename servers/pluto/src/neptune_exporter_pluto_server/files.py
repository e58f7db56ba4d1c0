"""Files: announcing them, and the bucket behind the presigned URLs.

Facts from pluto-server `ingest/src/routes/files.rs`: the row is queued before the
bytes come; the key is tenant/project/run/logName/fileName, so the step is not in
it. Only older versions sign the content type.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from typing import Any
from urllib.parse import quote, urlencode

from neptune_exporter.testing.loopback import LoopbackServer, Request, Response
from neptune_exporter_pluto_server.ingest import (
    IngestError,
    authorized_ingest,
    project_header,
    run_header,
)
from neptune_exporter_pluto_server.lines import U64_MAX
from neptune_exporter_pluto_server.points import Key
from neptune_exporter_pluto_server.state import ORGANIZATION, State

MAX_BODY = 2 * 1024 * 1024
MAX_OBJECT = 5 * 1024**3
"""The largest single PUT of an S3 bucket, bytes."""

_DOWNLOAD_SECONDS = 5 * 24 * 3600
_SECRET = secrets.token_bytes(32)
_U32_MAX = (1 << 32) - 1

MIME_TYPES = {
    **dict.fromkeys(("jpeg", "jpg"), "image/jpeg"),
    "png": "image/png",
    "gif": "image/gif",
    "svg": "image/svg+xml",
    "webp": "image/webp",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "avi": "video/x-msvideo",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "wav": "audio/x-wav",
    "ogg": "audio/ogg",
    "pdf": "application/pdf",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "txt": "text/plain",
    "json": "application/json",
    "csv": "text/csv",
    "xml": "application/xml",
    **dict.fromkeys(("yaml", "yml"), "application/x-yaml"),
    "h5": "application/x-hdf5",
    **dict.fromkeys(
        ("onnx", "pkl", "tflite", "savedmodel", "pt", "ckpt"),
        "application/octet-stream",
    ),
}
"""The content types that older versions sign; any other fileType is taken for the
content type itself."""


class Files:
    """Registers its routes with a server."""

    def __init__(self, state: State) -> None:
        self._state = state

    def register(self, server: LoopbackServer) -> None:
        server.route("POST", "/files", self._announce)
        server.route("PUT", "/storage/(?s:(?P<key>.*))", self._put)
        server.route("GET", "/storage/(?s:(?P<key>.*))", self._get)

    def _announce(self, request: Request) -> Response:
        # the real service reads the body before it looks at the key
        if not re.match(r"application/(\S+\+)?json\b", request.headers.get("content-type", "")):
            return _text("Expected request with `Content-Type: application/json`", 415)
        if int(request.headers.get("content-length", "0")) > MAX_BODY:
            return _text("Failed to buffer the request body: length limit exceeded", 413)
        body = request.body()
        if len(body) > MAX_BODY:
            return _text("Failed to buffer the request body: length limit exceeded", 413)
        try:
            files = json.loads(body)
        except ValueError as error:
            return _text(f"Failed to parse the request body as JSON: {error}", 400)
        try:
            rows = [_row(file) for file in files["files"]]
        except (KeyError, TypeError, ValueError) as error:
            return _text(f"Failed to deserialize the JSON body into the target type: files: {error}", 422)
        try:
            authorized_ingest(self._state, request)
            run_id, project = run_header(request), project_header(request)
        except IngestError as error:
            return error.response()
        if run_id is None:
            raise ConnectionError("the real service panics on a run id that is not a number")
        key = project, run_id
        self._state.store.add_files(key, [{**row, "fileType": row["fileType"][0]} for row in rows])
        urls: dict[str, list[dict[str, str]]] = {}
        for row in rows:
            url = self._signed("PUT", key, row["logName"], row["fileName"], row["fileType"][1])
            urls.setdefault(row["logName"], []).append({row["fileName"]: url})
        return Response.of_json(urls)

    def _signed(self, method: str, key: Key, log_name: str, file_name: str, content_type: str) -> str:
        signed = content_type if self._state.settings.sign_content_type else ""
        seconds = self._state.settings.presign_seconds
        return _sign(self._state, method, object_key(key, log_name, file_name), signed, seconds)

    def _put(self, request: Request) -> Response:
        refusal = self._refusal(request, request.headers.get("content-type", ""))
        if refusal is not None:
            return refusal
        if "content-length" not in request.headers:
            return _xml("MissingContentLength", "You must provide the Content-Length HTTP header.", 411)
        if int(request.headers["content-length"]) > MAX_OBJECT:
            return _xml("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size", 400)
        blob = self._state.store.blobs.put(request.path_values.get("key", ""), request.chunks())
        return Response(200, b"", "application/xml", {"ETag": f'"{blob.md5}"'})

    def _get(self, request: Request) -> Response:
        refusal = self._refusal(request, "")
        if refusal is not None:
            return refusal
        blob = self._state.store.blobs.get(request.path_values.get("key", ""))
        if blob is None or not blob.path.exists():
            return _xml("NoSuchKey", "The specified key does not exist.", 404)

        def pieces(path: Any = blob.path) -> Any:
            with path.open("rb") as file:
                while piece := file.read(1 << 20):
                    yield piece

        headers = {"ETag": f'"{blob.md5}"'}
        return Response(200, pieces(), "application/octet-stream", headers, length=blob.size)

    def _refusal(self, request: Request, content_type: str) -> Response | None:
        date, seconds = request.param("X-Amz-Date") or "", request.param("X-Amz-Expires") or ""
        signed_type = request.param("X-Amz-SignedHeaders") == "content-type;host"
        key = request.path_values.get("key", "")
        expected = _signature(request.method, key, date, seconds, content_type if signed_type else "")
        if not hmac.compare_digest(expected, request.param("X-Amz-Signature") or ""):
            message = "The request signature we calculated does not match the signature you provided."
            return _xml("SignatureDoesNotMatch", message, 403)
        if self._state.clock() > float(date) + float(seconds):
            return _xml("AccessDenied", "Request has expired", 403)
        return None


def object_key(key: Key, log_name: str, file_name: str) -> str:
    return f"{ORGANIZATION}/{key[0]}/{key[1]}/{log_name}/{file_name}"


def download_url(state: State, key: Key, log_name: str, file_name: str) -> str:
    return _sign(state, "GET", object_key(key, log_name, file_name), "", _DOWNLOAD_SECONDS)


def _sign(state: State, method: str, key: str, content_type: str, seconds: float) -> str:
    date, valid = str(state.clock()), str(seconds)
    query = {
        "X-Amz-Date": date,
        "X-Amz-Expires": valid,
        "X-Amz-SignedHeaders": "content-type;host" if content_type else "host",
        "X-Amz-Signature": _signature(method, key, date, valid, content_type),
    }
    return f"{state.url}/storage/{quote(key)}?{urlencode(query)}"


def _signature(method: str, key: str, date: str, seconds: str, content_type: str) -> str:
    text = "\n".join((method, key, date, seconds, content_type))
    return hmac.new(_SECRET, text.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()


def _row(file: dict[str, Any]) -> dict[str, Any]:
    """A file of the body; `fileType` as (what is stored, content type).

    Raises:
        KeyError, TypeError, ValueError: a member is missing or of the wrong type.
    """
    for name in ("caption", "annotations"):
        if not isinstance(file.get(name), (str, type(None))):
            raise TypeError(f"invalid type for `{name}`")
    for name in ("fileName", "logName"):
        if not isinstance(file[name], str):
            raise TypeError(f"invalid type for `{name}`, expected a string")
    return {
        "time": _unsigned(file["time"], "time", U64_MAX),
        "step": _unsigned(file["step"], "step", U64_MAX),
        "logName": file["logName"],
        "fileName": file["fileName"],
        "fileType": _file_type(file["fileType"]),
        "fileSize": _unsigned(file["fileSize"], "fileSize", U64_MAX),
        "caption": file.get("caption"),
        "sampleIndex": _unsigned(file.get("sampleIndex", 0), "sampleIndex", _U32_MAX),
        "annotations": file.get("annotations"),
    }


def _file_type(value: Any) -> tuple[str, str]:
    if isinstance(value, dict) and isinstance(value.get("custom"), str):
        return value["custom"], value["custom"]
    if not isinstance(value, str):
        raise TypeError("invalid type for `fileType`, expected a string or an object with 'custom' field")
    known = MIME_TYPES.get(value.lower())
    return (value, value) if known is None else ("yaml" if value.lower() == "yml" else value.lower(), known)


def _unsigned(value: Any, name: str, maximum: int) -> int:
    if type(value) is int and 0 <= value <= maximum:
        return value
    raise ValueError(f"invalid value for `{name}`, expected an unsigned integer")


def _text(message: str, status: int) -> Response:
    return Response.of_text(message, status)


def _xml(code: str, message: str, status: int) -> Response:
    error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Response(status, f'<?xml version="1.0" encoding="UTF-8"?>{error}'.encode(), "application/xml")
