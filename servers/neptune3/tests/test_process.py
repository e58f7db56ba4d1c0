"""The server as a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import neptune_query
import pytest
from neptune_query import runs

COMMAND = [
    sys.executable,
    "-m",
    "neptune_exporter_neptune3_server",
    "--runs",
    "3",
    "--metrics",
    "2",
    "--points",
    "50",
]


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    command = [*COMMAND, "--strings", "4", "--histograms", "2", "--files", "1", "--file-bytes", "10"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as started:
        yield started
        started.kill()


def _ready(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    answer = json.loads(process.stdout.readline())
    assert isinstance(answer, dict)
    return answer


def test_it_serves_what_was_asked_for_until_its_stdin_is_closed(process: subprocess.Popen[str]) -> None:
    ready = _ready(process)
    assert ready["float_points"] == 300
    neptune_query.set_api_token(ready["api_token"])
    project = ready["project"]
    assert runs.list_runs(project=project) == ["run-00000", "run-00001", "run-00002"]
    metrics = runs.fetch_metrics(project=project, runs=".*", attributes="metrics/.*")
    assert metrics.shape == (150, 2)
    series = runs.fetch_series(project=project, runs=["run-00001"], attributes=".*")
    assert series.notna().sum().sum() == 4 + 2 + 1
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(60) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="no signals there")
def test_it_ends_on_a_signal(process: subprocess.Popen[str]) -> None:
    _ready(process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
