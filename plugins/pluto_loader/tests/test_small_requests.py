"""Small requests: connections are kept, never used once the server has closed them, and proxies are asked."""

from __future__ import annotations

import gzip
import select
import socket
import threading
from collections.abc import Callable, Iterator

import httpx
import pytest

from neptune_exporter_pluto.service.answers import Outcome, outcome_of_error
from neptune_exporter_pluto.service.small_requests import SmallRequests

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
Serve = Callable[..., str]


def read_request(connection: socket.socket) -> bytes:
    found = b""
    while b"\r\n\r\n" not in found:
        if not (piece := connection.recv(65_536)):
            return b""
        found += piece
    head, _, body = found.partition(b"\r\n\r\n")
    sizes = [int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while len(body) < sum(sizes):
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


class Server:
    """Answers each connection with the next of some functions, which get it. Remembers the requests."""

    def __init__(self, *conversations: Callable[[Server, socket.socket], None]) -> None:
        self.requests: list[bytes] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, args=(conversations,), daemon=True)
        self._thread.start()

    def _serve(self, conversations: tuple[Callable[[Server, socket.socket], None], ...]) -> None:
        for conversation in conversations:
            connection, _ = self._listening.accept()
            with connection:
                conversation(self, connection)

    def answer(self, connection: socket.socket, answer: bytes = OK) -> None:
        self.requests.append(read_request(connection))
        connection.sendall(answer)

    def close(self) -> None:
        self._listening.close()
        self._thread.join(10)


def once(server: Server, connection: socket.socket) -> None:
    server.answer(connection)


def twice(server: Server, connection: socket.socket) -> None:
    server.answer(connection)
    server.answer(connection)


@pytest.fixture
def small() -> Iterator[SmallRequests]:
    with httpx.Client(timeout=10, trust_env=False, headers={"User-Agent": "tests"}) as client:
        requests = SmallRequests(client, httpx.create_ssl_context(), 10.0)
        yield requests
        requests.close()


def test_a_connection_serves_many_requests(small: SmallRequests) -> None:
    server = Server(twice)
    for _ in range(2):
        headers = {"X-Run-Id": "1"}
        assert small.send("POST", f"{server.url}/a b?", headers, params={"q": "ä/b"}, content=b"") == b"{}"
    server.close()
    (request,) = set(server.requests)
    assert request.startswith(b"POST /a%20b?q=%C3%A4%2Fb HTTP/1.1\r\n")
    for header in (b"User-Agent: tests", b"X-Run-Id: 1", b"Content-Length: 0", b"Host: 127.0.0.1:"):
        assert header.lower() in request.lower()


@pytest.mark.parametrize(
    ("fields", "body", "is_kept"),
    [
        (b"Connection: keep-alive\r\nContent-Length: 2", b"{}", True),
        (b"content-length:2 ", b"{}", True),
        (b"Connection: close\r\nContent-Length: 2", b"{}", False),
        (b"Transfer-Encoding: chunked", b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", True),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 9", b"2\r\n{}\r\n0\r\n\r\n", True),
        (b"Content-Length: 2\r\nContent-Length: 9", b"{}", True),  # the first one, as `http.client` does
        (b"X-Long: " + b"x" * 9_000 + b"\r\nContent-Length: 2", b"{}", True),
        (b"Server: odd", b"{}", False),
    ],
)
def test_answers_of_every_framing(small: SmallRequests, fields: bytes, body: bytes, is_kept: bool) -> None:
    def answer(server: Server, connection: socket.socket) -> None:
        server.answer(connection, b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n\r\n" + body)

    server = Server(answer)
    assert small.send("GET", server.url, {}) == b"{}"
    server.close()
    assert bool(small._idle[server.url]) is is_kept


@pytest.mark.parametrize("value", ["a\r\nX-Other: b", "a\nb", "a\rb"])
def test_a_header_cannot_hold_another(small: SmallRequests, value: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        small.send("GET", "http://127.0.0.1:1", {"X-Project-Name": value})


def test_a_connection_that_the_server_has_closed_is_not_used(small: SmallRequests) -> None:
    """A request that is sent into it would be one of which nobody knows whether it was taken."""
    server = Server(once, once)
    small.send("GET", server.url, {})
    (_, connection) = small._idle[server.url][-1]
    assert select.select([connection.sock], [], [], 10)[0]  # the end of the connection has arrived
    assert small.send("GET", server.url, {}) == b"{}"
    server.close()
    assert len(server.requests) == 2


def test_a_connection_that_was_idle_for_long_is_not_used(small: SmallRequests) -> None:
    server = Server(once, once)
    small.send("GET", server.url, {})
    since, connection = small._idle[server.url].pop()
    small._idle[server.url].append((since - 6, connection))
    assert small.send("GET", server.url, {}) == b"{}"
    server.close()


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (b"", httpx.RemoteProtocolError),
        (b"no HTTP\r\n\r\n", httpx.RemoteProtocolError),
        (OK[:-1], httpx.RemoteProtocolError),
    ],
)
def test_what_is_no_whole_answer(small: SmallRequests, part: bytes, expected: type[Exception]) -> None:
    server = Server(lambda self, connection: self.answer(connection, part))
    with pytest.raises(expected):
        small.send("POST", server.url, {}, content=b"x")
    server.close()


