"""Requests with small answers, many of them, over connections of Python's own `http.client`.

A request takes a tenth of the processor time that it takes with `httpx.Client`, which looks after cookies,
redirects and authentication, none of which Pluto uses. `http.client` would take half of the rest for headers:
here the head of a request is written at once, and of the head of an ordinary answer only the length is read.
Where httpx knows a proxy for a server, its client makes the request. Errors are those of httpx either way.
"""

from __future__ import annotations

import contextlib
import itertools
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Mapping
from functools import lru_cache
from http.client import HTTP_PORT, HTTPS_PORT, HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import quote, urlencode, urlsplit

import httpx

from neptune_exporter.toolkit.connections import request_head, small_response

_SAFE = "!$%&'()*+,/:;=?@[]~"
"""What stays as it is in a path: it may be quoted already."""
_KEPT_FOR = 5.0
"""Seconds. Servers and proxies close what is idle for longer, some without a word."""
_BLOCK = 65_536
"""Bytes sent at once: the timeout is for each of them."""


class SmallRequests:
    """Makes requests. Thread-safe.

    Args:
        client: Has the headers, the timeouts and the proxies.
        context: For TLS.
        seconds: The least rate of an answer is taken over spans of this length.
    """

    def __init__(self, client: httpx.Client, context: ssl.SSLContext, seconds: float) -> None:
        self._client = client
        self._headers = dict(client.headers)
        self._context = context
        self._answers = small_response(seconds, lambda error: TimeoutError(str(error)))
        self._idle: dict[str, deque[tuple[float, HTTPConnection]] | None] = {}
        """Connections to a server, and since when each has been idle; None where a proxy is asked."""

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        params: Mapping[str, str | int] | None = None,
        content: bytes | None = None,
    ) -> bytes:
        """The content of the answer.

        Raises:
            httpx.HTTPStatusError: the answer is no success.
            httpx.RequestError: as a client would.
        """
        origin, path = _divided(url)
        idle = self._idle[origin] if origin in self._idle else self._begin(origin)
        if idle is None:
            asked = self._client.request(method, url, params=params, content=content, headers=dict(headers))
            return asked.raise_for_status().content
        target = f"{path}?{'&'.join(itertools.starmap(_query, params.items()))}" if params else path
        head = request_head(method, target, server_of(origin), {**self._headers, **headers}, content)
        connection = self._usable(idle) or self._connected(origin)
        answer = self._answers(connection.sock, method=method)
        try:
            found = _exchange(connection.sock, head + (content or b""), answer)
        except BaseException:
            answer.close()
            connection.close()
            raise
        if answer.will_close:
            connection.close()
        else:
            idle.append((time.monotonic(), connection))
        if 200 <= answer.status < 300 and "Content-Encoding" not in answer.headers:
            return found
        request = httpx.Request(method, url)
        # `http.client` reads headers as Latin-1, which holds any byte.
        read = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.getheaders()]
        whole = httpx.Response(answer.status, headers=read, content=found, request=request)
        return whole.raise_for_status().content

    def _begin(self, origin: str) -> deque[tuple[float, HTTPConnection]] | None:
        # A private name of httpx (0.27 and 0.28): it has no public one that tells where it uses a proxy.
        is_direct = self._client._transport_for_url(_parsed(origin)) is self._client._transport
        return self._idle.setdefault(origin, deque() if is_direct else None)

    @staticmethod
    def _usable(idle: deque[tuple[float, HTTPConnection]]) -> HTTPConnection | None:
        """The connection that was used last, unless the server may have closed it."""
        with contextlib.suppress(IndexError):  # there is none, or another thread has taken it
            while True:
                since, connection = idle.pop()
                if time.monotonic() - since < _KEPT_FOR and not _is_readable(connection.sock):
                    return connection
                connection.close()
        return None

    def _connected(self, origin: str) -> HTTPConnection:
        timeout, address = self._client.timeout, urlsplit(origin)
        server, waits = address.hostname or "", timeout.connect
        if address.scheme == "https":
            port, context = address.port or HTTPS_PORT, self._context
            connection: HTTPConnection = HTTPSConnection(
                server, port, timeout=waits, context=context, blocksize=_BLOCK
            )
        else:
            port = address.port or HTTP_PORT
            connection = HTTPConnection(server, port, timeout=waits, blocksize=_BLOCK)
        try:
            connection.connect()
        except TimeoutError as error:
            raise httpx.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpx.ConnectError(str(error)) from error
        connection.sock.settimeout(timeout.read)
        return connection

    def close(self) -> None:
        """Close the connections, when no request is under way any more."""
        for idle in self._idle.values():
            for _, connection in idle or ():
                connection.close()
        self._idle.clear()


def _exchange(connection: socket.socket, request: bytes, answer: HTTPResponse) -> bytes:
    """Send a request and read the whole answer."""
    late: type[httpx.TransportError] = httpx.WriteTimeout
    try:
        # A server may answer before it has read everything, and close the connection.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError), memoryview(request) as left:
            for start in range(0, len(left), _BLOCK):
                connection.sendall(left[start : start + _BLOCK])
        late = httpx.ReadTimeout
        answer.begin()
        if answer.status < 200:  # `http.client` skips only 100; the answer is still to come
            raise HTTPException(f"an answer of status {answer.status} is not the last one")
        return answer.read()
    except TimeoutError as error:
        raise late(str(error)) from error
    except (HTTPException, OSError) as error:
        raise httpx.RemoteProtocolError(str(error)) from error


def _is_readable(idle: socket.socket) -> bool:
    """Whether something has come on a connection on which nothing is expected: its end."""
    if not hasattr(select, "poll"):  # Windows, where `select` has no limit
        return bool(select.select([idle], [], [], 0)[0])
    waiting = select.poll()
    waiting.register(idle, select.POLLIN)
    return bool(waiting.poll(0))


@lru_cache(maxsize=64)
def server_of(url: str) -> str:
    """Host and port of an address, as messages and requests name it."""
    return _parsed(_divided(url)[0]).netloc.decode()


@lru_cache(maxsize=64)
def _divided(url: str) -> tuple[str, str]:
    """Scheme, host and port of an address, and its path. A load asks at some ten addresses."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}", quote(parts.path or "/", _SAFE)


@lru_cache(maxsize=64)
def _query(name: str, value: str | int) -> str:
    """A parameter of a request. Those of one run are nearly the same in all of its requests."""
    return urlencode({name: value})


@lru_cache(maxsize=16)
def _parsed(origin: str) -> httpx.URL:
    return httpx.URL(origin)
