"""The executor on Ray: `nox -s ray`, as each cluster takes many seconds to start."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from pathlib import Path

import pytest

from neptune_exporter.contract import SourceError
from neptune_exporter.jobs.executors import Choice, LostWorkerError, StoppedError, opened
from neptune_exporter.testing import units

from .test_executors import Told, wait_until

pytest.importorskip("ray")
pytestmark = pytest.mark.skipif("NEPTUNE_EXPORTER_RAY" not in os.environ, reason="slow: nox -s ray runs it")
TOKEN = b"a-token-of-the-test"


def test_ray_carries_units(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """All that another executor does, in one cluster; and no process list and no file shows a credential."""
    caplog.set_level(logging.INFO)
    began, told = time.time(), Told()
    opening = units.Opening("one", tmp_path)
    with opened(Choice("ray", 2), told, threads=2) as executor:
        done = [executor.submit(units.told, f"line {n}") for n in range(3)]
        assert [each.result(120) for each in done] == [None] * 3
        running = executor.submit(units.told_while_running, tmp_path)
        wait_until(lambda: told.rows == 3 * 2 + 7)
        (tmp_path / "heard").touch()
        running.result(60)
        assert executor.submit(units.token_of, opening).result(120).encode() == TOKEN
        _, pid = executor.submit(units.settings_of, opening).result(120)
        for name in ("cmdline", "environ"):
            assert TOKEN not in Path(f"/proc/{pid}/{name}").read_bytes()
        with pytest.raises(SourceError, match="no such run"):
            executor.submit(units.failing, "no such run").result(120)
        with pytest.raises(Exception, match="of the token"):
            executor.submit(units.failing_with_token, opening).result(120)
        with pytest.raises(LostWorkerError, match="each time it was tried"):
            executor.submit(units.killed, tmp_path).result(200)
        session = _session_since(began)
        assert any(session.rglob("*.log"))
        assert not [p for p in session.rglob("*") if p.is_file() and TOKEN in p.read_bytes()]
    assert (told.runs, told.rows) == (3, 13)
    assert (tmp_path / "killed").read_text() == "xxxx"
    lines = {r.getMessage() for r in caplog.records if r.name == "neptune_exporter.test"}
    assert lines == {"line 0", "line 1", "line 2"}


def _session_since(began: float) -> Path:
    """Where this cluster logs, and keeps what does not fit into memory."""
    (found,) = {
        path.resolve()
        for path in Path(tempfile.gettempdir(), "ray").glob("session_*_*")
        if path.stat().st_ctime >= began and not path.is_symlink()
    }
    return found


def test_ctrl_c_ends_units_that_wait_and_the_next_job_waits_again(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt), opened(Choice("ray", 1), Told(), threads=1) as executor:
            done = executor.submit(units.waiting, tmp_path)
            wait_until((tmp_path / "waiting").exists)
            (tmp_path / "waiting").unlink()
            assert not done.done()
            raise KeyboardInterrupt
        with pytest.raises(StoppedError):
            done.result(0)