def test_nothing_listens(small: SmallRequests) -> None:
    server = Server()
    server.close()
    with pytest.raises(httpx.ConnectError):
        small.send("GET", server.url, {})


def test_a_refusal_before_the_whole_request_was_read(small: SmallRequests) -> None:
    def refuse(server: Server, connection: socket.socket) -> None:
        connection.recv(10)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 20):
            pass

    server = Server(refuse)
    with pytest.raises(httpx.HTTPStatusError) as refused:
        small.send("POST", server.url, {}, content=b"x" * (1 << 22))
    assert refused.value.response.status_code == 413
    server.close()


def test_sending_may_take_as_long_as_an_answer_and_no_longer() -> None:
    ended = threading.Event()
    timeout = httpx.Timeout(0.2, connect=10)
    with httpx.Client(timeout=timeout, trust_env=False) as client:
        small = SmallRequests(client, httpx.create_ssl_context(), 10.0)
        server = Server(lambda self, connection: ended.wait(10) and None)
        with pytest.raises(httpx.WriteTimeout):
            small.send("POST", server.url, {}, content=b"x" * (1 << 24))
        ended.set()
        server.close()
        small.close()


def test_answers_may_be_compressed(small: SmallRequests) -> None:
    body = gzip.compress(b"[1, 2]")
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    server = Server(lambda self, connection: self.answer(connection, head + body))
    assert small.send("GET", server.url, {}) == b"[1, 2]"
    server.close()
    assert b"gzip" in server.requests[0]


def test_an_answer_that_cannot_be_decompressed_is_one_of_which_nothing_is_known(small: SmallRequests) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\n"
    server = Server(lambda self, connection: self.answer(connection, head + b"plain"))
    with pytest.raises(httpx.RequestError) as failure:
        small.send("POST", server.url, {}, content=b"{}")
    assert outcome_of_error(failure.value) is Outcome.UNCERTAIN
    server.close()


def test_headers_may_hold_any_byte(small: SmallRequests) -> None:
    answer = b"HTTP/1.1 503 Busy\r\nVia: \xe4\xc3\xa4\r\nContent-Length: 2\r\n\r\n{}"
    server = Server(lambda self, connection: self.answer(connection, answer))
    with pytest.raises(httpx.HTTPStatusError) as refused:
        small.send("GET", server.url, {})
    assert refused.value.response.status_code == 503
    server.close()


def test_an_early_answer_is_not_taken_for_the_one_to_come(small: SmallRequests) -> None:
    """Nor does the next request get the one to come."""

    def early(server: Server, connection: socket.socket) -> None:
        server.answer(connection, b"HTTP/1.1 103 Early Hints\r\n\r\n")
        assert not connection.recv(1)  # closed: it is not asked again

    server = Server(early, once)
    with pytest.raises(httpx.RemoteProtocolError, match="103"):
        small.send("GET", server.url, {})
    assert small.send("GET", server.url, {}) == b"{}"
    server.close()


def test_a_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Server(once)
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("http_proxy", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    direct = Server(once)
    with httpx.Client(timeout=10) as client:
        small = SmallRequests(client, httpx.create_ssl_context(), 10.0)
        for url in ("http://pluto.example.com", direct.url):
            headers = {"X-Run-Id": "1"}
            assert small.send("POST", f"{url}/api/slug", headers, params={"q": 1}, content=b"{}") == b"{}"
        small.close()
    proxy.close()
    direct.close()
    assert proxy.requests[0].startswith(b"POST http://pluto.example.com/api/slug?q=1 HTTP/1.1\r\n")
    assert direct.requests[0].startswith(b"POST /api/slug?q=1 HTTP/1.1\r\n")
