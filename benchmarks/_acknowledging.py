"""A real `mlflow server` whose points are acknowledged and dropped: the client's share of a load."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from tests.mlflow_server import mlflow_server

HOP = {"connection", "content-length", "date", "host", "server", "transfer-encoding"}


@contextmanager
def acknowledging_server(folder: Path) -> Iterator[str]:
    """Its address. All requests but those with points go to the real server."""
    with mlflow_server(folder, f"sqlite:///{folder / 'server.db'}") as address:
        host = urlsplit(address).netloc

        class Handler(BaseHTTPRequestHandler):
            protocol_version, wbufsize, disable_nagle_algorithm = "HTTP/1.1", 65_536, True

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.path.endswith("/runs/log-batch") and b'"metrics"' in body:
                    self._answer(200, {"Content-Type": "application/json"}, b"{}")
                    return
                connection = http.client.HTTPConnection(host, timeout=600)
                connection.request(self.command, self.path, body, _passed_on(self.headers.items()))
                response = connection.getresponse()
                self._answer(response.status, _passed_on(response.getheaders()), response.read())
                connection.close()

            do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

            def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                """Nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            try:
                yield f"http://127.0.0.1:{server.server_address[1]}"
            finally:
                server.shutdown()


def _passed_on(headers: object) -> dict[str, str]:
    return {name: value for name, value in dict(headers).items() if name.lower() not in HOP}
