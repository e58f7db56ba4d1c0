"""Two machines that load one run at the same moment: once, and never twice unnoticed."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from neptune_exporter.contract import LoadedRun, SinkError
from neptune_exporter.model import RunKey
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.runs import (
    SampleHistogram,
    SampleRun,
    float_series,
    histogram_series,
    string_series,
)
from neptune_exporter_pluto.ending import SUPERSEDED_TAG
from neptune_exporter_pluto_server import RehearsalServer, faults

from .conftest import MakeSink

KEY = RunKey("acme/vision", "RUN-1")
RUN = SampleRun(
    KEY,
    (
        float_series("loss", [(0, 1.0), (1, 0.5)]),
        string_series("notes", [(0, "a"), (1, "b")]),
        histogram_series("weights", [(step, SampleHistogram((0.0, 1.0), (3.0,))) for step in range(20)]),
    ),
)
DESCRIBE = "/api/runs/config/update"


def load(make_sink: MakeSink, base: Path, visible_within: float) -> LoadedRun:
    return make_sink(base_dir=base, visible_within=visible_within).load(MemoryRun(RUN), None)


def wait_until(is_so: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.01)


def wait_for_a_run(server: RehearsalServer) -> None:
    wait_until(lambda: bool(server.runs.by_id), "nobody makes a run")


def histograms(server: RehearsalServer) -> dict[int, int]:
    """How many there are in each run that was not given up."""
    live = [run for run in server.runs.by_id.values() if SUPERSEDED_TAG not in run.tags]
    return {run.id: len(server.store.histograms(server.key(run.id))) for run in live}


def test_a_run_that_another_machine_is_just_making_is_left_to_it(
    server: RehearsalServer, make_sink: MakeSink, tmp_path: Path
) -> None:
    server.fail(faults.stalled(0.6, DESCRIBE))
    server.fail(faults.stalled(2.0, "/ingest/data"))
    with ThreadPoolExecutor(1) as other:
        first = other.submit(load, make_sink, tmp_path / "one", 5.0)
        wait_for_a_run(server)
        with pytest.raises(SinkError, match="another machine has begun to load it"):
            load(make_sink, tmp_path / "two", 5.0)
        run_id = int(first.result(20).target_id)
    assert histograms(server) == {run_id: 20}


def test_a_run_that_was_taken_from_a_machine_that_stalled_is_loaded_anew_by_it(
    server: RehearsalServer, make_sink: MakeSink, tmp_path: Path
) -> None:
    """It waited so long that another took the run for one that nobody goes on with."""
    server.fail(faults.stalled(3.0, DESCRIBE))
    with ThreadPoolExecutor(1) as other:
        first = other.submit(load, make_sink, tmp_path / "one", 0.2)
        wait_for_a_run(server)
        second = load(make_sink, tmp_path / "two", 0.2)
        loaded = first.result(30)
    assert loaded.target_id != second.target_id
    assert histograms(server) == {int(loaded.target_id): 20}


def test_a_run_that_a_kill_left_without_a_mark_is_gone_on_with(
    server: RehearsalServer, make_sink: MakeSink, tmp_path: Path
) -> None:
    server.fail(faults.dropped(DESCRIBE))
    with pytest.raises(SinkError):
        make_sink(base_dir=tmp_path, retry_for=0.0).load(MemoryRun(RUN), None)
    loaded = load(make_sink, tmp_path, 0.5)
    assert histograms(server) == {int(loaded.target_id): 20} and len(server.runs.by_id) == 1
