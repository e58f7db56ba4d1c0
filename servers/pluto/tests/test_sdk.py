"""The real SDK writes to the local Pluto and its query client reads it back.

Each script runs in a process of its own, with a home of its own, and neither it
nor the process that the SDK starts can connect to anything but 127.0.0.1.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from neptune_exporter_pluto_server import RehearsalServer

GUARD = """
import socket

_connect = socket.socket.connect


def connect(self, address):
    local = ("127.0.0.1", "localhost", "::1")
    if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in local:
        raise ConnectionRefusedError(f"a test tried to reach {address}")
    return _connect(self, address)


socket.socket.connect = connect
"""

WRITE = """
import math, sys, json, logging
import numpy as np
import pluto

run = pluto.init(
    project="sdk project",
    name="a run",
    config={"lr": 0.5, "big": 2**60 + 1, "nested": {"a": [1, 2.0]}},
    tags=["one", "two"],
    run_id="neptune-x",
    settings={"disable_system_metrics": True, "sync_process_flush_interval": 0.1},
)
for step in range(5):
    value = math.nan if step == 2 else math.inf if step == 3 else step / 4
    run.log({"train/loss": value, "acc": step}, step=step)
run.log({"weights": pluto.Histogram(list(range(100)), bins=4)}, step=1)
run.log({"table": pluto.Table([[1, "x"], [2, "y"]], columns=["n", "s"])}, step=1)
run.log({"phase": "warm up"}, step=3)
run.log({"notes/text": pluto.Text("hello text", caption="notes")}, step=2)
run.log({"images/noise": pluto.Image(np.zeros((4, 4, 3), dtype=np.uint8), caption="noise")}, step=2)
run.log({"models/weights": pluto.Artifact("weights.npy")}, step=2)
run.update_config({"nested": {"b": 3}})
run.add_tags("three")
run.remove_tags("two")
print("a line on the console")
run.finish()
"""

READ = """
import json, sys
import pluto.query as pq

project = "sdk project"
(listed,) = pq.list_runs(project)
run = pq.get_run(project, listed["displayId"])
frame = pq.get_metrics(project, run["id"])
window = pq.get_metrics(project, run["id"], ["acc", "train/loss"], step_min=1, step_max=2)
found = {
    "projects": pq.list_projects(),
    "listed": listed,
    "run": run,
    "names": pq.get_metric_names(project, run_ids=[run["id"]]),
    "metrics": frame.to_dict("records"),
    "window": window.to_dict("records"),
    "files": pq.get_files(project, run["id"]),
    "text": pq.download_file(project, run["id"], "notes/text", sys.argv[1]).read_text(),
    "logs": pq.get_logs(project, run["id"]),
}
json.dump(found, open(sys.argv[2], "w"))
"""

Script = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def server() -> Iterator[RehearsalServer]:
    with RehearsalServer() as server:
        yield server


@pytest.fixture
def script(server: RehearsalServer, tmp_path: Path) -> Script:
    guard, home = tmp_path / "guard", tmp_path / "home"
    guard.mkdir()
    home.mkdir()
    (guard / "sitecustomize.py").write_text(GUARD)
    (home / "weights.npy").write_bytes(b"weights")
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    environment = {
        **kept,
        "HOME": str(home),
        "PYTHONPATH": str(guard),
        "NO_PROXY": "*",
        **server.environment(),
    }

    def run(text: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(text), *arguments],
            cwd=home,
            env={**environment, **variables},
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert "a test tried to reach" not in done.stdout + done.stderr
        return done

    return run


def test_what_the_sdk_writes_is_what_its_query_reads(
    script: Script, server: RehearsalServer, tmp_path: Path
) -> None:
    wrote = script(WRITE)
    assert wrote.returncode == 0, wrote.stderr
    read = script(READ, str(tmp_path), str(tmp_path / "found.json"))
    assert read.returncode == 0, read.stderr
    found = json.loads((tmp_path / "found.json").read_text())

    run = found["run"]
    assert (run["name"], run["externalId"], run["status"]) == ("a run", "neptune-x", "COMPLETED")
    assert run["config"] == {"lr": 0.5, "big": 1152921504606847000, "nested": {"a": [1, 2], "b": 3}}
    assert run["tags"] == ["one", "three"]
    assert {entry["logName"]: entry["logType"] for entry in run["logNames"]} == {
        "train/loss": "METRIC",
        "acc": "METRIC",
        "weights": "HISTOGRAM",
        "table": "TABLE",
        "phase": "DATA",
        "notes/text": "TEXT",
        "images/noise": "IMAGE",
        "models/weights": "ARTIFACT",
    }
    assert [project["name"] for project in found["projects"]] == ["sdk project"]
    assert found["names"] == ["acc", "train/loss"]

    def series(rows: list[dict[str, Any]], name: str) -> list[tuple[int, float, str]]:
        return [(row["step"], row["value"], row["valueFlag"]) for row in rows if row["metric"] == name]

    assert series(found["metrics"], "acc") == [(step, step, "") for step in range(5)]
    loss = [(0, 0, ""), (1, 0.25, ""), (2, 0, "NaN"), (3, 0, "Inf"), (4, 1, "")]
    assert series(found["metrics"], "train/loss") == loss
    assert series(found["window"], "train/loss") == loss[1:3]

    assert found["text"] == "hello text"
    files = {file["logName"]: file for file in found["files"]}
    assert files["notes/text"]["fileType"] == "txt"
    assert files["images/noise"]["fileType"] == "png"
    assert files["images/noise"]["step"] == 2
    assert server.file_bytes(1, "models/weights", files["models/weights"]["fileName"]) == b"weights"
    image = server.file_bytes(1, "images/noise", files["images/noise"]["fileName"])
    assert image.startswith(b"\x89PNG")
    assert any("a line on the console" in line["message"] for line in found["logs"])

    key = server.key(1)
    (histogram,) = server.store.histograms(key, "weights")
    assert histogram["data"]["freq"] == [25, 25, 25, 25]
    assert server.store.tables(key, "table")[0]["data"]["table"] == [[1, "x"], [2, "y"]]
    assert server.store.string_series(key, "phase")[0]["data"] == "warm up"
    assert server.stats()["orphan_points"] == 0


def test_the_sdk_understands_refusals(script: Script, server: RehearsalServer) -> None:
    create = 'import pluto\npluto.init(project="p", name="r", settings={"disable_system_metrics": True})'
    server.settings.quota_exceeded = True
    refused = script(create)
    assert "Failed to create run: Organization is at limit" in refused.stderr
    rejected = script(create, PLUTO_API_KEY="mlps_wrong")
    assert "authentication failed (HTTP 401)" in rejected.stderr
    assert "The server says: Key not found." in rejected.stderr
    assert server.stats()["runs"] == 0


def test_uploading_with_the_query_client(script: Script, server: RehearsalServer) -> None:
    done = script(
        """
        import httpx, os, pluto.query as pq
        url, key = os.environ["PLUTO_URL_API"], os.environ["PLUTO_API_KEY"]
        body = {"runName": "r", "projectName": "p"}
        httpx.post(url + "/api/runs/create", json=body, headers={"Authorization": "Bearer " + key})
        open("notes.txt", "w").write("some notes")
        pq.upload_file("p", 1, "notes", "notes.txt", step=3)
        """
    )
    assert done.returncode == 0, done.stderr
    assert server.file_bytes(1, "notes", "notes.txt") == b"some notes"
