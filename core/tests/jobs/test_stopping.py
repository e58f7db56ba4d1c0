"""What an export that is to end still asks its source for: nothing."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from neptune_exporter.contract import (
    AttributeSelection,
    FileWriter,
    ReadEvent,
    RunRequest,
    RunSelection,
    SourceError,
)
from neptune_exporter.dataset import Dataset
from neptune_exporter.jobs import export
from neptune_exporter.jobs.executors import Worker
from neptune_exporter.jobs.executors.threads import Threads
from neptune_exporter.jobs.export_group import ExportUnit, run_unit
from neptune_exporter.jobs.opening import OpenSource
from neptune_exporter.jobs.planning import plan_run
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.model import RunKey
from neptune_exporter.testing.memory_source import MemorySource, memory_source_spec
from neptune_exporter.testing.runs import SampleRun, parameter

RUNS = [SampleRun(RunKey("acme/vision", f"RUN-{n}"), (parameter("lr", 0.1),)) for n in range(8)]


class StoppedMeanwhile(MemorySource):
    """Refuses groups, and is told to end while its first run is read alone."""

    def __init__(self) -> None:
        super().__init__(RUNS, group_size=len(RUNS))
        self.stop = threading.Event()
        self.asked: list[int] = []

    def read(self, group: Sequence[RunRequest], files: FileWriter) -> Iterator[ReadEvent]:
        self.asked.append(len(group))
        if len(group) > 1:
            raise SourceError("not all at once")
        self.stop.set()
        yield from super().read(group, files)


@pytest.mark.parametrize(("begun", "asked"), [(True, [8, 1]), (False, [])])
def test_nothing_is_asked_for_once_it_is_to_end(tmp_path: Path, begun: bool, asked: list[int]) -> None:
    source = StoppedMeanwhile()
    if not begun:
        source.stop.set()
    dataset = Dataset(tmp_path / "data", tmp_path / "files")
    plans = tuple(
        plan_run(dataset, run, AttributeSelection(), source.version, force=False)
        for run in source.runs("acme/vision", RunSelection())
    )
    opening, worker = OpenSource("stopping", None), Worker(stop=source.stop)
    worker.keep(opening, source)
    unit = ExportUnit(opening, plans, dataset.data.location, dataset.file_storage.location)
    result = run_unit(unit, worker)
    assert source.asked == asked
    assert (result.published, result.unpublished) == (0, 0)  # no failures: the interruption is what is told
    assert list(dataset.runs()) == []


def test_ctrl_c_ends_a_group_that_is_read_run_by_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, interrupted, ending = threading.Event(), threading.Event(), threading.Event()
    first_done = export.first_done

    def interrupt_once(running: Collection[Future[Any]]) -> tuple[set[Future[Any]], set[Future[Any]]]:
        if interrupted.is_set():
            return first_done(running)
        assert reading.wait(20)
        interrupted.set()
        raise KeyboardInterrupt

    class Slow(MemorySource):
        asked = 0

        def read(self, group: Sequence[RunRequest], files: FileWriter) -> Iterator[ReadEvent]:
            if len(group) > 1:
                raise SourceError("not all at once")
            self.asked += 1
            reading.set()
            assert ending.wait(10)
            yield from super().read(group, files)

    stop = Threads.stop

    def ends(threads: Threads) -> None:
        stop(threads)
        ending.set()

    monkeypatch.setattr(Threads, "stop", ends)
    monkeypatch.setattr(export, "first_done", interrupt_once)
    source = Slow(RUNS, group_size=3)  # more groups than wait at once: it comes while they are handed out
    options = export.ExportOptions((), tmp_path / "data", tmp_path / "files", workers=1)
    with pytest.raises(KeyboardInterrupt):
        export.export_runs(memory_source_spec(source), None, options, Progress())
    assert source.asked == 1
    assert list(Dataset(tmp_path / "data", tmp_path / "files").runs()) == []
