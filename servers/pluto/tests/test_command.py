"""`python -m neptune_exporter_pluto_server`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from neptune_exporter_pluto_server import DEFAULT_KEY
from neptune_exporter_pluto_server.__main__ import KEY_VARIABLE


@contextmanager
def command(*options: str, **variables: str) -> Iterator[tuple[subprocess.Popen[str], Any]]:
    arguments = [sys.executable, "-m", "neptune_exporter_pluto_server", *options]
    process = subprocess.Popen(
        arguments,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **variables},
    )
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def end(process: subprocess.Popen[str], how: str) -> tuple[int, Any]:
    if how == "stdin":
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
    else:
        process.send_signal(getattr(signal, how))
    _, errors = process.communicate(timeout=60)
    return process.returncode, json.loads(errors.splitlines()[-1])


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "stdin"])
def test_it_serves_until_it_is_told_to_end(how: str, tmp_path: Path) -> None:
    options = ["--until-stdin-closes"] if how == "stdin" else []
    with command("--folder", str(tmp_path / "kept"), *options) as (process, urls):
        assert set(urls) == {"url_app", "url_api", "url_ingest", "url_py", "api_key"}
        headers = {"Authorization": f"Bearer {urls['api_key']}"}
        body = {"runName": "r", "projectName": "p"}
        assert httpx.post(f"{urls['url_api']}/api/runs/create", json=body, headers=headers).status_code == 200
        code, stats = end(process, how)
    assert (code, stats["runs"]) == (0, 1)
    assert json.loads((tmp_path / "kept" / "runs.jsonl").read_text())["name"] == "r"


def test_a_key_of_ones_own_is_not_shown() -> None:
    with command("--count-only", **{KEY_VARIABLE: "mlps_mine"}) as (process, urls):
        assert "api_key" not in urls
        for key, status in (("mlps_mine", 200), (DEFAULT_KEY, 401)):
            answer = httpx.post(f"{urls['url_api']}/api/slug", headers={"Authorization": f"Bearer {key}"})
            assert answer.status_code == status
        code, _ = end(process, "SIGTERM")
    assert code == 0
