"""A least rate for answers: a server that sends a byte now and then never runs into a timeout of its own.

Until an answer begins, the timeout counts: Pluto stalls when it is busy. From its first byte on, status line
and headers included, an answer comes at the toolkit's least rate, or it is given up as one that came late.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx

from neptune_exporter.toolkit.pace import Pace, SlowError

_LONGEST_SPAN = 60.0


def demand_least_rate(client: httpx.Client, timeout: float) -> None:
    """Have every connection of a client end answers that drip with a ReadTimeout, also through proxies.

    httpx has no public way to watch a connection from its first byte on; where this one does not work,
    `test_least_rate.py` fails.

    Args:
        timeout: Of the client, in seconds. The rate is taken over spans of this length, a minute at most.
    """
    # Private names of httpx 0.27 and 0.28, and of httpcore 1.0.
    for transport in (client._transport, *client._mounts.values()):
        pool: Any = getattr(transport, "_pool", None)
        if pool is not None:
            pool._network_backend = _Backend(pool._network_backend, min(timeout, _LONGEST_SPAN))


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, seconds: float) -> None:
        self._stream = stream
        self._seconds = seconds
        self._pace: Pace | None = None
        """Of the answer, from its first byte on; None while that is waited for."""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._pace is not None:
            left = self._pace.left
            if left <= 0:
                raise httpcore.ReadTimeout("the answer came too slowly")
            timeout = left if timeout is None else min(timeout, left)
        content = self._stream.read(max_bytes, timeout)
        self._pace = self._pace or Pace(self._seconds)
        try:
            self._pace.add(len(content))
        except SlowError as error:
            raise httpcore.ReadTimeout(str(error)) from None
        return content

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._pace = None
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, timeout), self._seconds)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    def __init__(self, backend: httpcore.NetworkBackend, seconds: float) -> None:
        self._backend = backend
        self._seconds = seconds

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._backend.connect_tcp(host, port, timeout, local_address, socket_options)
        return _Stream(stream, self._seconds)

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._backend.connect_unix_socket(path, timeout, socket_options), self._seconds)

    def sleep(self, seconds: float) -> None:
        self._backend.sleep(seconds)
