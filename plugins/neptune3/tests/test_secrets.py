"""A server that quotes what it knows of the token: nothing of it is shown or kept."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from neptune_exporter.testing.commands import CommandLine
from neptune_exporter.testing.loopback import Request, Response
from neptune_exporter_neptune3_server import FLOATS_PATH, FakeProject, FakeRun, FloatSeries, Neptune3Server

PROJECT = "acme/vision"


@pytest.mark.parametrize("what", ["the key inside of the token", "the access token"])
def test_what_a_server_quotes_is_nowhere(tmp_path: Path, what: str) -> None:
    quoted: list[str] = []
    with Neptune3Server([FakeProject(PROJECT, [FakeRun("a", {"m": FloatSeries([0], [1])})])]) as server:
        key = str(json.loads(base64.b64decode(server.api_token))["api_key"])
        handle = server.handle

        def answer(request: Request) -> Response:
            if request.path != FLOATS_PATH:
                return handle(request)
            access = request.headers["authorization"].split()[-1]
            quoted.append(key if what.startswith("the key") else access)
            return Response.of_json({"message": f"refused: {quoted[-1]}"}, 400)

        server.handle = answer  # type: ignore[method-assign]
        command_line = CommandLine(tmp_path, {"NEPTUNE_API_TOKEN": server.api_token})
        done = command_line.run("export", "--exporter", "neptune3", "-p", PROJECT, expect=3)
    beginning = quoted[0][:100]  # a long one is cut
    assert "refused: ***" in done.output and beginning not in done.output
    kept = [
        path for path in tmp_path.rglob("*") if path.is_file() and beginning.encode() in path.read_bytes()
    ]
    assert quoted and kept == []
