"""Requests with small answers, many of them, over connections of urllib3.

A request takes half of the processor time that it takes with `httpx.Client`, which looks after cookies,
redirects and authentication, none of which Pluto uses. Where httpx knows a proxy for a server, its client
makes the request. Errors and answers are those of httpx either way.
"""

from __future__ import annotations

import contextlib
import io
import ssl
import time
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, Timeout
from urllib3 import exceptions as failures

from neptune_exporter.toolkit.connections import paced_pools

_SAFE = "!$%&'()*+,/:;=?@[]~"
"""What stays as it is in a path: it may be quoted already."""
_KEPT_FOR = 5.0
"""Seconds. Servers and proxies close what is idle for longer, some without a word."""


class SmallRequests:
    """Makes requests. Thread-safe.

    Args:
        client: Has the headers, the timeouts and the proxies.
        context: For TLS.
        seconds: The least rate of an answer is taken over spans of this length.
        connections: Open ones to a server that are kept.
    """

    def __init__(
        self, client: httpx.Client, context: ssl.SSLContext, seconds: float, connections: int
    ) -> None:
        self._client = client
        self._headers = dict(client.headers)
        connect, waits = client.timeout.connect, client.timeout.read
        self._timeout = Timeout(connect=waits, read=waits)  # urllib3 sends with the timeout to connect
        # The manager would parse the address, and make a key of all options, for each request.
        self._by_origin: dict[str, HTTPConnectionPool] = {}
        self._pools = PoolManager(maxsize=connections, ssl_context=context)
        kept = {"http": _kept(HTTPConnectionPool, connect), "https": _kept(HTTPSConnectionPool, connect)}
        self._pools.pool_classes_by_scheme = paced_pools(
            kept, seconds, lambda error: TimeoutError(str(error))
        )

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
        headers = {**self._headers, **headers}
        body = None
        if content is not None:  # sent in pieces: urllib3's timeout is for the whole of what is sent at once
            headers["Content-Length"] = str(len(content))
            body = io.BytesIO(content)
        with _as_httpx():
            answer = self._pool(origin).urlopen(
                method,
                f"{path}?{urlencode(params)}" if params else path,
                body,
                headers,
                retries=False,
                redirect=False,
                timeout=self._timeout,
                decode_content=False,
            )
        return httpx.Response(answer.status, headers=list(answer.headers.items()), content=answer.data)

    def _pool(self, origin: str) -> HTTPConnectionPool:
        if origin not in self._by_origin:
            self._by_origin[origin] = self._pools.connection_from_url(origin)
        return self._by_origin[origin]

    def close(self) -> None:
        """Close the connections, when no request is under way any more."""
        self._by_origin.clear()
        self._pools.clear()


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


def _kept(pool: type[HTTPConnectionPool], seconds: float | None) -> type[HTTPConnectionPool]:
    """A pool of connections that connect within some seconds, with httpx's errors, and are not used again
    when they were idle for long."""

    class KeptConnection(pool.ConnectionCls):  # type: ignore[name-defined,misc]
        timeout: Any
        _since = 0.0

        def connect(self) -> None:
            waits, self.timeout = self.timeout, seconds
            try:
                super().connect()
                self.sock.settimeout(waits)
            except failures.NewConnectionError as error:  # a subclass of the next
                raise httpx.ConnectError(str(error)) from error
            except failures.ConnectTimeoutError as error:
                raise httpx.ConnectTimeout(str(error)) from error
            except (failures.HTTPError, OSError) as error:
                raise httpx.ConnectError(str(error)) from error
            finally:
                self.timeout = waits

        def getresponse(self) -> Any:
            answer = super().getresponse()
            self._since = time.monotonic()
            return answer

        @property
        def is_connected(self) -> bool:
            return time.monotonic() - self._since < _KEPT_FOR and super().is_connected

    return type(f"Kept{pool.__name__}", (pool,), {"ConnectionCls": KeptConnection})


@contextlib.contextmanager
def _as_httpx() -> Iterator[None]:
    """The errors of urllib3 as httpx would name them."""
    try:
        yield
    except (failures.TimeoutError, TimeoutError) as error:
        raise httpx.ReadTimeout(str(error)) from error
    except failures.ClosedPoolError as error:
        raise httpx.ConnectError(str(error)) from error
    except (failures.HTTPError, OSError) as error:
        if isinstance(error.__cause__ or error.__context__, TimeoutError):
            raise httpx.WriteTimeout(str(error)) from error
        raise httpx.RemoteProtocolError(str(error)) from error
