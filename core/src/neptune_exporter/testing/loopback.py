"""A small HTTP/1.1 server on 127.0.0.1 that misbehaves on command.

The protocol servers of the plugins (Neptune 2, Neptune 3, Pluto) are built on it,
so that unmodified clients are what the tests run. It knows no protocol itself:
a server registers routes, a test adds faults.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

from neptune_exporter.testing.dripping import Dripping, drops

_CHUNK = 1 << 16


@dataclass
class Request:
    """One request. The body is read on demand, whole or in pieces, once."""

    method: str
    path: str
    """Percent-decoded, without the query."""
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    """Names in lower case."""
    stream: BufferedIOBase
    path_values: Mapping[str, str] = field(default_factory=dict)
    """What the named groups of the route's pattern matched."""
    _consumed: bool = False

    def param(self, name: str, default: str | None = None) -> str | None:
        """The first value of a query parameter."""
        values = self.query.get(name)
        return values[0] if values else default

    def chunks(self) -> Iterator[bytes]:
        """The body in pieces, whether it has a length or is chunked."""
        if self._consumed:
            return
        self._consumed = True
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            yield from self._pieces(int(self.headers.get("content-length", "0")))
            return
        while size := int(self.stream.readline().split(b";")[0].strip() or b"0", 16):
            yield from self._pieces(size)
            self.stream.readline()
        self.stream.readline()

    def _pieces(self, size: int) -> Iterator[bytes]:
        while size > 0:
            piece = self.stream.read(min(size, _CHUNK))
            if not piece:
                raise ConnectionError("the client closed the connection inside the body")
            size -= len(piece)
            yield piece

    def body(self) -> bytes:
        return b"".join(self.chunks())

    def json(self) -> Any:
        return json.loads(self.body())


@dataclass
class Response:
    """An answer. A body given as an iterable is sent chunked unless `length` is set."""

    status: int = 200
    body: bytes | Iterable[bytes] = b""
    content_type: str = "application/octet-stream"
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None

    @classmethod
    def of_json(cls, value: object, status: int = 200) -> Response:
        return cls(status, json.dumps(value).encode(), "application/json")

    @classmethod
    def of_text(cls, value: str, status: int = 200) -> Response:
        return cls(status, value.encode(), "text/plain; charset=utf-8")


Handler = Callable[[Request], Response]


@dataclass
class Fault:
    """What to do to the next `times` requests whose method and path match.

    Without `after_handling`, the request never reaches its handler. With it the
    handler runs (the server commits) and only then the client sees the fault.
    """

    path: str = ".*"
    """A regular expression, searched in the path."""
    method: str | None = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    content_type: str = "application/json"
    delay: float = 0.0
    """Seconds to wait before anything else (a hang is a long delay)."""
    drop: bool = False
    """Close the connection without an answer."""
    cut_after: int | None = None
    """Send only this many bytes of the body, then close the connection."""
    drip: float = 0.0
    """Send one byte of the body after the other, with this many seconds between."""
    drip_head: bool = False
    """The drip begins with the status line and the headers."""
    only: int | None = None
    """Send this many bytes of the body as if they were all (0: an empty body)."""
    chunked: bool = False
    """Send the body without its length."""
    after_handling: bool = False
    times: int = 1
    skip: int = 0
    """Let this many matching requests through first."""
    where: Callable[[Request], bool] | None = None
    """A further condition, such as on a query parameter. It must not read the body."""

    def matches(self, request: Request) -> bool:
        return (
            self.method in (None, request.method)
            and re.search(self.path, request.path) is not None
            and (self.where is None or self.where(request))
        )


@dataclass(frozen=True)
class Recorded:
    """A request as the log of the server keeps it. Bodies and credentials are not kept."""

    method: str
    path: str
    status: int
    at: float


_Server = TypeVar("_Server", bound="LoopbackServer")


class LoopbackServer:
    """Routes on 127.0.0.1, on a port that the system chose unless one is given.

    Use as a context manager, or `start()` and `stop()`. `stop()` returns when no
    thread of the server is accepting any more and, at most two seconds later, when
    every connection has ended: a request that is being handled gets its answer, a
    connection that a client keeps open is closed.
    """

    def __init__(self, port: int = 0) -> None:
        self.faults: list[Fault] = []
        self.requests: list[Recorded] = []
        self.latency: float = 0.0
        """Seconds added to every request."""
        self.lock = threading.RLock()
        self._routes: list[tuple[str, re.Pattern[str], Handler]] = []
        self._stopping = threading.Event()
        self._http = _HttpServer(("127.0.0.1", port), _RequestHandler)
        self._http.owner = self
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def route(self, method: str, pattern: str, handler: Handler) -> None:
        """Register a handler for a whole path; named groups become `path_values`."""
        self._routes.append((method, re.compile(pattern), handler))

    def fail(self, fault: Fault) -> Fault:
        """Add a fault; it ends by itself after `times` requests."""
        with self.lock:
            self.faults.append(fault)
        return fault

    def start(self: _Server) -> _Server:
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._http.shutdown()
            self._thread.join()
            self._thread = None
        self._http.server_close()
        self._http.end_connections()

    def __enter__(self: _Server) -> _Server:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # What follows is called by the request handler.

    def take_fault(self, request: Request) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.matches(request):
                    if fault.skip > 0:
                        fault.skip -= 1
                        continue
                    fault.times -= 1
                    if fault.times <= 0:
                        self.faults.remove(fault)
                    return fault
        return None

    def handle(self, request: Request) -> Response:
        known_path = False
        for method, pattern, handler in self._routes:
            match = pattern.fullmatch(request.path)
            if match is None:
                continue
            known_path = True
            if method == request.method:
                request.path_values = {k: v for k, v in match.groupdict().items() if v is not None}
                return handler(request)
        if known_path:
            return Response.of_json({"error": "method not allowed"}, 405)
        return Response.of_json({"error": "not found"}, 404)

    def wait(self, seconds: float) -> None:
        """Sleep that a stop of the server cuts short."""
        if seconds > 0:
            self._stopping.wait(seconds)

    def record(self, request: Request, status: int) -> None:
        with self.lock:
            self.requests.append(Recorded(request.method, request.path, status, time.time()))


