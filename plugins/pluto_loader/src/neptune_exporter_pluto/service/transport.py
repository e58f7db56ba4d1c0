"""Requests to Pluto: bounded in number and in patience, with every failure of a known kind."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import httpcore
import httpx

from neptune_exporter.contract import AuthenticationError, NeptuneExporterError, Secret, SinkError
from neptune_exporter.toolkit import (
    Patience,
    TransientError,
    check_certificates,
    check_proxies,
    retry_after,
    waiting_for,
)
from neptune_exporter.toolkit.connections import demand_least_rate
from neptune_exporter_pluto.service.answers import (
    NotAcknowledgedError,
    Outcome,
    excerpt,
    outcome_of,
    outcome_of_error,
)
from neptune_exporter_pluto.service.small_requests import SmallRequests, server_of

_T = TypeVar("_T")
_S = TypeVar("_S")
_LONGEST_SPAN = 60.0
"""Seconds over which the rate of an answer is taken."""


class PlutoRefusedError(SinkError):
    """Pluto said no, and would say so again."""

    def __init__(self, message: str, status: int, text: str) -> None:
        super().__init__(message)
        self.status = status
        self.text = text


class UncertainError(SinkError):
    """It is unknown whether Pluto took the request, and sending it again might store its rows twice."""


class OutOfPatienceError(SinkError):
    """Failed to the last attempt for passing reasons. What must not be repeated was not taken."""


class Transport:
    """One pool of connections for all threads.

    Args:
        api_key: Sent as bearer token with every request but those to presigned addresses.
        connections: Requests under way at once.
        timeout: Seconds to wait for bytes of an answer; one that has begun must come at the least rate.
        retry_for: Seconds for which a request is tried again.
        pool: Connections that the pool may hold in all.
    """

    def __init__(
        self,
        api_key: Secret,
        *,
        connections: int,
        timeout: float,
        retry_for: float,
        pool: int,
        local: bool = False,
    ) -> None:
        if not local:
            check_certificates("SSL_CERT_FILE")
            check_proxies("socksio")
        self._authorization = f"Bearer {api_key.reveal()}"
        self._patience = Patience(retry_for)
        self._turns = threading.BoundedSemaphore(connections)
        # Shared: for each proxy that the environment names, httpx would read all certificates again.
        context = httpx.create_ssl_context(trust_env=not local)
        self._client = httpx.Client(
            timeout=httpx.Timeout(timeout, connect=min(timeout, 30.0)),
            limits=httpx.Limits(max_connections=pool, max_keepalive_connections=pool, keepalive_expiry=5.0),
            headers={"User-Agent": "neptune-exporter-pluto"},
            follow_redirects=False,
            trust_env=not local,
            verify=context,
        )
        span = min(timeout, _LONGEST_SPAN)
        demand_least_rate(self._client, span, lambda error: httpcore.ReadTimeout(str(error)))
        self._small = SmallRequests(self._client, context, span)
        # It tells every address at INFO, and a presigned one is as good as a key for an hour.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self._interrupted = threading.Event()

    def interrupt(self) -> None:
        """Make no further request: each fails as one that was certainly not taken."""
        self._interrupted.set()

    def close(self) -> None:
        self._small.close()
        self._client.close()

    def get(self, url: str, what: str, params: Mapping[str, str | int], accept: Callable[[bytes], _T]) -> _T:
        """Read; tried again as often as patience allows. Raises AuthenticationError, PlutoRefusedError or
        OutOfPatienceError.

        Args:
            accept: What the content says; raises NotAcknowledgedError if Pluto does not answer so.
        """
        return self.patiently(lambda: self._once("GET", url, what, True, accept, {}, params=params))

    def post(
        self,
        url: str,
        what: str,
        content: bytes,
        headers: Mapping[str, str],
        accept: Callable[[bytes], _T],
        *,
        repeatable: bool,
        nothing: tuple[bytes, Callable[[bytes], object]] = (b"", bytes),
    ) -> _T:
        """Send; a request that is not `repeatable` is sent again only if it certainly was not taken.

        Args:
            accept: What the answer says; raises NotAcknowledgedError if Pluto does not answer so.
            nothing: Content that is no harm to send, by which to see that the service answers again, and
                `accept` for it.

        Raises:
            AuthenticationError: the key was refused.
            PlutoRefusedError: the request was refused.
            UncertainError: not repeatable, and the connection broke, a proxy gave up, or what came is no
                answer of Pluto.
            OutOfPatienceError: patience is at its end.
            SinkError: as for UncertainError, and the service does not answer any more.
        """

        def send(body: bytes, again: bool, judge: Callable[[bytes], _S]) -> _S:
            return self.patiently(lambda: self._once("POST", url, what, again, judge, headers, content=body))

        try:
            return send(content, repeatable, accept)
        except UncertainError as error:
            # Whoever goes on at once, perhaps with a new run, would only meet the same failure again.
            try:
                send(nothing[0], True, nothing[1])
            except PlutoRefusedError:
                pass  # an answer too
            except (AuthenticationError, SinkError) as later:  # which would say that nothing was taken
                raise SinkError(f"{error}; then: {later}") from None
            raise

    def put(self, url: str, what: str, content: Any, headers: Mapping[str, str]) -> httpx.Response:
        """Send bytes to a presigned address, once; the caller judges. The key is not sent."""
        self._check_running()
        with waiting_for(f"{httpx.URL(url).host}: {what}"):
            return self._client.put(url, content=content, headers=dict(headers))

    def stream(self, url: str) -> AbstractContextManager[httpx.Response]:
        """Download from a presigned address. The key is not sent."""
        self._check_running()
        return self._client.stream("GET", url)

    def _check_running(self) -> None:
        if self._interrupted.is_set():
            raise OutOfPatienceError("not sent: the load was interrupted")

    def _once(
        self,
        method: str,
        url: str,
        what: str,
        repeatable: bool,
        accept: Callable[[bytes], _T],
        headers: Mapping[str, str],
        **request: Any,
    ) -> _T:
        headers = {"Authorization": self._authorization, **headers}
        server = server_of(url)
        try:
            with self._turns, waiting_for(f"{server}: {what}"):
                self._check_running()
                content = self._small.send(method, url, headers, **request)
        except httpx.HTTPStatusError as error:
            response = error.response
        except httpx.RequestError as error:
            message = f"{what}: {_named(error)}"
            outcome = outcome_of_error(error)
            if outcome is Outcome.REFUSED:
                raise SinkError(message) from None
            raise self._again(outcome, repeatable, message, None) from None
        else:
            try:
                return accept(content)
            except NotAcknowledgedError as error:
                message = f"{what}: {server} answered with success, but not as Pluto does: {error}"
            raise self._again(Outcome.UNCERTAIN, repeatable, message, None)
        outcome = outcome_of(response)
        message = f"{what}: Pluto answered {response.status_code}: {excerpt(response)}"
        if outcome is Outcome.UNAUTHORIZED:
            raise AuthenticationError(
                f"{message}. Is the API key (PLUTO_API_KEY or --pluto-api-key) right, and has it not expired?"
            )
        if outcome is Outcome.REFUSED:
            raise PlutoRefusedError(message, response.status_code, response.text)
        raise self._again(outcome, repeatable, message, retry_after(response.headers))

    @staticmethod
    def _again(outcome: Outcome, repeatable: bool, message: str, wait: float | None) -> NeptuneExporterError:
        if outcome is Outcome.UNCERTAIN and not repeatable:
            return UncertainError(message)
        return TransientError(message, wait)

    def patiently(self, call: Callable[[], _T]) -> _T:
        """Run something that raises TransientError until it does not. Raises OutOfPatienceError if it did
        until patience was at its end."""
        try:
            return self._patience.call(call)
        except TransientError as error:
            times = "once" if error.attempts == 1 else f"{error.attempts} times"
            raise OutOfPatienceError(f"{error} (tried {times})") from None


def _named(error: httpx.RequestError) -> str:
    """A connection's failure in words; the address is left out, for it may be a presigned one."""
    names: Mapping[type[httpx.RequestError], str] = {
        httpx.ConnectError: "cannot be reached",
        httpx.ConnectTimeout: "cannot be reached in time",
        httpx.ReadTimeout: "no answer in time",
        httpx.WriteTimeout: "took no more bytes in time",
        httpx.RemoteProtocolError: "closed the connection without an answer",
        httpx.ReadError: "broke the connection",
        httpx.WriteError: "broke the connection",
        httpx.DecodingError: "gave an answer that cannot be decompressed",
    }
    return "Pluto " + names.get(type(error), f"failed: {type(error).__name__}")
