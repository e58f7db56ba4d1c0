"""Requests to the server: tried again while that may help, every failure of a known kind, JSON as it is."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

import orjson
import requests
from urllib3.exceptions import DecodeError
from urllib3.exceptions import HTTPError as Urllib3Error

from neptune_exporter.contract import AuthenticationError, SourceError
from neptune_exporter.toolkit import (
    AWAY_STATUSES,
    TRANSIENT_STATUSES,
    AwayError,
    Body,
    Patience,
    Streaks,
    TransientError,
    one_line,
    retry_after,
)
from neptune_exporter_neptune2.client import Connection

LEADERBOARD = "/api/leaderboard/v1"
BACKEND = "/api/backend/v1"
ARTIFACTS = "/api/artifacts/v1"

Params = Mapping[str, "str | int"]
_T = TypeVar("_T")
_CHUNK = 1 << 18
_INTERNAL_ERRORS = 5
"""So many answers with 500, or of an unknown form, to one request are final."""
_EXPIRED = "AUTHORIZATION_TOKEN_EXPIRED"
"""`errorType` of a 401 that a new access token cures (neptune.internal.backends.swagger_client_wrapper)."""


class RefusedError(SourceError):
    """The server said no, and would say so again."""

    def __init__(self, message: str, status: int, attempts: int = 1) -> None:
        super().__init__(message)
        self.status = status
        self.attempts = attempts


class StoppedError(SourceError):
    """Everything is to end."""


class InternalError(TransientError):
    """HTTP 500: passes seldom, and often is about damaged data."""

    status = 500


class FormError(InternalError):
    """JSON of another form than was expected: mostly what this server always answers."""

    status = 200


class Api:
    """Requests of all threads, over the connection that the client's handshake made.

    The client's own retrying is not used: it repeats without a pause after an expired
    token, misreads Retry-After, and leaves out listings and the bodies of downloads.
    """

    def __init__(self, connection: Connection, patience: Patience) -> None:
        self._connection = connection
        self._patience = patience
        self.streaks = Streaks(patience)
        self._is_away = threading.Event()
        self._stopped = threading.Event()

    @property
    def patience(self) -> Patience:
        """For how long a request is tried again: once the server seems to be away, each just once.

        Otherwise thousands of requests would wait in vain one after the other.
        """
        return Patience(0) if self._is_away.is_set() or self._stopped.is_set() else self._patience

    def patiently(self, kind: str, action: Callable[[Patience], _T]) -> _T:
        """Do something with as much patience as there is for its kind (`Streaks`)."""
        return self.streaks.call(kind, action, self.patience)

    @property
    def address(self) -> str:
        """Of the web application."""
        return self._connection.address

    def stop(self) -> None:
        """Have everything that is under way end at its next step."""
        self._stopped.set()

    def get(self, path: str, params: Params, read: Callable[[Any], _T]) -> _T:
        """What a GET answers.

        Args:
            read: Takes from the JSON what is wanted. Whatever it cannot read (KeyError, TypeError,
                ValueError, AttributeError) is asked for again, a few times.

        Raises:
            AuthenticationError: the token was refused.
            RefusedError: the request was refused, with the status.
            TransientError: patience is at its end.
        """
        return self._request("GET", path, params, None, read)

    def post(self, path: str, params: Params, body: object, read: Callable[[Any], _T]) -> _T:
        """What a POST answers: of searches, and of a request that may well be made twice.

        Args, Raises: as `get`.
        """
        return self._request("POST", path, params, body, read)

    def _request(self, method: str, path: str, params: Params, body: object, read: Callable[[Any], _T]) -> _T:
        faults = 0

        def attempt() -> _T:
            nonlocal faults
            try:
                return self._once(method, path, params, body, read)
            except InternalError as error:
                faults += 1
                if faults >= _INTERNAL_ERRORS:
                    raise RefusedError(f"{error}, {faults} times", error.status, faults) from None
                raise

        try:
            return self.patiently(path, lambda patience: patience.call(attempt))
        except AwayError:
            self._is_away.set()
            raise

    def _once(self, method: str, path: str, params: Params, body: object, read: Callable[[Any], _T]) -> _T:
        with self.answer(method, path, params, body=body) as response:
            try:
                content = response.raw.read(decode_content=True)  # at once: `content` reads in small pieces
            except (requests.RequestException, Urllib3Error) as error:
                raise _cut_short(error) from None
        try:
            return read(parsed(content))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            place = path.removeprefix("/api/")
            raise FormError(f"the server's answer to {place} cannot be read: {error!r:.100}") from None

    def open(self, url: str, params: Params | None = None, *, offset: int = 0) -> Opened:
        """A content to download from a byte on, once: `receive` tries again."""
        return Opened(self, url, params, offset)

    @contextmanager
    def answer(
        self,
        method: str,
        url: str,
        params: Params | None,
        *,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        partial: bool = False,
    ) -> Iterator[requests.Response]:
        """A good answer whose body was not read yet."""
        response = self._send(method, url, params, body, headers)
        if response.status_code == 401 and _error_type(response) == _EXPIRED:
            response.close()
            self._connection.renew_token(response)
            response = self._send(method, url, params, body, headers)
        with response:
            if not (response.ok or (partial and response.status_code == 416)):
                raise _error_of(response)
            yield response

    def chunks(self, response: requests.Response) -> Iterator[bytes]:
        """The body of an answer in pieces. Raises TransientError where the connection breaks."""
        try:
            for chunk in response.iter_content(_CHUNK):
                if self._stopped.is_set():
                    raise StoppedError("stopped")
                yield chunk
        except (requests.RequestException, Urllib3Error) as error:
            raise _cut_short(error) from None

    def _send(
        self, method: str, url: str, params: Params | None, body: object, headers: Mapping[str, str] | None
    ) -> requests.Response:
        if self._stopped.is_set():
            raise StoppedError("stopped")
        try:
            response = self._connection.send(method, url, params, body=body, headers=headers)
        except requests.RequestException as error:
            raise _broken(error) from None
        if response.status_code not in AWAY_STATUSES:
            self._is_away.clear()
        return response


class Opened:
    """A download: a context manager of its Body. `headers` are those of the answer once it is entered."""

    def __init__(self, api: Api, url: str, params: Params | None, offset: int) -> None:
        # Compressed on the way, a content has another length, and no byte in it can be asked for.
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
        self._api = api
        self._answer = api.answer("GET", url, params, headers=headers, partial=True)
        self.headers: Mapping[str, str] = {}

    def __enter__(self) -> Body:
        response = self._answer.__enter__()
        self.headers = response.headers
        return Body.of_http(response.status_code, response.headers, self._api.chunks(response))

    def __exit__(self, *exception: Any) -> None:
        self._answer.__exit__(*exception)


def parsed(content: bytes) -> Any:
    """JSON, also such with bare NaN and Infinity or half a surrogate pair, which only the slow parser takes.

    Raises:
        TransientError: none (a page of a proxy, or the rest of it is missing).
    """
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        try:
            return json.loads(content)
        except ValueError:
            raise TransientError("the server's answer is no JSON") from None


def _cut_short(error: Exception) -> TransientError:
    if isinstance(error, (requests.exceptions.ContentDecodingError, DecodeError)):
        return TransientError("the server's answer cannot be decompressed")
    return TransientError("the connection broke in the middle of the answer")


def _broken(error: requests.RequestException) -> SourceError:
    """What a failure without an answer means. Addresses stay out: one may be signed."""
    if isinstance(error, requests.exceptions.SSLError) and "CERTIFICATE" in str(error).upper():
        return SourceError(
            "the server's certificate is not trusted: set REQUESTS_CA_BUNDLE, or "
            "NEPTUNE_ALLOW_SELF_SIGNED_CERTIFICATE=TRUE for a server that you trust"
        )
    if isinstance(error, requests.exceptions.ReadTimeout):
        return TransientError("the server did not answer in time")
    if isinstance(error, (requests.exceptions.ConnectionError, requests.exceptions.Timeout)):
        # The token hides which server it is for; of an address only the host is told.
        url = None if error.request is None else error.request.url
        host = urlsplit(str(url or "")).hostname
        return AwayError(f"the server {host} cannot be reached" if host else "the server cannot be reached")
    return SourceError(f"the request cannot be made: {type(error).__name__}")


def _error_of(response: requests.Response) -> Exception:
    status = response.status_code
    said = _said(response)
    if status == 401:
        return AuthenticationError(
            f"the server refused the access of this API token (HTTP 401{said}): it is wrong or was revoked. "
            "Give a valid one with --api-token or NEPTUNE_API_TOKEN"
        )
    message = f"HTTP {status}{said}"
    if status in TRANSIENT_STATUSES:
        kind = AwayError if status in AWAY_STATUSES else InternalError if status == 500 else TransientError
        return kind(message, retry_after(response.headers))
    return RefusedError(message, status)


def _error_body(response: requests.Response) -> Mapping[str, Any]:
    try:
        body = json.loads(response.content)
    except (ValueError, requests.RequestException, Urllib3Error):
        return {}
    return body if isinstance(body, dict) else {}


def _error_type(response: requests.Response) -> object:
    return _error_body(response).get("errorType")


def _said(response: requests.Response) -> str:
    body = _error_body(response)
    for name in ("message", "title", "errorType"):
        if isinstance(body.get(name), str) and body[name].strip():
            return ", " + one_line(body[name], 200)
    return ""
