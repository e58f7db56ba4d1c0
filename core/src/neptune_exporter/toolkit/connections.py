"""Puts the least rate of answers below an HTTP library, where it sees status line and headers come too.

Neither httpx nor requests has a public way to watch a connection from its first byte on. Of httpx (0.27 and
0.28) and httpcore (1.0) private names are used; of requests and urllib3 (2) public ones, and the `fp` of
`http.client.HTTPResponse`. Where one of them does not work any more, `tests/test_dripping.py` fails.

    demand_least_rate(httpx_client, 60.0)

    class Adapter(requests.adapters.HTTPAdapter):
        def init_poolmanager(self, *args, **kwargs):
            super().init_poolmanager(*args, **kwargs)
            pools = self.poolmanager
            pools.pool_classes_by_scheme = paced_pools(pools.pool_classes_by_scheme, 60.0)
"""

from __future__ import annotations

import http.client
import io
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from neptune_exporter.toolkit.pace import Late, Pace

_ORDINARY = re.compile(rb"HTTP/1\.1 200 [^\r\n]*(?:\r\n[!-9;-~]+:[^\r\n]*)+\r\n\r\n")
"""The head of an ordinary answer, if `_TELLING` finds nothing unusual in it."""
_TELLING = re.compile(
    rb"\r\n(content-(?:length|encoding|type)|transfer-encoding|connection|set-cookie):[ \t]*([^\r\n]*)",
    re.IGNORECASE,
)
_NO_HEADERS = http.client.HTTPMessage()
SMALL = 1 << 20
"""Bytes of an answer that is read as a whole: a page of a series of Neptune 2.x has about 70,000."""


def demand_least_rate(client: Any, seconds: float, late: Late = lambda error: error) -> None:
    """Make every connection of an httpx client end answers that drip, also through proxies.

    Args:
        client: An `httpx.Client` that has sent nothing yet.
        seconds: The rate is taken over spans of this length.
        late: For another error than SlowError, such as `httpcore.ReadTimeout`.

    Examples:
        >>> import httpx
        >>> client = httpx.Client(timeout=60.0)
        >>> demand_least_rate(client, 60.0)  # from now on an answer that drips ends with a SlowError
        >>> client.close()
    """
    for transport in (client._transport, *client._mounts.values()):
        pool: Any = getattr(transport, "_pool", None)
        if pool is not None:
            pool._network_backend = _Backend(pool._network_backend, partial(Pace, seconds, late))


def paced_pools(pools: Mapping[str, Any], seconds: float, late: Late = lambda error: error) -> dict[str, Any]:
    """The pool classes of an urllib3 `PoolManager` by scheme, with connections that end answers that drip.

    Args, as of `demand_least_rate`.

    Examples:
        >>> from urllib3 import PoolManager
        >>> manager = PoolManager()
        >>> manager.pool_classes_by_scheme = paced_pools(manager.pool_classes_by_scheme, 60.0)
        >>> sorted(manager.pool_classes_by_scheme)
        ['http', 'https']
    """
    return {scheme: _paced_pool(pool, seconds, late) for scheme, pool in pools.items()}


def paced_response(seconds: float, late: Late = lambda error: error) -> type[http.client.HTTPResponse]:
    """The `response_class` for connections of `http.client` that end answers that drip.

    Args, as of `demand_least_rate`.

    Examples:
        >>> from http.client import HTTPConnection
        >>> connection = HTTPConnection("127.0.0.1")
        >>> connection.response_class = paced_response(60.0)
    """

    class PacedResponse(http.client.HTTPResponse):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.fp: Any = io.BufferedReader(_Reader(self.fp.detach(), seconds, late))

    return PacedResponse


