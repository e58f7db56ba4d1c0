"""Requests with small answers, many of them, over the connections of an httpx client.

`httpx.Client.request` takes five times the processor time of the connection below it: for cookies, redirects,
authentication, and three readings of each address. Pluto needs none of that. What is kept of httpx is what
it knows of the environment (proxies, certificates), its timeouts, its errors and its answers.

Private names of httpx (0.27 and 0.28) are used, as in `neptune_exporter.toolkit.connections`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpcore
import httpx

_SAFE = "!$%&'()*+,/:;=?@[]~"
"""What stays as it is in a path: it may be quoted already."""


class SmallRequests:
    """Args: `client`, which has its headers, and stays open as long as this is used."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._headers = list(client.headers.raw)
        self._extensions = {"timeout": client.timeout.as_dict()}
        self._pools: dict[str, Any] = {}

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
        target = f"{path}?{urlencode(params)}" if params else path
        of_request = [(name.encode(), value.encode()) for name, value in headers.items()]
        where = _parsed(origin)
        try:
            answer = self._pool(origin).request(
                method,
                httpcore.URL(
                    scheme=where.raw_scheme, host=where.raw_host, port=where.port, target=target.encode()
                ),
                headers=[*self._headers, *of_request],
                content=content,
                extensions=self._extensions,
            )
        except _ERRORS as error:
            raise _of_httpx(error) from error
        return httpx.Response(
            answer.status, headers=answer.headers, content=answer.content, extensions=answer.extensions
        )

    def _pool(self, origin: str) -> Any:
        """The connections to a server, or to the proxy that leads there."""
        if origin not in self._pools:
            transport: Any = self._client._transport_for_url(_parsed(origin))
            self._pools[origin] = transport._pool
        return self._pools[origin]


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


_ERRORS = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError)


def _of_httpx(error: Exception) -> httpx.TransportError:
    """The error of the same name, with which httpx would have told it."""
    kind: type[httpx.TransportError] = getattr(httpx, type(error).__name__)
    return kind(str(error))
