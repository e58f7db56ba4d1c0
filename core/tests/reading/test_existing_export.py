"""What the public tool exported, read through `open_dataset`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import neptune_exporter
from neptune_exporter.contract import DatasetError
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.reading import ExportedDataset

EXISTING = Path(__file__).parents[3] / "tests" / "data" / "existing-export"


@pytest.fixture
def existing() -> ExportedDataset:
    return neptune_exporter.open_dataset(EXISTING)


@pytest.mark.parametrize("path", [EXISTING, EXISTING / "data"])
def test_either_folder_opens_it(path: Path) -> None:
    assert neptune_exporter.open_dataset(path).list_projects() == ["acme/legacy", "acme/vision"]


def test_a_folder_that_is_not_there() -> None:
    with pytest.raises(DatasetError, match="nowhere is not there"):
        neptune_exporter.open_dataset("nowhere")


def test_importing_it_imports_no_pyarrow() -> None:
    code = "import sys, neptune_exporter; neptune_exporter.open_dataset; assert 'pyarrow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_runs_and_parameters(existing: ExportedDataset) -> None:
    assert existing.list_runs(project="acme/vision") == ["only-metrics", "run-a", "run-b"]
    assert existing.list_runs(runs="^run-") == ["run-a", "run-b"]
    table = existing.fetch_runs_table(runs=["run-a"], attributes="^config/")
    (row,) = table.to_pylist()
    assert row["project"] == "acme/vision" and row["run"] == "run-a"
    assert sorted(row) == ["config/amp", "config/batch", "config/lr", "config/opt", "project", "run"]


def test_points_in_both_forms(existing: ExportedDataset) -> None:
    long = existing.fetch_metrics(project="acme/vision", attributes=["train/loss", "train/acc"])
    assert sorted(set(long.column("attribute").to_pylist())) == ["train/acc", "train/loss"]
    wide = existing.fetch_metrics(project="acme/vision", attributes=["train/loss", "train/acc"], form="wide")
    for attribute in ("train/loss", "train/acc"):
        cells = [
            (row["run"], row["step"], row[attribute])
            for row in wide.to_pylist()
            if row[attribute] is not None
        ]
        points = [
            (row["run"], row["step"], row["value"])
            for row in long.to_pylist()
            if row["attribute"] == attribute
        ]
        assert repr(cells) == repr(points) and len(cells) > 1000


def test_a_range_and_an_end(existing: ExportedDataset) -> None:
    table = existing.fetch_metrics(runs=["run-a"], attributes=["train/loss"], step_range=(3, 9), tail_limit=2)
    assert table.column("step").to_pylist() == [8.0, 9.0]


def test_a_view_of_one_run(existing: ExportedDataset) -> None:
    run = existing.run(RunKey("acme/vision", "run-a"))
    assert run is not None and run.why_incomplete() == []
    by_path = {each.path: each for each in run.attributes()}
    loss = by_path["train/loss"]
    whole = sum(map(len, run.series(loss.path, loss.type, columns=["float_value"])))
    assert (loss.type, loss.rows) == (AttributeType.FLOAT_SERIES, whole)
    some = run.series(loss.path, loss.type, step_range=(10, 19.5), columns=["step"], batch_rows=3)
    assert [int(step) for batch in some for step in batch.column(0).to_pylist()] == list(range(10, 20))
