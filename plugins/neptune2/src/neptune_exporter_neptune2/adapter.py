"""The HTTP adapter for all requests of this plugin and of the client: it bounds each wait and each answer."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from neptune_exporter.toolkit.connections import paced_pools

_LONGEST_CONNECT = 30.0
"""Seconds to wait for a connection, however long the timeout for bytes is."""


class PacedAdapter(HTTPAdapter):
    """An adapter whose connections end answers that drip, and which has a timeout where a request has none.

    The client asks for `swagger.json` without a timeout, and for the rest with one of ten minutes.
    """

    def __init__(self, seconds: float, connections: int = 4) -> None:
        """`seconds`: how long to wait for bytes of an answer, and over which span to measure its rate."""
        self._seconds = seconds
        self._last: tuple[object, Any] = None, None
        super().__init__(pool_connections=4, pool_maxsize=connections)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self._pace(self.poolmanager)

    def proxy_manager_for(self, proxy: Any, **kwargs: Any) -> Any:
        is_known = proxy in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not is_known:
            self._pace(manager)
        return manager

    def _pace(self, manager: Any) -> None:
        manager.pool_classes_by_scheme = paced_pools(manager.pool_classes_by_scheme, self._seconds)

    def get_connection_with_tls_context(
        self, request: Any, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """As in `HTTPAdapter`, which takes a sixth of a small request to find the pool of a server again."""
        wanted = urlsplit(request.url)[:2], verify, proxies, cert
        known, pool = self._last
        if known != wanted:
            pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
            self._last = wanted, pool
        return pool

    def close(self) -> None:
        self._last = None, None  # its connections are closed once nothing knows it
        super().close()

    @property
    def timeout(self) -> tuple[float, float]:
        """To connect, and to wait for bytes."""
        return min(_LONGEST_CONNECT, self._seconds), self._seconds

    def send(
        self,
        request: Any,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        """Send a request once, with the adapter's own timeout in place of the given one."""
        return super().send(request, stream, self.timeout, verify, cert, proxies)


def mount(session: requests.Session, adapter: PacedAdapter) -> None:
    """Make a session use the adapter for every address."""
    for scheme in ("https://", "http://"):
        session.mount(scheme, adapter)
