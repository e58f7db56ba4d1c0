"""The storage of files: puts bytes to presigned addresses, and reads back what is there."""

from __future__ import annotations

import hashlib
import itertools
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

import httpx

from neptune_exporter.contract import SinkError
from neptune_exporter.toolkit import TransientError, retry_after
from neptune_exporter_pluto.service.answers import Outcome, excerpt, outcome_of, outcome_of_error, shown
from neptune_exporter_pluto.service.api import FileToSign
from neptune_exporter_pluto.service.transport import PlutoRefusedError, Transport

_PIECE = 1 << 20
_SUCCESSES_TO_GROW = 20
_MOST_REFUSALS = 3
"""So often an address is tried of which the storage does not say that it has expired."""
_MD5 = re.compile(r"[0-9a-fA-F]{32}")
_ENCRYPTION = "x-amz-server-side-encryption"
_PLAIN = ("", "AES256")
"""Values of that header with which the ETag is the MD5 of the object."""


class ExpiredError(SinkError):
    """The upload address is not accepted any more."""


class _RefusedAddressError(SinkError):
    """Storage refused the upload address without saying that it has expired."""


class Pace:
    """How many uploads run at once: falls by itself when the server pushes back, and recovers.

    A push-back halves the limit (not below one), a row of successes raises it by one,
    up to the maximum. If a request that was under way when the limit fell is pushed back too, the limit does
    not fall again: that is no news.
    """

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self.limit = maximum
        self._under_way = 0
        self._successes = 0
        self._era = 0
        self._changed = threading.Condition()

    @contextmanager
    def turn(self) -> Iterator[int]:
        """Wait for a place, and hold it. Yields the era, for `pushed_back`."""
        with self._changed:
            self._changed.wait_for(lambda: self._under_way < self.limit)
            self._under_way += 1
            era = self._era
        try:
            yield era
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def succeeded(self) -> None:
        with self._changed:
            self._successes += 1
            if self._successes >= _SUCCESSES_TO_GROW and self.limit < self.maximum:
                self.limit += 1
                self._successes = 0
                self._changed.notify_all()

    def pushed_back(self, era: int) -> None:
        with self._changed:
            self._successes = 0
            if era == self._era:
                self.limit = max(1, self.limit // 2)
                self._era += 1


class Storage:
    """Files at presigned addresses. Thread-safe."""

    def __init__(self, transport: Transport, connections: int) -> None:
        self._transport = transport
        self.pace = Pace(connections)

    def put(self, url: str, file: FileToSign, opened: Callable[[], BinaryIO], what: str) -> None:
        """Put the bytes of a file; tried again as often as patience allows. Raises ExpiredError if storage
        says that the address has expired, or refuses it repeatedly, and SinkError if the file could not be
        put. `what` names it in errors.
        """
        refusals = itertools.count(1)

        def attempt() -> None:
            try:
                self._put_once(url, file, opened, what)
            except _RefusedAddressError as error:
                if next(refusals) >= _MOST_REFUSALS:
                    raise ExpiredError(str(error)) from None
                raise TransientError(str(error)) from None

        self._transport.patiently(attempt)

    def _put_once(self, url: str, file: FileToSign, opened: Callable[[], BinaryIO], what: str) -> None:
        headers = {"Content-Type": file.content_type, "Content-Length": str(file.size)}
        digest = hashlib.md5(usedforsecurity=False)
        with self.pace.turn() as era, opened() as source:
            pieces = _pieces(source, file.size, digest, what)
            content = b"".join(pieces) if file.size <= _PIECE else pieces
            try:
                response = self._transport.put(url, what, content, headers)
            except httpx.RequestError as error:
                raise _failed(error, what) from None
            if response.is_success:
                if problem := not_stored(response, digest.hexdigest()):
                    self.pace.pushed_back(era)
                    raise TransientError(f"{what}: {problem}")
                self.pace.succeeded()
                return
            message = f"{what}: {response.url.host} answered {response.status_code}: {excerpt(response)}"
            if response.status_code in (400, 401, 403) and "xpired" in response.text:
                raise ExpiredError(message)
            if response.status_code in (401, 403):
                raise _RefusedAddressError(message)
            if outcome_of(response) in (Outcome.BUSY, Outcome.UNCERTAIN):
                self.pace.pushed_back(era)
                raise TransientError(message, retry_after(response.headers))
            raise PlutoRefusedError(message, response.status_code, response.text)

    def sha256(self, url: str, what: str) -> str | None:
        """The digest of the bytes that are there, None if nothing is. Raises SinkError if they are not to be
        read."""

        def attempt() -> str | None:
            try:
                with self._transport.stream(url) as response:
                    if response.status_code == 404:
                        return None
                    if response.is_success:
                        digest = hashlib.sha256()
                        for piece in response.iter_bytes(_PIECE):
                            digest.update(piece)
                        return digest.hexdigest()
                    response.read()
                    message = f"{what}: the storage answered {response.status_code}"
                    if outcome_of(response) in (Outcome.BUSY, Outcome.UNCERTAIN):
                        raise TransientError(message)
                    raise SinkError(message)
            except httpx.RequestError as error:
                raise _failed(error, what) from None

        return self._transport.patiently(attempt)


def _failed(error: httpx.RequestError, what: str) -> Exception:
    if outcome_of_error(error) is Outcome.REFUSED:
        return SinkError(f"{what}: {type(error).__name__}")
    return TransientError(f"{what}: the connection failed ({type(error).__name__})")


def _pieces(source: BinaryIO, size: int, digest: hashlib._Hash, what: str) -> Iterator[bytes]:
    """A file in pieces, with the digest of all that was sent.

    One that has changed since it was announced must not arrive in part.
    """
    left = size
    while left > 0:
        piece = source.read(min(_PIECE, left))
        if not piece:
            raise SinkError(f"{what}: the file became shorter meanwhile")
        left -= len(piece)
        digest.update(piece)
        yield piece


def not_stored(response: httpx.Response, md5: str) -> str | None:
    """What is wrong with the successful answer of a PUT to a presigned address; None if it proves the upload.

    S3's PutObject answers with an ETag and no body, and so do the stores that speak its protocol. By the API
    reference of S3 the ETag is the MD5 of the object when it was put in one piece and is stored in plain or
    under SSE-S3. Under SSE-KMS and SSE-C, of which headers of the answer tell, and in directory buckets it is
    something else of the same look. MinIO without strict compatibility gives random ETags that end in `-1`.

    Args:
        md5: Of what was sent, in hexadecimal.
    """
    where = response.url.host
    tag = response.headers.get("etag", "").removeprefix("W/").strip('"')
    if not tag:
        return f"{where} answered {response.status_code} without the ETag of S3: {shown(response.content)}"
    if _is_md5(response, tag):
        if tag.lower() == md5:
            return None
        return f"{where} has stored other bytes: their MD5 is {tag.lower()}, that of the file {md5}"
    if response.content.strip():
        return f"{where} answered {response.status_code}, but not as S3 does: {shown(response.content)}"
    return None


def _is_md5(response: httpx.Response, tag: str) -> bool:
    if not _MD5.fullmatch(tag) or ".s3express-" in response.url.host:
        return False
    keyed = any(name.startswith(f"{_ENCRYPTION}-customer-") for name in response.headers)
    return not keyed and response.headers.get(_ENCRYPTION, "") in _PLAIN
