"""Variables that cannot be right are one line of every plugin that speaks HTTP, and no internal error."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from neptune_exporter.testing import old_layout
from neptune_exporter.testing.commands import CommandLine

ADDRESS = "https://127.0.0.1:1"
TOKEN = base64.b64encode(json.dumps({"api_address": ADDRESS, "api_url": ADDRESS, "api_key": "k"}).encode())
COMMANDS = {
    "neptune2": ("projects", "--exporter=neptune2"),
    "neptune3": ("projects", "--exporter=neptune3"),
    "pluto": ("load", "--loader=pluto", "--data-path=data", "--files-path=files", "--pluto-api-key=mlps_x"),
}
SMALL = old_layout.Shape(metrics=1, steps=1, parameters=1, lines=1, histograms=1, files=1)
CERTIFICATES = {"neptune2": "REQUESTS_CA_BUNDLE", "neptune3": "SSL_CERT_FILE", "pluto": "SSL_CERT_FILE"}


@pytest.mark.parametrize("plugin", COMMANDS)
def test_certificates_and_proxies(tmp_path: Path, plugin: str) -> None:
    old_layout.standard(tmp_path / "data", tmp_path / "files", runs=1, shape=SMALL)
    (tmp_path / "ca.pem").write_text("garbage")
    command_line = CommandLine(tmp_path, {"NEPTUNE_API_TOKEN": TOKEN.decode()})
    for variable, value in ((CERTIFICATES[plugin], "ca.pem"), ("HTTPS_PROXY", "foo://127.0.0.1:9")):
        output = command_line.run(*COMMANDS[plugin], expect=2, **{variable: value}).output
        assert output.startswith(f"error: the variable {variable}") and output.count("\n") == 1, output
