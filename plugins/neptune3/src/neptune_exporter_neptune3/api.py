"""Sends requests to the server, retries them while that may help, and turns every failure into an error of
ours."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from neptune_exporter.contract import NeptuneExporterError
from neptune_exporter.toolkit import AwayError, Patience, Streaks, TransientError, waiting_for
from neptune_exporter.toolkit.http_errors import (
    RequestRefusedError,
    StoppedError,
    WebPageError,
    error_of_status,
    is_web_page,
    not_the_protocol,
)
from neptune_exporter_neptune3.client import (
    Answer,
    Client,
    DecodeError,
    ProtoLeaderboardEntriesSearchResultDTO,
    ProtoQueryAttributesResultDTO,
    ProtoSeriesValuesResponseDTO,
)

_T = TypeVar("_T")
_RUNS = ProtoLeaderboardEntriesSearchResultDTO.FromString
_ON_PARTS = 5.0
"""Seconds for which a request is retried if it is a part of one that failed, or its kind has just failed."""
_TEXT = ("text/", "application/json", "application/xml")
"""Content types that begin like this are not protobuf: something else than the server has answered."""
_WEB_PAGES = 3
"""After this many web pages before the server's first answer, the export ends: a login page does not go away
by itself."""


class Api:
    """Requests of all threads. The client's own retrying is not used: it leaves out 408, cannot
    read a date in Retry-After, does not get a new token after a 401, and takes half an hour."""

    def __init__(self, client: Client, patience: Patience) -> None:
        self._client = client
        self.address, self.verifies_certificates = client.address, client.verifies_certificates
        self._patience = patience
        self.streaks = Streaks(patience)
        self._on_parts = Patience(
            min(patience.seconds, _ON_PARTS), patience.first_wait, patience.longest_wait
        )
        self._is_away = threading.Event()
        self._has_answered = threading.Event()
        self._web_pages = 0
        self._project_id: str | None = None
        """Any project that was asked for. A request for it shows whether the server answers at all."""
        self._stopped = threading.Event()

    def search(self, project_id: str, body: Mapping[str, Any]) -> Any:
        """A page of runs of a project.

        Raises, as every method here:
            AuthenticationError: the token was refused.
            RequestRefusedError: the request was refused, with the status.
            TransientError: patience is at its end; an AwayError if the server answers nothing else either.
        """
        self._project_id = project_id
        return self._call("search", body, _RUNS, project_identifier=project_id)

    def search_everywhere(self, body: Mapping[str, Any]) -> Any:
        return self._call("search everywhere", body, _RUNS)

    def attributes(self, project_id: str, body: Mapping[str, Any]) -> Any:
        """A page of attributes of runs with their values."""
        self._project_id = project_id
        parse = ProtoQueryAttributesResultDTO.FromString
        return self._call("attributes", body, parse, project_identifier=project_id)

    def floats(self, body: Mapping[str, Any], decode: Callable[[bytes], _T], *, again: bool) -> _T:
        """Points of float series. `again`: part of a request that failed as a whole."""
        return self._call("floats", body, decode, again=again)

    def series(self, body: Mapping[str, Any], *, again: bool) -> Any:
        """Points of string, histogram and file series."""
        return self._call("series", body, ProtoSeriesValuesResponseDTO.FromString, again=again)

    def sign(self, project_id: str, paths: list[str]) -> dict[str, tuple[str, str]]:
        """The provider and URL of each file, by its path, of which the server may leave some out."""
        files = [{"project_identifier": project_id, "path": p, "permission": "read"} for p in paths]

        def parse(content: bytes) -> dict[str, tuple[str, str]]:
            signed = json.loads(content)["files"]
            return {each["path"]: (str(each["provider"]), str(each["url"])) for each in signed}

        return self._call("sign", {"files": files}, parse)

    def stop(self) -> None:
        """Make all requests under way end with an error at their next attempt."""
        self._stopped.set()

    def check_running(self) -> None:
        """Raise StoppedError if `stop` was called."""
        if self._stopped.is_set():
            raise StoppedError("stopped")

    def close(self) -> None:
        self.stop()
        self._client.close()

    def _call(
        self,
        kind: str,
        body: Mapping[str, Any],
        parse: Callable[[bytes], _T],
        *,
        again: bool = False,
        **arguments: str,
    ) -> _T:
        """Send a request, with less patience if others have failed, so that thousands of requests do not each
        wait in vain: once only while the server answers nothing; for a short time, and then once only, while
        it answers none of this kind."""
        patience = self._on_parts if again or self.streaks.length(kind) else self._patience
        if self._is_away.is_set():
            patience = Patience(0)
        try:
            with waiting_for(f"{self.address}: {kind}"):
                attempt = partial(self._attempt, kind, body, parse, **arguments)
                return self.streaks.call(kind, lambda patience: patience.call(attempt), patience)
        except AwayError as error:
            if not self._answers():
                self._is_away.set()
                raise
            raise error.of_one_request() from None

    def _answers(self) -> bool:
        """Whether the server answers a small request. If so, the other request failed because of what it asks
        for, such as a series so long that a gateway does not wait for it."""
        project_id = self._project_id
        if project_id is None:
            return False
        body = {"experimentLeader": False, "pagination": {"limit": 1, "offset": 0}}
        try:
            self._attempt("search", body, _RUNS, project_identifier=project_id)
        except RequestRefusedError:
            return True
        except (StoppedError, TransientError):
            return False
        return True

    def _attempt(
        self, kind: str, body: Mapping[str, Any], parse: Callable[[bytes], _T], **arguments: str
    ) -> _T:
        try:
            return self._once(kind, parse, partial(self._client.send, kind, body, **arguments))
        except WebPageError as error:
            self._web_pages += 1
            if self._web_pages < _WEB_PAGES or self._has_answered.is_set():
                raise
            raise NeptuneExporterError(str(error)) from None

    def _once(self, kind: str, parse: Callable[[bytes], _T], send: Callable[[], Answer]) -> _T:
        self.check_running()
        token = self._client.token
        answer = send()
        if answer.status == 401:
            self._client.forget_token(token)
            answer = send()
        if not 200 <= answer.status < 300:
            raise error_of_status(answer.status, answer.headers, answer.content, self.address)
        try:
            if is_web_page(answer.headers, answer.content) or (kind != "sign" and _is_foreign(answer)):
                raise ValueError
            result = parse(answer.content)
        except (DecodeError, ValueError, KeyError, TypeError, AttributeError):
            raise not_the_protocol(self.address, kind, answer.headers, answer.content) from None
        self._is_away.clear()
        self._has_answered.set()
        return result


def _is_foreign(answer: Answer) -> bool:
    """Whether an answer of 200 is surely not protobuf. Parsing cannot tell: almost any bytes are a message,
    and so are no bytes."""
    kind = answer.headers.get("content-type", "").lower()
    return kind.startswith(_TEXT) or not (kind or answer.content)
