"""What a load keeps in memory of runs that it has not come to, or is done with."""

from __future__ import annotations

import copy
import errno
import pickle
import shutil
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from neptune_exporter.contract import (
    DatasetError,
    ExportedRun,
    LoadedRun,
    LoadOptions,
    NoSettings,
    RunSelection,
    Sink,
    SinkCapabilities,
    SinkSpec,
)
from neptune_exporter.dataset import Dataset
from neptune_exporter.dataset.format import receipts
from neptune_exporter.dataset.format.receipts import Receipt
from neptune_exporter.jobs.export import ExportOptions, export_runs
from neptune_exporter.jobs.load import LoadJobOptions, LoadResult, load_runs
from neptune_exporter.jobs.load_run import LoadUnit, load_run
from neptune_exporter.jobs.opening import OpenSink
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.model import RunKey
from neptune_exporter.sinks.comparing import Held
from neptune_exporter.sinks.found import Found
from neptune_exporter.sinks.loader import Loader
from neptune_exporter.sinks.metadata import RunMetadata
from neptune_exporter.sinks.steps import StepRange
from neptune_exporter.sinks.survey import look_at_steps
from neptune_exporter.testing.memory_sink import MemorySink, MemoryTarget
from neptune_exporter.testing.memory_source import MemorySource, memory_source_spec
from neptune_exporter.testing.runs import SampleAttribute, SampleRun, float_series, parameter

EXISTING = Path(__file__).parents[3] / "tests" / "data" / "existing-export"
RUNS = 8
KEYS = [RunKey("acme/vision", f"RUN-{number}") for number in range(RUNS)]


def export(folder: Path, value: float = 0.5, keys: Sequence[RunKey] = KEYS, *more: SampleAttribute) -> None:
    source = MemorySource([SampleRun(key, (parameter("config/lr", value), *more)) for key in keys])
    options = ExportOptions([keys[0].project_id], folder / "data", folder / "files", force=True)
    assert export_runs(memory_source_spec(source), None, options, Progress()).complete


def load(folder: Path, sink: Sink, **options: Any) -> LoadResult:
    spec = SinkSpec("memory", "", lambda settings, load: sink, NoSettings, SinkCapabilities(verifies=True))
    chosen = LoadJobOptions(folder / "data", folder / "files", workers=1, **options)  # type: ignore[arg-type]
    return load_runs(spec, NoSettings(), chosen, Progress())


