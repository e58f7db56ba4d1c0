"""Requests to the server: tried again while that may help, every failure of a known kind, JSON as it is."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import orjson
import requests
from urllib3.exceptions import DecodeError
from urllib3.exceptions import HTTPError as Urllib3Error

from neptune_exporter.contract import AuthenticationError, SourceError
from neptune_exporter.toolkit import (
    AWAY_STATUSES,
    AwayError,
    Body,
    Patience,
    SlowError,
    Streaks,
    TransientError,
    pause,
    waiting_for,
)
from neptune_exporter.toolkit.http_errors import (
    TOKEN_OPTION,
    InternalError,
    RequestRefusedError,
    StoppedError,
    WebPageError,
    connection_error,
    error_of_status,
    is_web_page,
    not_the_protocol,
    server_of,
    web_page_message,
)
from neptune_exporter_neptune2.client import Connection
from neptune_exporter_neptune2.client_errors import TRUST

LEADERBOARD = "/api/leaderboard/v1"
BACKEND = "/api/backend/v1"
ARTIFACTS = "/api/artifacts/v1"

Params = Mapping[str, "str | int"]
_T = TypeVar("_T")
_CHUNK = 1 << 18
"""Bytes that are read at once."""
_INTERNAL_ERRORS = 5
"""After this many answers with status 500, or of an unknown form, a request is not tried again."""
_EXPIRED = "AUTHORIZATION_TOKEN_EXPIRED"
"""`errorType` of a 401 that a new access token cures (neptune.internal.backends.swagger_client_wrapper)."""
_RENEWALS = 5
"""How many new access tokens one request gets, until it is clear that none helps. Behind a load balancer, one
server may know of a session later than another. The client repeats such a request for a minute, without a
pause (`with_api_exceptions_handler` in neptune.common.backends.utils, 1.14)."""


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
        """The address of the web application."""
        return self._connection.address

    @property
    def server(self) -> str:
        """The address of the API, without a path, for a person."""
        return self._connection.server

    def stop(self) -> None:
        """End everything that is under way at its next step."""
        self._stopped.set()

    def get(self, path: str, params: Params, read: Callable[[Any], _T]) -> _T:
        """What a GET answers.

        Args:
            read: Takes from the JSON what is wanted. Whatever it cannot read (KeyError, TypeError,
                ValueError, AttributeError) is asked for again, a few times.

        Raises:
            AuthenticationError: the token was refused.
            RequestRefusedError: the request was refused, with the status.
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
                    raise RequestRefusedError(f"{error}, {faults} times", error.status, faults) from None
                raise

        try:
            with waiting_for(f"{self.server}: {path.removeprefix('/api/')}"):
                return self.patiently(path, lambda patience: patience.call(attempt))
        except AwayError:
            self._is_away.set()
            raise

    def _once(self, method: str, path: str, params: Params, body: object, read: Callable[[Any], _T]) -> _T:
        with self.answer(method, path, params, body=body) as response:
            content = b"".join(self.chunks(response))
        try:
            return read(parsed(content))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            asked = path.removeprefix("/api/")
            raise not_the_protocol(self.server, asked, response.headers, content) from None

    @contextmanager
    def open(
        self, url: str, params: Params | None = None, *, offset: int = 0, may_be_page: bool = True
    ) -> Iterator[Body]:
        """A content to download from a byte on, once: `receive` tries again.

        Args:
            may_be_page: It can be a web page. If not, one is taken for that of a proxy.
        """
        # Compressed on the way, a content has another length, and no byte in it can be asked for.
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
        with self.answer("GET", url, params, headers=headers, partial=True) as response:
            if not may_be_page and is_web_page(response.headers, b""):
                raise WebPageError(web_page_message(self.server, b""))
            yield Body.of_http(response.status_code, response.headers, self.chunks(response))

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
        for renewals in range(_RENEWALS):
            if not _says_expired(response):
                break
            response.close()
            if renewals:
                pause(self._patience.first_wait * renewals)
            self._connection.renew_token(response)
            response = self._send(method, url, params, body, headers)
        with response:
            if _says_expired(response):
                raise AuthenticationError(
                    f"{self.server} refuses access tokens as expired, also {_RENEWALS} that it has just "
                    "issued: its clocks may differ, or it has ended this session. Export again later; if "
                    f"that does not help, give a new API token with {TOKEN_OPTION}"
                )
            if not (response.ok or (partial and response.status_code == 416)):
                content = _content(response)
                raise error_of_status(response.status_code, response.headers, content, self.server)
            yield response

    def chunks(self, response: requests.Response) -> Iterator[bytes]:
        """The body of an answer in pieces as they come, decoded. Raises TransientError if the connection
        broke, or the answer comes slower than the least rate."""
        try:
            yield from self._pieces(response)
        except SlowError as error:
            raise SlowError(f"{self.server}: {error}") from None
        except (requests.RequestException, Urllib3Error) as error:
            raise _cut_short(error, server_of(response.url)) from None

    def _pieces(self, response: requests.Response) -> Iterator[bytes]:
        # Not `iter_content`: it waits until a piece is full, without end if a server drips. `read1` came with
        # urllib3 2.2, and never returns b"" before the end, also inside a gzip header.
        while data := response.raw.read1(_CHUNK, decode_content=True):
            if self._stopped.is_set():
                raise StoppedError("stopped")
            yield data

    def _send(
        self, method: str, url: str, params: Params | None, body: object, headers: Mapping[str, str] | None
    ) -> requests.Response:
        if self._stopped.is_set():
            raise StoppedError("stopped")
        try:
            response = self._connection.send(method, url, params, body=body, headers=headers)
        except SlowError as error:
            raise SlowError(f"{self.server}: {error}") from None
        except requests.RequestException as error:
            raise self._broken(error) from None
        if response.status_code not in AWAY_STATUSES:
            self._is_away.clear()
        return response

    def _broken(self, error: requests.RequestException) -> SourceError:
        url = str((error.request and error.request.url) or self.server)
        if isinstance(error, requests.exceptions.ChunkedEncodingError):
            return _cut_short(error, server_of(url))
        if isinstance(error, requests.exceptions.ReadTimeout):
            return TransientError(f"{server_of(url)} did not answer in time")
        if isinstance(error, (requests.exceptions.ConnectionError, requests.exceptions.Timeout)):
            return connection_error(error, url, TRUST, TOKEN_OPTION)
        return SourceError(f"the request cannot be made: {type(error).__name__}")


def parsed(content: bytes) -> Any:
    """JSON, also such with bare NaN and Infinity or half a surrogate pair, which only the slow parser takes.
    Raises ValueError if it is not JSON."""
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return json.loads(content)


def _cut_short(error: Exception, server: str) -> TransientError:
    if isinstance(error, (requests.exceptions.ContentDecodingError, DecodeError)):
        return TransientError(f"the answer of {server} cannot be decompressed")
    return TransientError(f"the connection to {server} broke in the middle of the answer")


def _says_expired(response: requests.Response) -> bool:
    """Whether the access token was refused because its time is over."""
    if response.status_code != 401:
        return False
    try:
        body = json.loads(_content(response))
    except ValueError:
        return False
    return isinstance(body, dict) and body.get("errorType") == _EXPIRED


def _content(response: requests.Response) -> bytes:
    """The body of an answer that is no success; empty where it cannot be read."""
    try:
        return response.content
    except (requests.RequestException, Urllib3Error):
        return b""
