"""Servers with self-signed certificates: requests and downloads follow the client's variable."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from neptune_exporter.testing.commands import CommandLine
from neptune_exporter_neptune3_server import FakeFile, FakeProject, FakeRun, FloatSeries, Neptune3Server

PROJECT = "acme/vision"
EXPORT = ("export", "--exporter", "neptune3", "-p", PROJECT, "--neptune3-retry-seconds", "1")
_OPENSSL = shutil.which("openssl")


class TlsServer(Neptune3Server):
    """Gives addresses with https:// that lead to it through a proxy."""

    tls_url = ""

    @property
    def url(self) -> str:
        return self.tls_url or super().url


def pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65_536):
            target.sendall(data)
    except OSError:
        return  # the other side is gone
    try:
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return


def forward(listener: socket.socket, context: ssl.SSLContext, port: int) -> None:
    """Take TLS from each connection, until the listener is closed."""
    while True:
        try:
            plain, _ = listener.accept()
        except OSError:
            return
        try:
            client = context.wrap_socket(plain, server_side=True)
        except OSError:
            continue  # it does not trust the certificate
        server = socket.create_connection(("127.0.0.1", port))
        for ends in ((client, server), (server, client)):
            threading.Thread(target=pump, args=ends, daemon=True).start()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Of 127.0.0.1, signed by itself; its key lies beside it."""
    assert _OPENSSL is not None
    path = tmp_path / "certificate.pem"
    line = [_OPENSSL, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    line += [
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        str(tmp_path / "key.pem"),
        "-out",
        str(path),
    ]
    subprocess.run(line, check=True, capture_output=True)
    return path


@pytest.fixture
def server(certificate: Path) -> Iterator[TlsServer]:
    run = FakeRun("r", {"n": 1, "m": FloatSeries([0], [1]), "f": FakeFile(b"abc")})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    with (
        TlsServer([FakeProject(PROJECT, [run])]) as server,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        port = int(server.url.rpartition(":")[2])
        threading.Thread(target=forward, args=(listener, context, port), daemon=True).start()
        server.tls_url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        yield server
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.skipif(_OPENSSL is None, reason="there is no openssl to make a certificate with")
def test_a_certificate_that_nobody_signed(server: TlsServer, certificate: Path, tmp_path: Path) -> None:
    def export(name: str, expect: int = 0, **environment: str) -> str:
        (tmp_path / name).mkdir()
        command_line = CommandLine(tmp_path / name, {"NEPTUNE_API_TOKEN": server.api_token})
        return command_line.run(*EXPORT, expect=expect, **environment).output

    refused = export("refused", expect=1)
    assert f"the certificate of the server {server.tls_url[8:]} is not trusted (self" in refused
    assert "set SSL_CERT_FILE to the file of its authority, or NEPTUNE_VERIFY_SSL=false" in refused
    assert "1 file" in export("blind", NEPTUNE_VERIFY_SSL="false")
    assert "1 file" in export("trusting", SSL_CERT_FILE=str(certificate))
