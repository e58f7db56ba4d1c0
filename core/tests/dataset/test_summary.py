"""What a summary tells, and what it takes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from neptune_exporter.contract import (
    AttributeFailure,
    AttributeSelection,
    SourceRun,
    StepStatistics,
    TypeCount,
)
from neptune_exporter.dataset import Dataset, summarise
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.schema import attribute_batch, step_columns
from neptune_exporter.testing import old_layout

KEY = RunKey("acme/standard", "RUN-1")
SMALL = old_layout.Shape(metrics=3, steps=300, parameters=40, lines=20, histograms=4, files=5, batch_rows=200)

WITHOUT_PANDAS = """
import sys
from neptune_exporter.dataset import Dataset, summarise
summary = summarise(Dataset(sys.argv[1] + "/data", sys.argv[1] + "/files"))
assert [len(project.runs) for project in summary.projects] == [2]
assert "pandas" not in sys.modules
"""


def test_with_and_without_receipts_the_numbers_are_the_same(dataset: Dataset, tmp_path: Path) -> None:
    old = Dataset(tmp_path / "old" / "data", tmp_path / "old" / "files")
    old_layout.standard(old.data_path, old.files_path, runs=1, shape=SMALL)
    writer = dataset.writer(KEY)
    for batch in old_layout.run_batches(KEY, 0, SMALL):
        writer.write(batch)
    writer.publish(SourceRun(KEY), "test 1", [AttributeSelection()])
    one, other = (summarise(d).projects[0].runs[0] for d in (dataset, old))
    assert (one.key, one.types) == (other.key, other.types)
    assert one.steps == replace(other.steps, whole=True)  # which only their writer looks at
    assert (one.first_time, one.last_time) == (other.first_time, other.last_time)
    assert (one.files, other.files) == (0, 5)  # none of the first was stored
    assert one.steps == StepStatistics(0, 299, 300, whole=True)
    assert one.types[AttributeType.FLOAT_SERIES] == TypeCount(3, 900)
    assert other.file_bytes == sum(p.stat().st_size for p in old.files_path.rglob("*") if p.is_file())
    assert other.data_bytes == sum(p.stat().st_size for p in old.data_path.rglob("*.parquet"))
    assert (one.source, other.source, other.state) == ("test 1", None, "complete")
    assert (one.name, one.tags) == (None, ("RUN-1", "baseline"))
    assert (other.name, other.tags) == ("experiment RUN-1", ("RUN-1", "baseline"))
    assert (one.state, one.problems) == (
        "damaged",
        ["5 of its 5 files are missing: " + one.problems[0].partition(": ")[2]],
    )  # none was stored


def test_steps_are_those_of_the_longest_series_and_count_once(dataset: Dataset) -> None:
    """Of three metrics, and not of their rows: a person who trained for 4 steps did not train for 11."""
    writer = dataset.writer(KEY)
    for path, steps in {"loss": [0, 1, 1, 2, 3, 3], "accuracy": [1, 2, 3], "slow": [0, 1e15]}.items():
        given = step_columns(pa.array([float(step) for step in steps]))
        values = pa.array([0.5] * len(steps))
        batch = attribute_batch(path, AttributeType.FLOAT_SERIES, {**given, "float_value": values})
        for start in range(0, len(steps), 2):  # as pages come
            writer.write(batch.slice(start, 2))
    writer.write(attribute_batch("lr", AttributeType.FLOAT, {"float_value": pa.array([0.1])}))
    assert writer.publish(SourceRun(KEY), "test 1", [AttributeSelection()]).steps.count == 4
    assert summarise(dataset).projects[0].runs[0].steps == StepStatistics(0, 1e15, 4)


def test_a_run_with_failures_is_partial(dataset: Dataset) -> None:
    writer = dataset.writer(KEY)
    steps = step_columns(pa.array([0.5, 1e15]))
    values = {"float_value": pa.array([1.0, 2.0])}
    writer.write(attribute_batch("a", AttributeType.FLOAT_SERIES, steps | values))
    writer.fail(AttributeFailure(KEY, "b", None, "no"))
    writer.publish(SourceRun(KEY, notes=("a note",)), "test 1", [AttributeSelection()])
    (run,) = summarise(dataset).projects[0].runs
    assert (run.state, run.failures, run.notes) == ("partial", 1, ("a note",))
    assert run.steps == StepStatistics(0.5, 1e15, 2)


def test_a_part_that_is_gone_is_damage(dataset: Dataset) -> None:
    dataset.writer(KEY).publish(SourceRun(KEY), "test 1", [AttributeSelection()])
    next(dataset.data_path.rglob("*_part_0.parquet")).unlink()
    (run,) = summarise(dataset).projects[0].runs
    assert run.state == "damaged" and "_part_0.parquet is missing" in run.problems[0]


def test_nothing_there(tmp_path: Path) -> None:
    summary = summarise(Dataset(tmp_path / "nowhere", tmp_path / "files"))
    assert summary.projects == [] and "nowhere is not there" in summary.problems[0]
    assert not (tmp_path / "nowhere").exists()


def test_no_pandas_is_imported(tmp_path: Path) -> None:
    old_layout.standard(tmp_path / "data", tmp_path / "files", runs=2, shape=SMALL)
    command = [sys.executable, "-c", WITHOUT_PANDAS, str(tmp_path)]
    subprocess.run(command, check=True, timeout=120)
