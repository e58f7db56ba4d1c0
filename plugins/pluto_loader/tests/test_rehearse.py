"""The rehearsal: a load into a Pluto of its own that tells what would happen and leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from neptune_exporter.contract import LoadOptions, MissingDependencyError, UsageError
from neptune_exporter.testing import old_layout
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter_pluto.estimate import requests
from neptune_exporter_pluto.plugin import make_sink
from neptune_exporter_pluto.settings import PlutoSettings

from .killed_load import everything

SMALL = old_layout.Shape(metrics=3, steps=100, parameters=20, lines=10, histograms=4, files=3)


@pytest.fixture(autouse=True)
def temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


def test_what_would_be_created_is_told(
    tmp_path: Path, temporary_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sink = make_sink(PlutoSettings(rehearse=True, file_chunk_sleep=0.0), LoadOptions())
    try:
        run = MemoryRun(everything())
        assert not sink.load(run, None).already_loaded
        made = int(sink.closing_report()["rehearsed: requests"])
        assert {c.verdict.value for c in sink.verify(run, full=True)} <= {"=", "~", "?"}
        report = sink.closing_report()
    finally:
        sink.close()
        sink.close()
    assert report["rehearsed: runs"] == 1
    assert report["rehearsed: points"] == 600
    assert report["rehearsed: histograms"] == 10
    assert report["rehearsed: files and texts"] == 14
    assert 0.8 * made <= requests(PlutoSettings(), run) <= 1.25 * made
    assert not list(temporary_files.iterdir()), "temporary files are left"
    assert [path.name for path in tmp_path.iterdir()] == ["temporary"], "state of real loads was written"


def test_what_was_stored_is_kept_if_asked(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    sink = make_sink(PlutoSettings(rehearse=True, rehearse_folder=kept, base_dir=tmp_path), LoadOptions())
    try:
        sink.load(MemoryRun(everything()), None)
        assert sink.closing_report()["kept in"] == str(kept)
    finally:
        sink.close()
    assert pq.read_metadata(kept / "points.parquet").num_rows == 600
    with pytest.raises(UsageError, match="empty folder"):
        make_sink(PlutoSettings(rehearse=True, rehearse_folder=kept), LoadOptions())


def test_from_the_command_line(tmp_path: Path) -> None:
    """The whole way: an export of the public tool, the command, the report, the check."""
    old_layout.standard(tmp_path / "data", tmp_path / "files", runs=2, shape=SMALL)
    command = [sys.executable, "-m", "neptune_exporter", "load", "--loader", "pluto", "--pluto-rehearse"]
    command += ["--data-path", str(tmp_path / "data"), "--files-path", str(tmp_path / "files")]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PLUTO_", "NEPTUNE_"))}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 runs loaded" in done.stdout
    assert "rehearsed: points: 600" in done.stdout


def test_the_server_ends_with_the_process(tmp_path: Path) -> None:
    """Also when that is killed: its pipe closes."""
    script = (
        "import json, os, sys\n"
        "from neptune_exporter_pluto.rehearse import LocalPluto\n"
        "server = LocalPluto.start(None)\n"
        "print(json.dumps([server.process.pid, str(server.state_folder)]), flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    pid, _ = json.loads(done.stdout)
    for _ in range(200):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{pid}/stat").exists() and ") Z " in Path(f"/proc/{pid}/stat").read_text():
            return
        time.sleep(0.05)
    pytest.fail("the local Pluto goes on")


def test_where_the_local_pluto_is_missing_the_hint_adds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """`uv sync --extra rehearse` without `--inexact` removes other plugins; no index has the package."""
    from neptune_exporter_pluto.rehearse import LocalPluto

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        MissingDependencyError,
        match=r"uv sync --inexact --extra rehearse, or pip install \./servers/pluto$",
    ):
        LocalPluto.start(None)
