"""Puts the least rate of answers below an HTTP library, where it sees status line and headers come too.

Neither httpx nor requests has a public way to watch a connection from its first byte on. Of httpx (0.27 and
0.28) and httpcore (1.0) private names are used; of requests and urllib3 (2) public ones, and the `fp` of
`http.client.HTTPResponse`. Where one of them does not work any more, `test_connections.py` fails.

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
from collections.abc import Mapping
from typing import Any

from neptune_exporter.toolkit.pace import Late, Pace


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
            pool._network_backend = _Backend(pool._network_backend, seconds, late)


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

    def __init__(self, stream: Any, seconds: float, late: Late) -> None:
        self._stream = stream
        self._seconds = seconds
        self._late = late
        self._answer = Pace(seconds, late)

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
        self._answer = Pace(self._seconds, self._late)
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._stream.close()

    def start_tls(self, *args: Any, **kwargs: Any) -> _Stream:
        return _Stream(self._stream.start_tls(*args, **kwargs), self._seconds, self._late)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend:
    """A network backend of httpcore."""

    def __init__(self, backend: Any, seconds: float, late: Late) -> None:
        self._backend = backend
        self._seconds = seconds
        self._late = late

    def connect_tcp(self, *args: Any, **kwargs: Any) -> _Stream:
        return _Stream(self._backend.connect_tcp(*args, **kwargs), self._seconds, self._late)

    def connect_unix_socket(self, *args: Any, **kwargs: Any) -> _Stream:
        return _Stream(self._backend.connect_unix_socket(*args, **kwargs), self._seconds, self._late)

    def sleep(self, seconds: float) -> None:
        self._backend.sleep(seconds)
