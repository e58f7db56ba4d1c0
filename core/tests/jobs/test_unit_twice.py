"""A cluster may start a unit of an export again while its first try still runs."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from neptune_exporter.contract import AttributeSelection, RunSelection
from neptune_exporter.dataset import Dataset
from neptune_exporter.jobs import export_group
from neptune_exporter.jobs.executors.worker import JobId, RemoteWorker
from neptune_exporter.jobs.export_group import ExportUnit, run_unit
from neptune_exporter.jobs.opening import OpenSource
from neptune_exporter.jobs.planning import plan_run
from neptune_exporter.model import RunKey
from neptune_exporter.testing.memory_source import MemorySource
from neptune_exporter.testing.runs import SampleRun, parameter

RUNS = [SampleRun(RunKey("acme/vision", f"RUN-{n}"), (parameter("lr", 0.1),)) for n in range(4)]


@pytest.fixture
def worker() -> Iterator[RemoteWorker]:
    worker = RemoteWorker(JobId("twice", 30), lambda messages: None)
    worker.keep(OpenSource("twice", None), MemorySource(RUNS, group_size=len(RUNS)))
    yield worker
    worker.close()


@pytest.fixture
def unit(tmp_path: Path) -> ExportUnit:
    dataset, source = Dataset(tmp_path / "data", tmp_path / "files"), MemorySource(RUNS)
    plans = tuple(
        plan_run(dataset, run, AttributeSelection(), source.version, force=False)
        for run in source.runs("acme/vision", RunSelection())
    )
    places = dataset.data.location, dataset.file_storage.location
    return ExportUnit(OpenSource("twice", None), plans, *places)


def rows(unit: ExportUnit) -> dict[str, int]:
    return {run.key.run_id: run.row_count() for run in Dataset(unit.data_path, unit.files_path).runs()}


def test_two_tries_at_once_end_with_each_run_once(unit: ExportUnit, worker: RemoteWorker) -> None:
    with ThreadPoolExecutor(2) as both:
        first, second = both.map(lambda _: run_unit(unit, worker), range(2))
    assert first.published == second.published == len(RUNS)
    assert rows(unit) == {run.key.run_id: 1 for run in RUNS}


def test_a_run_that_another_worker_still_writes_is_left_to_it_and_named(
    unit: ExportUnit, worker: RemoteWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_group, "_WAIT_FOR_OTHERS", 0.0)
    other = Dataset(unit.data_path, unit.files_path)
    with other.writing([RUNS[1].key], 0.0) as busy:
        assert not busy
        result = run_unit(unit, worker)
    assert (result.published, result.unpublished) == (3, 1)
    (failure,) = result.failures
    assert failure.run == RUNS[1].key
    assert failure.message == "another worker is still writing it: export again"
    assert RUNS[1].key.run_id not in rows(unit)
    assert run_unit(replace(unit, plans=unit.plans[1:2]), worker).published == 1
    assert len(rows(unit)) == len(RUNS)
