"""The HTTP adapter for all requests of this plugin and of the client: it bounds each wait and each answer."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from neptune_exporter.toolkit.connections import SMALL, paced_pools, request_head, small_response

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
        self._small = small_response(seconds)
        self._headers: tuple[object, dict[str, str]] = None, {}
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

    def fetch(
        self, request: requests.PreparedRequest, verify: Any, cert: Any, proxies: Any
    ) -> requests.Response:
        """As `send`, for a GET of this server's API, of which an export makes thousands.

        It goes over the same connections, but straight to `http.client`: what urllib3 and requests do
        around that takes twice as much processor time. Only `send` opens connections and knows proxies.
        Of urllib3 (2), the pool's `_get_conn` and `_put_conn` are used.
        """
        pool = self.get_connection_with_tls_context(request, verify, proxies, cert)
        connection = pool._get_conn()
        if connection.is_closed or pool.proxy is not None:
            pool._put_conn(connection)
            return self.send(request, True, None, verify, cert, proxies)
        try:
            with _errors_of(request, requests.exceptions.ConnectionError, requests.exceptions.ReadTimeout):
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may have answered
                    connection.sock.sendall(self._head(request))
                answer = self._small(connection.sock, method="GET", url=request.url)
                answer.begin()
            if not _is_small(answer):
                return self._response_of(request, answer, connection, pool)
            cut_short = requests.exceptions.ChunkedEncodingError
            with _errors_of(request, cut_short, cut_short):
                content = answer.read()
        except BaseException:
            connection.close()
            pool._put_conn(connection)
            raise
        if answer.will_close:
            connection.close()
        pool._put_conn(connection)
        response = requests.Response()
        response.status_code, response.request = answer.status, request
        response.url, response.raw = str(request.url), _Content(content)
        return response

    def _head(self, request: requests.PreparedRequest) -> bytes:
        """The head of a GET. Its headers are those of the last one, unless the access token is another."""
        headers, lines = self._headers
        address = urlsplit(str(request.url))
        if headers is not request.headers:
            lines = {name: str(value) for name, value in request.headers.items()}
            self._headers = request.headers, lines
        target = f"{address.path}?{address.query}" if address.query else address.path
        return request_head("GET", target or "/", address.netloc, lines)

    def _response_of(
        self, request: requests.PreparedRequest, answer: HTTPResponse, connection: Any, pool: Any
    ) -> requests.Response:
        """An answer whose body is still to be read, by urllib3."""
        body = urllib3.HTTPResponse(
            answer,
            urllib3.HTTPHeaderDict(answer.getheaders()),
            answer.status,
            preload_content=False,
            pool=pool,
            connection=connection,
            original_response=answer,
            request_url=request.url,
        )
        return self.build_response(request, body)


@contextlib.contextmanager
def _errors_of(
    request: requests.PreparedRequest,
    broken: type[requests.RequestException],
    late: type[requests.RequestException],
) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise late(error, request=request) from error
    except (HTTPException, OSError) as error:
        raise broken(error, request=request) from error


def mount(session: requests.Session, adapter: PacedAdapter) -> None:
    """Make a session use the adapter for every address."""
    for scheme in ("https://", "http://"):
        session.mount(scheme, adapter)


class _Content(io.BytesIO):
    """A whole content, as a response of urllib3 has it."""

    def read1(self, size: int | None = -1, /, decode_content: bool = True) -> bytes:
        return super().read1(size)


def _is_small(answer: HTTPResponse) -> bool:
    """Whether it is a small and plain success. Other answers are left to urllib3."""
    if answer.status != 200 or answer.length is None or answer.length > SMALL:
        return False
    return "Set-Cookie" not in answer.headers and "Content-Encoding" not in answer.headers