def _distorted(owner: LoopbackServer, response: Response, fault: Fault) -> Response:
    if fault.only is None and not fault.drip and not fault.chunked:
        return response
    body = response.body if isinstance(response.body, bytes) else b"".join(response.body)
    body = body[: fault.only]
    pieces = drops(body, fault.drip, owner.wait) if fault.drip and not fault.drip_head else [body]
    return replace(response, body=pieces, length=None if fault.chunked else len(body))


def _pieces_of(body: bytes | Iterable[bytes]) -> Iterable[bytes]:
    return [body] if isinstance(body, bytes) else body


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    owner: LoopbackServer

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self._open: set[Any] = set()
        self._changed = threading.Condition()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changed:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._changed:
            self._open.discard(request)
            self._changed.notify_all()

    def end_connections(self) -> None:
        with self._changed:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)
            self._changed.wait_for(lambda: not self._open, 2.0)

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away are part of the tests; a bug of a handler is answered with 500."""


class _DroppedError(Exception):
    """Close the connection without (the rest of) an answer."""


class _RequestHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _HttpServer

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: the server keeps `requests` instead."""

    def _serve(self) -> None:
        split = urlsplit(self.path)
        request = Request(
            self.command,
            unquote(split.path),
            parse_qs(split.query, keep_blank_values=True),
            {k.lower(): v for k, v in self.headers.items()},
            self.rfile,
        )
        owner = self.server.owner
        try:
            self._answer(owner, request)
        except (_DroppedError, ConnectionError):
            self.close_connection = True
            with suppress(OSError):
                self.connection.close()

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = _serve  # noqa: N815

    def _answer(self, owner: LoopbackServer, request: Request) -> None:
        owner.wait(owner.latency)
        fault = owner.take_fault(request)
        response = self._handled(owner, request) if fault is None else self._faulty(owner, request, fault)
        for _ in request.chunks():  # an unread body would be taken for the next request
            pass
        owner.record(request, response.status)
        if fault is None:
            self._send(response, None)
        else:
            if fault.drip_head:
                self.wfile, self.close_connection = Dripping(self.wfile, fault.drip, owner.wait), True
            self._send(_distorted(owner, response, fault), fault.cut_after)

    def _faulty(self, owner: LoopbackServer, request: Request, fault: Fault) -> Response:
        response = self._handled(owner, request) if fault.after_handling else None
        owner.wait(fault.delay)
        if fault.drop:
            owner.record(request, 0)
            raise _DroppedError
        if fault.status is not None:
            return Response(fault.status, fault.body, fault.content_type, fault.headers)
        return self._handled(owner, request) if response is None else response

    def _handled(self, owner: LoopbackServer, request: Request) -> Response:
        try:
            return owner.handle(request)
        except (ConnectionError, _DroppedError):
            raise
        except Exception as error:  # noqa: BLE001 - a bug of a route must be seen by the client, not end the thread
            return Response.of_json({"error": f"{type(error).__name__}: {error}"}, 500)

    def _send(self, response: Response, cut_after: int | None) -> None:
        body = response.body
        length = len(body) if isinstance(body, bytes) else response.length
        self._send_head(response, length)
        if self.command == "HEAD":
            return
        write = self._write_chunk if length is None else self.wfile.write
        sent = 0
        for piece in filter(None, _pieces_of(body)):
            if cut_after is not None and sent + len(piece) > cut_after:
                if length is not None:  # of a chunked body only whole chunks are sent
                    self.wfile.write(piece[: cut_after - sent])
                self.wfile.flush()
                raise _DroppedError
            sent += len(piece)
            write(piece)
            self.wfile.flush()  # it may be a drop
        write(b"")  # the last chunk of a chunked body
        self.wfile.flush()

    def _send_head(self, response: Response, length: int | None) -> None:
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if length is None:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _write_chunk(self, piece: bytes) -> int:
        return self.wfile.write(b"%x\r\n" % len(piece) + piece + b"\r\n")
