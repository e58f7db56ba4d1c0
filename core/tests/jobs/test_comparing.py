"""Comparisons of several runs at once: in the order of the runs, with every failure told."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest

from neptune_exporter.contract import (
    AuthenticationError,
    Comparison,
    DatasetError,
    ExportedRun,
    LoadOptions,
    NoSettings,
    SinkCapabilities,
    SinkError,
    SinkSpec,
    Verdict,
)
from neptune_exporter.dataset import Dataset
from neptune_exporter.jobs.load import LoadJobOptions
from neptune_exporter.jobs.load_run import CompareUnit, compare_run
from neptune_exporter.jobs.opening import OpenSink
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.jobs.verify import VerifyResult, verify_sink
from neptune_exporter.testing.memory_sink import MemorySink, MemoryTarget

from .test_load import VERIFYING, dataset, load, run_of

NAMES = ("a", "b", "c", "d")


class Comparing(MemorySink):
    """Compares at most two runs at once, both of which wait for each other."""

    def __init__(self, together: int) -> None:
        super().__init__(target=MemoryTarget())
        self.errors: dict[str, BaseException] = {}
        self.interrupted = False
        self._together = threading.Barrier(together)

    def verify(self, run: ExportedRun, *, full: bool = False) -> Iterator[Comparison]:
        self._together.wait(20)
        if error := self.errors.get(run.key.run_id):
            raise error
        yield Comparison(run.key, "points of loss", Verdict.LOST)

    def interrupt(self) -> None:
        self.interrupted = True
        self._together.abort()


def compare(
    sink: MemorySink, folder: Path, workers: int, capabilities: SinkCapabilities = VERIFYING
) -> VerifyResult:
    spec = SinkSpec("memory", "in memory", lambda settings, load: sink, NoSettings, capabilities)
    options = LoadJobOptions(folder / "data", folder / "files", workers=workers)
    return verify_sink(spec, NoSettings(), options, full=False, progress=Progress())


def compared(comparisons: Iterable[Comparison]) -> list[str]:
    return [comparison.run.run_id for comparison in comparisons]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    dataset(tmp_path, [run_of(name) for name in NAMES])
    return tmp_path


def test_several_runs_are_compared_at_once_and_told_in_order(folder: Path) -> None:
    assert compared(compare(Comparing(2), folder, workers=2).comparisons) == list(NAMES)


def test_a_load_checks_several_runs_at_once(folder: Path) -> None:
    assert compared(load(Comparing(4), folder, workers=4).comparisons) == list(NAMES)


def test_a_sink_may_allow_one_at_a_time(folder: Path) -> None:
    capabilities = SinkCapabilities(verifies=True, max_workers=1)
    assert compared(compare(Comparing(1), folder, 4, capabilities).comparisons) == list(NAMES)


def test_a_run_that_cannot_be_compared_does_not_stop_the_others(folder: Path) -> None:
    sink = Comparing(2)
    sink.errors["b"] = SinkError("HTTP 503")
    result = compare(sink, folder, workers=2)
    assert compared(result.comparisons) == ["a", "c", "d"]
    assert [(key.run_id, message) for key, message in result.failed] == [("b", "HTTP 503")]
    assert result.runs_checked == len(NAMES) and not result.whole


@pytest.mark.parametrize("error", [AuthenticationError("the key was refused"), KeyboardInterrupt()])
@pytest.mark.parametrize("loading", [False, True])
def test_refused_credentials_and_interruptions_end_it(
    folder: Path, error: BaseException, loading: bool
) -> None:
    sink = Comparing(2)
    sink.errors["b"] = error
    with pytest.raises(type(error)):
        if loading:
            load(sink, folder, workers=2)
        else:
            compare(sink, folder, workers=2)
    assert sink.interrupted, "comparisons in other threads are not told"


@pytest.mark.parametrize("elsewhere", [False, True], ids=["threads", "processes"])
def test_a_receipt_that_cannot_be_read_is_not_said_to_have_changed(folder: Path, elsewhere: bool) -> None:
    min((folder / "data").rglob("*.receipt.parquet")).write_bytes(b"PAR1 cut short")
    run = next(run for run in Dataset(folder / "data", folder / "files").runs() if run.problems)
    unit = CompareUnit(run, OpenSink("memory", None, LoadOptions()))
    with pytest.raises(DatasetError, match=r"^\S+\.receipt\.parquet is damaged"):
        compare_run(copy.copy(unit) if elsewhere else unit, Mock())  # by __reduce__, as pickle