def small_response(seconds: float, late: Late = lambda error: error) -> type[http.client.HTTPResponse]:
    """As `paced_response`, with a short way for small answers of an API: success, of a length that is known.

    `http.client` reads headers by the parser of e-mails, which takes half of the time of a small request.
    So of an ordinary answer only what frames the content is read, and `headers` stays empty. An answer with a
    cookie, of a web page, compressed, or longer than `SMALL` has all its headers.

    Args, as of `demand_least_rate`.

    Examples:
        >>> import socket
        >>> here, there = socket.socketpair()
        >>> there.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\n{}")
        >>> answer = small_response(60.0)(here)
        >>> answer.begin()
        >>> answer.status, answer.read()
        (200, b'{}')
    """

    class SmallResponse(paced_response(seconds, late)):  # type: ignore[misc]
        def begin(self) -> None:
            match = _ORDINARY.match(self.fp.peek())
            length = None if match is None else _plain_length(match[0])
            if match is None or length is None:
                super().begin()
                return
            self.fp.read(match.end())
            self.status, self.version, self.headers = 200, 11, _NO_HEADERS
            self.length, self.chunked, self.will_close = length, False, False

    return SmallResponse


def _plain_length(head: bytes) -> int | None:
    """The length of the content; None if the head says anything that matters besides."""
    found = _TELLING.findall(head)
    told = {name.lower(): value.strip().lower() for name, value in found}
    length = told.pop(b"content-length", b"")
    is_page = told.pop(b"content-type", b"").startswith(b"text/html")
    is_plain = len(found) == len({name.lower() for name, _ in found}) and not is_page
    is_plain = is_plain and told in ({}, {b"connection": b"keep-alive"})
    is_short = is_plain and length.isdigit() and len(length) < 20  # Python refuses to read very long numbers
    return int(length) if is_short and int(length) <= SMALL else None


def request_head(
    method: str, target: str, host: str, headers: Mapping[str, str], content: bytes | None = None
) -> bytes:
    """The head of a request, where no proxy is asked. Raises ValueError if a header cannot be sent.

    Examples:
        >>> request_head("GET", "/runs?limit=2", "acme.example.com", {"Accept": "*/*"})
        b'GET /runs?limit=2 HTTP/1.1\\r\\nHost: acme.example.com\\r\\nAccept: */*\\r\\n\\r\\n'
    """
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if content is not None:
        lines.append(f"Content-Length: {len(content)}")
    head = "\r\n".join(lines)
    if head.count("\r") != len(lines) - 1 or head.count("\n") != len(lines) - 1:
        raise ValueError(f"a header of {method} {target} holds a line break")
    return f"{head}\r\n\r\n".encode("latin-1")


def _paced_pool(pool: Any, seconds: float, late: Late) -> Any:
    response = {"response_class": paced_response(seconds, late)}
    connection = type("PacedConnection", (pool.ConnectionCls,), response)
    return type(f"Paced{pool.__name__}", (pool,), {"ConnectionCls": connection})


class _Reader(io.RawIOBase):
    """What `http.client` reads an answer from. Each wait for a byte ends with the timeout of the socket."""

    def __init__(self, raw: io.RawIOBase, seconds: float, late: Late) -> None:
        self._raw = raw
        self._answer = Pace(seconds, late)

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def readinto(self, buffer: Any, /) -> int | None:
        self._answer.left()
        size = self._raw.readinto(buffer)
        self._answer.add(size or 0)
        return size

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Stream:
    """A stream of httpcore, which asks for these methods and not for its own class."""

    def __init__(self, stream: Any, pace: Callable[[], Pace]) -> None:
        self._stream = stream
        self._pace = pace
        self._answer = pace()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left = self._answer.left()
        waits = timeout if left is None else left if timeout is None else min(timeout, left)
        try:
            content: bytes = self._stream.read(max_bytes, waits)
        except Exception:
            self._answer.left()  # a wait that ended because of it
            raise
        self._answer.add(len(content))
        return content

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._answer = self._pace()
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._stream.close()

    def start_tls(self, *args: Any, **kwargs: Any) -> _Stream:
        return _Stream(self._stream.start_tls(*args, **kwargs), self._pace)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend:
    """A network backend of httpcore."""

    def __init__(self, backend: Any, pace: Callable[[], Pace]) -> None:
        self._backend = backend
        self._pace = pace

    def connect_tcp(self, *args: Any, **kwargs: Any) -> _Stream:
        return _Stream(self._backend.connect_tcp(*args, **kwargs), self._pace)

    def connect_unix_socket(self, *args: Any, **kwargs: Any) -> _Stream:
        return _Stream(self._backend.connect_unix_socket(*args, **kwargs), self._pace)

    def sleep(self, seconds: float) -> None:
        self._backend.sleep(seconds)
