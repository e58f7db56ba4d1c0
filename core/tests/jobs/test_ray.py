"""The executor on Ray, where it is installed: `nox -s ray`."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from neptune_exporter.contract import SourceError
from neptune_exporter.jobs.executors import Choice, LostWorkerError, opened
from neptune_exporter.testing import units

from .test_executors import Told

pytest.importorskip("ray")


def test_ray_carries_units(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In one cluster, as it takes long to start."""
    caplog.set_level(logging.INFO)
    told = Told()
    with opened(Choice("ray", 2), told, threads=2) as executor:
        done = [executor.submit(units.told, f"line {n}") for n in range(3)]
        assert [each.result(120) for each in done] == [None] * 3
        assert (
            executor.submit(units.token_of, units.Opening("a", tmp_path)).result(120) == "a-token-of-the-test"
        )
        with pytest.raises(SourceError, match="no such run"):
            executor.submit(units.failing, "no such run").result(120)
        with pytest.raises(LostWorkerError, match="each time it was tried"):
            executor.submit(units.killed, tmp_path).result(200)
    assert (told.runs, told.rows) == (3, 6)
    assert (tmp_path / "killed").read_text() == "xxxx"
    lines = {r.getMessage() for r in caplog.records if r.name == "neptune_exporter.test"}
    assert lines == {"line 0", "line 1", "line 2"}
