"""A least rate for answers: a server that sends a byte now and then never runs into a timeout of its own.

Until an answer begins, the timeout counts: Pluto stalls when it is busy. From its first byte on, status line
and headers included, an answer comes at the toolkit's least rate, or it is given up as one that came late.
So an answer of known size takes at most its size by that rate, and some seconds.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx

from neptune_exporter.toolkit.pace import LEAST_RATE

_LONGEST_START = 60.0


def demand_least_rate(client: httpx.Client, timeout: float) -> None:
    """Have every connection of a client end answers that drip with a ReadTimeout, also through proxies.

    httpx has no public way to watch a connection from its first byte on; where this one does not work,
    `test_least_rate.py` fails.

    Args:
        timeout: Of the client, in seconds; an answer may come more slowly for so long, a minute at most.
    """
    # Private names of httpx 0.27 and 0.28, and of httpcore 1.0.
    for transport in (client._transport, *client._mounts.values()):
        pool: Any = getattr(transport, "_pool", None)
        if pool is not None:
            pool._network_backend = _Backend(pool._network_backend, min(timeout, _LONGEST_START))


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, seconds: float) -> None:
        self._stream = stream
        self._seconds = seconds
        self._begun: float | None = None
        """When the first byte of the answer came; None while it is waited for."""
        self._received = 0

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._begun is not None:
            left = self._begun + self._seconds + self._received / LEAST_RATE - time.monotonic()
            if left <= 0:
                raise httpcore.ReadTimeout(f"only {self._received:,} bytes came")
            timeout = left if timeout is None else min(timeout, left)
        content = self._stream.read(max_bytes, timeout)
        if self._begun is None:
            self._begun, self._received = time.monotonic(), 0
        self._received += len(content)
        return content

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._begun = None
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
