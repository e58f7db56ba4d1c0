"""Conditional writes to Google Cloud Storage: gcsfs against a server of objects and their generations."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from neptune_exporter.dataset.format.object_store import ConflictError, ObjectStore, object_store
from neptune_exporter.location import Location, options_of

pytestmark = pytest.mark.skipif(find_spec("gcsfs") is None, reason="gcsfs is not installed")


class Objects(BaseHTTPRequestHandler):
    """What the JSON API of Google Cloud Storage says of objects: their generations, and status 412."""

    held: dict[str, tuple[int, bytes]]

    def do_POST(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        name = asked["name"][0] if "name" in asked else json.loads(body.split(b"\n")[3])["name"]
        data = (
            body
            if asked["uploadType"] == ["media"]
            else body.split(b"\n\n", 2)[2].removesuffix(b"\n--==0==--")
        )
        generation, _ = self.held.get(name, (0, b""))
        if asked.get("ifGenerationMatch", [str(generation)]) != [str(generation)]:
            self._answer(412, {"error": {"code": 412, "message": "conditionNotMet"}})
            return
        self.held[name] = generation + 1, data
        self._answer(200, self._about(name))

    def do_GET(self) -> None:
        name = unquote(urlsplit(self.path).path.rpartition("/o/")[2])
        if name in self.held:
            self._answer(200, self._about(name))
        else:
            self._answer(404, {"error": {"code": 404, "message": "notFound"}})

    def _about(self, name: str) -> dict[str, object]:
        generation, data = self.held[name]
        return {"name": name, "size": len(data), "generation": str(generation), "etag": "same"}

    def _answer(self, status: int, document: object) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Not into the output of the tests."""


@pytest.fixture
def held() -> dict[str, tuple[int, bytes]]:
    """By name: generation and content."""
    return {}


@pytest.fixture
def store(held: dict[str, tuple[int, bytes]]) -> Iterator[ObjectStore]:
    handler = type("Handler", (Objects,), {"held": held})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        options = options_of([f"endpoint_url=http://127.0.0.1:{server.server_port}", "token=anon"])
        yield object_store(Location.of("gs://bucket/data", options))
        server.shutdown()


def test_a_write_with_a_condition_replaces_what_was_seen_and_nothing_else(
    store: ObjectStore, held: dict[str, tuple[int, bytes]]
) -> None:
    store.put("receipt", b"first", create=True)
    with pytest.raises(ConflictError):
        store.put("receipt", b"of another", create=True)
    seen = store.head("receipt")
    assert seen is not None and seen.etag == "1"
    store.put("receipt", b"second", etag=seen.etag)
    with pytest.raises(ConflictError):
        store.put("receipt", b"of one who saw the first", etag=seen.etag)
    assert held == {"data/receipt": (2, b"second")}
