"""The index of receipts: it spares opening them, and counts for nothing where they changed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from neptune_exporter.contract import SourceRun
from neptune_exporter.dataset import Dataset, summarise
from neptune_exporter.dataset.format.layout import Place
from neptune_exporter.dataset.format.receipts import Receipt
from neptune_exporter.model import RunKey

from .writing import ALL, series

RUNS = 21
HOUR = 3600 * 10**9


def make(dataset: Dataset, runs: int = RUNS) -> None:
    """Runs whose receipts are an hour old, and their index."""
    for number in range(runs):
        key = RunKey("org/project", f"RUN-{number}")
        writer = dataset.writer(key)
        writer.write(series("loss", [1.0]))
        writer.publish(SourceRun(key, name=f"old {number}"), "test 1", ALL)
        age(receipt_path(dataset, number))
    dataset.index_receipts()


def receipt_path(dataset: Dataset, number: int) -> Path:
    return dataset.data_path / Place.of(RunKey("org/project", f"RUN-{number}")).receipt


def index_path(dataset: Dataset) -> Path:
    return receipt_path(dataset, 0).with_name("index.parquet")


def age(path: Path, nanoseconds: int = HOUR) -> None:
    then = time.time_ns() - nanoseconds
    os.utime(path, ns=(then, then))


def names(dataset: Dataset) -> dict[str, str | None]:
    return {run.key.run_id: run.name for project in summarise(dataset).projects for run in project.runs}


def renamed(path: Path) -> bytes:
    """The receipt with another name of the run, just as long."""
    content = Receipt.from_bytes(path.read_bytes(), "").to_json().replace(b'"old 3"', b'"new 3"')
    return Receipt.from_json(content, "").to_bytes()


def test_a_summary_takes_from_the_index_what_the_listing_shows_unchanged(dataset: Dataset) -> None:
    """Seen by a change that a listing cannot show. What reads receipts for more than an overview sees it."""
    make(dataset)
    path = receipt_path(dataset, 3)
    changed = path.stat().st_mtime_ns
    path.write_bytes(renamed(path))
    os.utime(path, ns=(changed, changed))
    assert names(dataset) == {f"RUN-{number}": f"old {number}" for number in range(RUNS)}
    read = {run.key.run_id: run.receipt.name for run in dataset.runs() if run.receipt}
    assert read["RUN-3"] == "new 3"


def test_a_receipt_that_changed_is_read_though_the_index_has_it(dataset: Dataset) -> None:
    make(dataset)
    path = receipt_path(dataset, 3)
    path.write_bytes(renamed(path))
    receipt_path(dataset, 4).write_bytes(b"PAR1 nothing PAR1")
    receipt_path(dataset, 5).unlink()
    runs = {run.key.run_id: run for project in summarise(dataset).projects for run in project.runs}
    assert runs["RUN-3"].name == "new 3"
    assert runs["RUN-4"].state == "damaged"
    assert runs["RUN-5"].state == "incomplete"  # nothing tells whether it is whole
    assert runs["RUN-6"].name == "old 6"


def test_what_changed_just_now_is_not_indexed(dataset: Dataset) -> None:
    """It might change once more without a trace in its time: some disks know only every other second."""
    make(dataset)
    receipt_path(dataset, 3).touch()
    dataset.index_receipts()
    assert b'"old 3"' not in index_path(dataset).read_bytes()
    assert b'"old 4"' in index_path(dataset).read_bytes()
    assert names(dataset)["RUN-3"] == "old 3"


@pytest.mark.parametrize(
    "harm",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content.replace(b'"old 3"', b'"new 3"'),
        lambda content: b"",
    ],
)
def test_a_damaged_index_is_none(dataset: Dataset, harm: Callable[[bytes], bytes]) -> None:
    make(dataset)
    index_path(dataset).write_bytes(harm(index_path(dataset).read_bytes()))
    assert names(dataset) == {f"RUN-{number}": f"old {number}" for number in range(RUNS)}


def test_an_index_follows_its_receipts(dataset: Dataset) -> None:
    make(dataset)
    assert b'"old 3"' in index_path(dataset).read_bytes()
    receipt_path(dataset, 3).unlink()
    dataset.index_receipts()
    assert index_path(dataset).exists() and b'"old 3"' not in index_path(dataset).read_bytes()
    before = index_path(dataset).stat().st_mtime_ns
    dataset.index_receipts()
    assert index_path(dataset).stat().st_mtime_ns == before  # nothing changed


def test_few_receipts_need_no_index(dataset: Dataset) -> None:
    make(dataset, runs=3)
    assert not index_path(dataset).exists()


def test_other_tools_find_no_rows_in_the_index(dataset: Dataset) -> None:
    make(dataset)
    assert pq.read_table(index_path(dataset)).num_rows == 0