@pytest.fixture
def receipts_held(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many receipts are in memory now."""
    made: list[weakref.ref[Receipt]] = []
    parse = receipts._from_json

    def noted(value: object) -> Receipt:
        receipt = parse(value)  # type: ignore[arg-type]
        made.append(weakref.ref(receipt))
        return receipt

    monkeypatch.setattr(receipts, "_from_json", noted)
    return lambda: sum(receipt() is not None for receipt in made)


def test_a_load_keeps_no_receipts_of_other_runs(tmp_path: Path, receipts_held: Callable[[], int]) -> None:
    export(tmp_path)
    held: list[int] = []

    class Counting(MemorySink):
        def load(self, run: ExportedRun, parent: LoadedRun | None) -> LoadedRun:
            loaded = super().load(run, parent)
            held.append(receipts_held())
            return loaded

    result = load(tmp_path, Counting(target=MemoryTarget()))

    assert len(result.loaded) == len(held) == RUNS and not result.comparisons.mismatches
    assert max(held) == 1


class Surveying(Loader):
    """Keeps records only, and counts the receipts that are in memory while each run is loaded."""

    capabilities = SinkCapabilities()

    def __init__(self, receipts_held: Callable[[], int]) -> None:
        super().__init__(LoadOptions())
        self.records: dict[str, str] = {}
        self.held: list[int] = []
        self.receipts_held = receipts_held

    def find(self, mark: str) -> Sequence[Found]:
        return [Found(mark, self.records[mark])] if mark in self.records else []

    def discard(self, target_id: str) -> None:
        del self.records[target_id]

    def begin(self, run: RunMetadata) -> str:
        self.records[run.mark] = ""
        return run.mark

    def parameters(self, *_: object) -> None:
        self.held.append(self.receipts_held())

    def points(self, *_: object) -> None:
        pass

    def file(self, *_: object) -> None:
        pass

    def finish(self, target_id: str, run: RunMetadata, record: str) -> None:
        self.replace_record(target_id, record)

    def replace_record(self, target_id: str, record: str) -> None:
        self.records[target_id] = record

    def read_back(self, target_id: str) -> Held:
        raise NotImplementedError


def test_a_survey_of_fractional_steps_leaves_no_receipts(
    tmp_path: Path, receipts_held: Callable[[], int]
) -> None:
    export(tmp_path, 0.5, KEYS, float_series("loss", [(0.5, 1.0)]))
    sink = Surveying(receipts_held)

    chosen = RunSelection(ids=frozenset(key.run_id for key in KEYS[:4]))
    result = load(tmp_path, sink, runs=chosen, verify=False)

    assert (len(result.loaded), sink.held) == (4, [1] * 4)


def test_a_survey_of_a_run_without_series_reads_nothing(tmp_path: Path) -> None:
    export(tmp_path)
    run = next(Dataset(tmp_path / "data", tmp_path / "files").runs())
    run.forget()
    (tmp_path / "data" / run.place.receipt).unlink()

    assert look_at_steps(run, StepRange()).multiplier == 1


def test_a_run_that_is_exported_again_during_its_load_does_not_stop_the_others(tmp_path: Path) -> None:
    """As a run that another process loads: this one has forgotten its receipt."""
    export(tmp_path)

    class Meanwhile(MemorySink):
        def load(self, run: ExportedRun, parent: LoadedRun | None) -> LoadedRun:
            loaded = super().load(run, parent)
            if run.key == KEYS[0]:
                run.forget()  # type: ignore[attr-defined]
                export(tmp_path, 0.25, KEYS[:1])
            return loaded

    result = load(tmp_path, Meanwhile(target=MemoryTarget()), verify=False)

    assert len(result.loaded) == RUNS - 1
    ((key, message),) = result.failed
    assert key == KEYS[0] and "exported again, or removed, since this command began" in message


@pytest.mark.parametrize("elsewhere", [False, True], ids=["threads", "processes"])
@pytest.mark.parametrize("by_another_tool", [False, True])
def test_a_run_that_was_exported_again_before_its_turn_is_refused(
    tmp_path: Path, elsewhere: bool, by_another_tool: bool
) -> None:
    """What was decided for it, such as the multiplier of its steps, is of the state before."""
    if by_another_tool:
        shutil.copytree(EXISTING, tmp_path, dirs_exist_ok=True)
    else:
        export(tmp_path)
    run = next(Dataset(tmp_path / "data", tmp_path / "files").runs())
    run.forget()
    unit = LoadUnit(run, OpenSink("memory", None, LoadOptions()))
    unit = copy.copy(unit) if elsewhere else unit  # by __reduce__, as pickle
    export(tmp_path, 0.25, [run.key])

    with pytest.raises(DatasetError, match="it was exported again, or removed, since this command began"):
        load_run(unit, Mock())


def test_a_run_that_was_forgotten_reads_its_receipt_again(tmp_path: Path) -> None:
    export(tmp_path)
    run = next(Dataset(tmp_path / "data", tmp_path / "files").runs())
    before = run.receipt, run.counts(), run.fingerprint, run.parent(), run.row_count()

    run.forget()

    assert run.complete
    assert (run.receipt, run.counts(), run.fingerprint, run.parent(), run.row_count()) == before


def test_a_run_that_was_exported_again_meanwhile_is_not_the_run_that_was_forgotten(tmp_path: Path) -> None:
    export(tmp_path)
    run = next(Dataset(tmp_path / "data", tmp_path / "files").runs())
    run.forget()

    export(tmp_path, value=0.25)

    with pytest.raises(DatasetError, match="it was exported again, or removed, since this command began"):
        run.counts()
    assert pickle.dumps(LoadUnit(run, OpenSink("memory", None, LoadOptions())))  # its process reports it
    assert run.listed.has_receipt


def test_a_receipt_that_can_no_longer_be_read_is_not_said_to_have_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(tmp_path)
    dataset = Dataset(tmp_path / "data", tmp_path / "files")
    run = next(dataset.runs())
    run.forget()

    def refuse(path: str) -> bytes:
        with dataset.data.errors(path, "read"):  # type: ignore[attr-defined]
            raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(dataset.data, "read", refuse)
    with pytest.raises(DatasetError, match="cannot be read: Permission denied"):
        run.counts()
