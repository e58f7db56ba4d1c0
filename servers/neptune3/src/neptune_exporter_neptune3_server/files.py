"""Files: signed URLs from the storage bridge, and the object store behind them.

The store answers as the one of the chosen provider does to neptune-query's
`download_file`: an expired URL is 400 for gcp, 403 for aws and azure; a missing blob
is signed all the same and answered with 404.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from typing import Literal
from urllib.parse import quote, urlencode

from neptune_exporter.testing.loopback import Request, Response

from .errors import AccessDeniedError, ApiError, BadRequestError
from .limits import Limits
from .model import FakeFile, FileSeries
from .reading import json_body, required
from .store import Holder, Store

Provider = Literal["gcp", "aws", "azure"]
STORAGE_PATH = "/storage/"
_QUERY: dict[Provider, tuple[str, str]] = {
    "gcp": ("Expires", "Signature"),
    "aws": ("Expires", "Signature"),
    "azure": ("se", "sig"),
}
"""What each provider calls the end and the signature of a URL; the azure client keeps no other names."""

_EXPIRED: dict[Provider, tuple[int, str]] = {
    "gcp": (400, "ExpiredToken"),
    "aws": (403, "AccessDenied"),
    "azure": (403, "AuthenticationFailed"),
}


class ObjectStore:
    """`url_lifetime`: seconds that a signed URL is good for. `ranges`: whether `Range` is heeded."""

    def __init__(self, store: Store, limits: Limits, provider: Provider) -> None:
        self.provider = provider
        self.url_lifetime = 3600.0
        self.ranges = True
        self._store = store
        self._limits = limits
        self._secret = secrets.token_bytes(32)
        self._files: dict[tuple[str, str], FakeFile] = {}

    def register(self, holder: Holder, attribute: str, step: float | None, file: FakeFile) -> str:
        """Make a file known; returns its path."""
        path = holder.run.file_path(attribute, step, file)
        self._files[holder.view.project.name, path] = file
        return path

    def sign(self, request: Request, url: str) -> Response:
        files = required(json_body(request), "files")
        if len(files) > self._limits.signed_urls:
            raise ApiError(413, f"{len(files)} files, {self._limits.signed_urls} are allowed")
        answer = []
        for each in files:
            project, path = required(each, "project_identifier"), required(each, "path")
            self._store.view(project)
            if each.get("permission") != "read":
                raise AccessDeniedError(f"{path} for writing")
            answer.append(
                {
                    "path": path,
                    "project_identifier": project,
                    "provider": self.provider,
                    "url": self._signed(url, project, path),
                }
            )
        return Response.of_json({"files": answer})

    def download(self, request: Request) -> Response:
        """A file or the part of it that is asked for. No token: the URL itself is the permission."""
        name = request.path_values["name"]
        expires, signature = (request.param(key) or "" for key in _QUERY[self.provider])
        if not hmac.compare_digest(signature, self._signature(name, expires)):
            return self._refused(403, "SignatureDoesNotMatch")
        if float(expires) <= time.time():
            status, code = _EXPIRED[self.provider]
            return self._refused(status, code)
        project, path = _split(name)
        file = self._find(project, path)
        if file is None or file.missing:
            return self._refused(404, "BlobNotFound" if self.provider == "azure" else "NoSuchKey")
        return self._part(request, file)

    def _part(self, request: Request, file: FakeFile) -> Response:
        size = len(file.content)
        etag = f'"{file.digest}"'
        headers = {"ETag": etag, "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}
        if self.provider == "azure":
            headers["x-ms-blob-type"] = "BlockBlob"
        wanted = request.headers.get("x-ms-range") or request.headers.get("range")
        if not self.ranges or wanted is None or request.headers.get("if-range", etag) != etag:
            return Response(200, file.content, file.mime_type, headers)
        headers["Accept-Ranges"] = "bytes"
        part = _range(wanted, size)
        if part is None:
            return self._refused(416, "InvalidRange", {"Content-Range": f"bytes */{size}"})
        first, stop = part
        headers["Content-Range"] = f"bytes {first}-{stop - 1}/{size}"
        return Response(206, file.content[first:stop], file.mime_type, headers)

    def _find(self, project: str, path: str) -> FakeFile | None:
        if (project, path) not in self._files:
            for holder in self._store.view(project).holders:
                for name, value in holder.items():
                    if isinstance(value, FakeFile):
                        self.register(holder, name, None, value)
                    elif isinstance(value, FileSeries):
                        for step, file in zip(value.steps, value.values, strict=True):
                            self.register(holder, name, step, file)
        return self._files.get((project, path))

    def _signed(self, url: str, project: str, path: str) -> str:
        name = f"{project.replace('/', ':', 1)}/{path}"
        expires = f"{time.time() + self.url_lifetime:.3f}"
        query = urlencode(
            dict(zip(_QUERY[self.provider], (expires, self._signature(name, expires)), strict=True))
        )
        return f"{url}{STORAGE_PATH}{quote(name)}?{query}"

    def _signature(self, name: str, expires: str) -> str:
        return hmac.new(self._secret, f"{name}\0{expires}".encode(), hashlib.sha256).hexdigest()

    def _refused(self, status: int, code: str, headers: dict[str, str] | None = None) -> Response:
        body = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>"
        return Response(
            status, body.encode(), "application/xml", {"x-ms-error-code": code, **(headers or {})}
        )


def _split(name: str) -> tuple[str, str]:
    project, _, path = name.partition("/")
    if not path:
        raise BadRequestError(f"not a blob: {name!r}")
    return project.replace(":", "/", 1), path


def _range(text: str, size: int) -> tuple[int, int] | None:
    """The slice that a single byte range names, None if it lies outside."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", text.strip())
    if match is None or match.group() == "bytes=-":
        return None
    first_text, last_text = match.groups()
    if not first_text:
        first, stop = max(0, size - int(last_text)), size
    else:
        first, stop = int(first_text), min(size, int(last_text) + 1) if last_text else size
    return (first, stop) if first < stop else None
