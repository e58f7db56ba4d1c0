"""Requests with small answers, many of them, over connections of `http.client`.

A request takes a quarter of the processor time that it takes with `httpx.Client`, which looks after cookies,
redirects and authentication, none of which Pluto uses. Where httpx knows a proxy for a server, its client
makes the request. Errors and answers are those of httpx either way.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx

from neptune_exporter.toolkit.connections import paced_response

_SAFE = "!$%&'()*+,/:;=?@[]~"
"""What stays as it is in a path: it may be quoted already."""
_KEPT_FOR = 5.0
"""Seconds. Servers and proxies close what is idle for longer, some without a word."""


class SmallRequests:
    """Makes requests. Thread-safe; a connection serves one request at a time, and then the next.

    Args:
        client: Has the headers, the timeouts and the proxies.
        context: For TLS.
        seconds: The least rate of an answer is taken over spans of this length.
    """

    def __init__(self, client: httpx.Client, context: ssl.SSLContext, seconds: float) -> None:
        self._client = client
        self._context = context
        self._headers = dict(client.headers)
        self._response = paced_response(seconds, lambda error: TimeoutError(str(error)))
        self._idle: dict[str, list[tuple[HTTPConnection, float]]] = defaultdict(list)
        """By server: open connections, and since when they are idle."""

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        params: Mapping[str, str | int] | None = None,
        content: bytes | None = None,
    ) -> httpx.Response:
        """The whole answer, whatever its status.

        Raises:
            httpx.TransportError: as a client would.
        """
        origin, path = _divided(url)
        # A private name of httpx (0.27 and 0.28): it has no public one that tells where it uses a proxy.
        if self._client._transport_for_url(_parsed(origin)) is not self._client._transport:
            return self._client.request(method, url, params=params, content=content, headers=dict(headers))
        target = f"{path}?{urlencode(params)}" if params else path
        connection = self._open(origin)
        try:
            # Whoever refuses a request may answer, and close the connection, before it has read all of it.
            with _as_httpx(httpx.WriteTimeout, httpx.WriteError), contextlib.suppress(ConnectionError):
                connection.request(method, target, content, {**self._headers, **headers})
            with _as_httpx(httpx.ReadTimeout, httpx.ReadError):
                answer = connection.getresponse()
                found = answer.read()
        except BaseException:
            connection.close()
            raise
        if not answer.will_close:
            self._idle[origin].append((connection, time.monotonic()))
        return httpx.Response(answer.status, headers=answer.getheaders(), content=found)

    def close(self) -> None:
        """Close the connections, when no request is under way any more."""
        for idle in self._idle.values():
            while idle:
                idle.pop()[0].close()

    def _open(self, origin: str) -> HTTPConnection:
        """An idle connection that the server has not closed, else a new one."""
        with contextlib.suppress(IndexError):
            while True:
                connection, since = self._idle[origin].pop()
                if time.monotonic() - since < _KEPT_FOR and not _is_readable(connection.sock):
                    return connection
                connection.close()
        where, timeout = urlsplit(origin), self._client.timeout
        place: dict[str, Any] = {"host": where.hostname, "port": where.port, "timeout": timeout.connect}
        is_secure = where.scheme == "https"
        connection = HTTPSConnection(**place, context=self._context) if is_secure else HTTPConnection(**place)
        connection.response_class = self._response
        with _as_httpx(httpx.ConnectTimeout, httpx.ConnectError):
            connection.connect()
        connection.sock.settimeout(timeout.read)
        return connection


def server_of(url: str) -> str:
    """Host and port of an address, as messages name it."""
    return _parsed(_divided(url)[0]).netloc.decode()


@lru_cache(maxsize=64)
def _divided(url: str) -> tuple[str, str]:
    """Scheme, host and port of an address, and its path. A load asks at some ten addresses."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}", quote(parts.path or "/", _SAFE)


@lru_cache(maxsize=16)
def _parsed(origin: str) -> httpx.URL:
    return httpx.URL(origin)


def _is_readable(connection: socket.socket) -> bool:
    """Of a connection that waits for no answer: whether the server has closed it."""
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([connection], [], [], 0)[0])
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))


@contextlib.contextmanager
def _as_httpx(late: type[httpx.TransportError], broken: type[httpx.TransportError]) -> Iterator[None]:
    """The errors of the standard library as httpx would name them."""
    try:
        yield
    except TimeoutError as error:
        raise late(str(error)) from error
    except HTTPException as error:
        raise httpx.RemoteProtocolError(str(error)) from error
    except OSError as error:
        raise broken(str(error)) from error
