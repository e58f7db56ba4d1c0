"""What a load keeps in memory of runs that it has not come to, or is done with."""

from __future__ import annotations

import weakref
from pathlib import Path

import pytest

from neptune_exporter.contract import (
    DatasetError,
    ExportedRun,
    LoadedRun,
    NoSettings,
    SinkCapabilities,
    SinkSpec,
)
from neptune_exporter.dataset import Dataset
from neptune_exporter.dataset.format import receipts
from neptune_exporter.dataset.format.publication import receipt_again
from neptune_exporter.dataset.format.receipts import Receipt
from neptune_exporter.jobs.export import ExportOptions, export_runs
from neptune_exporter.jobs.load import LoadJobOptions, load_runs
from neptune_exporter.jobs.progress import NoProgress
from neptune_exporter.model import RunKey
from neptune_exporter.testing.memory_sink import MemorySink, MemoryTarget
from neptune_exporter.testing.memory_source import MemorySource, memory_source_spec
from neptune_exporter.testing.runs import SampleRun, parameter

RUNS = 8


def export(folder: Path, value: float = 0.5) -> None:
    keys = [RunKey("acme/vision", f"RUN-{number}") for number in range(RUNS)]
    source = MemorySource([SampleRun(key, (parameter("config/lr", value),)) for key in keys])
    options = ExportOptions(["acme/vision"], folder / "data", folder / "files", force=True)
    assert export_runs(memory_source_spec(source), None, options, NoProgress()).complete


def test_a_load_keeps_no_receipts_of_other_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(tmp_path)
    made: list[weakref.ref[Receipt]] = []
    parse = receipts._from_json

    def noted(value: object) -> Receipt:
        receipt = parse(value)  # type: ignore[arg-type]
        made.append(weakref.ref(receipt))
        return receipt

    class Counting(MemorySink):
        def load(self, run: ExportedRun, parent: LoadedRun | None) -> LoadedRun:
            loaded = super().load(run, parent)
            receipt_again.cache_clear()
            held.append(sum(receipt() is not None for receipt in made))
            return loaded

    held: list[int] = []
    monkeypatch.setattr(receipts, "_from_json", noted)
    sink = Counting(target=MemoryTarget())
    spec = SinkSpec("memory", "", lambda settings, load: sink, NoSettings, SinkCapabilities(verifies=True))
    options = LoadJobOptions(tmp_path / "data", tmp_path / "files", workers=1)  # type: ignore[arg-type]

    result = load_runs(spec, NoSettings(), options, NoProgress())

    assert len(result.loaded) == len(held) == RUNS and not result.mismatches
    assert len(made) > RUNS and max(held) <= 1


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

    with pytest.raises(DatasetError, match="has changed since the job began: run it again"):
        run.counts()
