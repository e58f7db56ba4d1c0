"""Runs that are published together, and a publication that fails without a kill."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, TimeoutError, wait
from functools import partial
from pathlib import Path

import pyarrow.compute as pc
import pytest

from neptune_exporter.contract import AttributeSelection, DatasetError, SourceRun
from neptune_exporter.dataset import Dataset, RunChecked, verify
from neptune_exporter.dataset.format.layout import Place
from neptune_exporter.dataset.write.writer import ReadyRun
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.schema import attribute_batch

from .exporting import KEY, export_together, killed

BEFORE = {"A": 1, "B": 4}
AFTER = {"A": 3, "B": 2, "C": 1}
"""More parts than before, fewer, and a new run."""


def key(run_id: str) -> RunKey:
    return RunKey(KEY.project_id, run_id)


def values(folder: Path) -> dict[str, set[float]]:
    """The values that a reader sees of each run that is complete."""
    dataset = Dataset(folder / "data", folder / "files")
    found = {}
    for run in dataset.runs():
        if run.complete:
            parameters = {path: p.value for path, p in run.parameters().items()}
            (file,) = (
                cell["path"]
                for batch in run.batches(columns=["file_value"], attributes=["f"])
                for cell in batch.column(0).to_pylist()
            )
            with run.open_file(file) as stream:
                parameters["f"] = float(stream.read())
            counts = {1.0: BEFORE, 2.0: AFTER}[parameters["f"]]
            assert len(parameters) == 1 + counts[run.key.run_id], "of two exports"
            found[run.key.run_id] = set(parameters.values())
    return found


OLD = {run_id: {1.0} for run_id in BEFORE}
NEW = {run_id: {2.0} for run_id in AFTER}


@pytest.mark.parametrize(
    ("failpoint", "recovered"),
    [
        ("dataset.file-written:3", OLD),
        ("dataset.rows-written:6", OLD),
        ("dataset.part-written:1", OLD),
        ("dataset.part-written:9", OLD),
        ("dataset.pending-written:1", None),
        ("dataset.pending-written:2", None),
        ("dataset.pending-written:3", NEW),
        *((f"dataset.part-renamed:{n}", NEW) for n in (1, 3)),
        *((f"dataset.part-removed:{n}", NEW) for n in (1, 2)),
        *((f"dataset.parts-named:{n}", NEW) for n in (1, 2, 3)),
        *((f"dataset.before-receipt:{n}", NEW) for n in (1, 2, 3)),
        *((f"dataset.published:{n}", NEW) for n in (1, 2, 3)),
    ],
)
def test_killed_while_several_are_published(
    tmp_path: Path, failpoint: str, recovered: dict[str, set[float]] | None
) -> None:
    """Each is the old or the new one; from its pending receipt on it can only become the new one."""
    export_together(tmp_path, 1.0, BEFORE)
    assert values(tmp_path) == OLD
    assert killed(failpoint, "export_together", tmp_path, 2.0, AFTER)
    for run_id, seen in values(tmp_path).items():
        assert seen in (OLD.get(run_id), NEW[run_id])

    dataset = Dataset(tmp_path / "data", tmp_path / "files")
    with dataset.lock():
        finished = dataset.recover().finished
    found = values(tmp_path)
    if recovered is None:  # they are ready in any order
        assert len(finished) == int(failpoint[-1])
        recovered = {**OLD, **{done.run_id: {2.0} for done in finished}}
    assert found == recovered
    assert not [p for p in tmp_path.rglob("*") if p.name.endswith((".tmp", ".pending.parquet"))]

    export_together(tmp_path, 2.0, AFTER)
    assert values(tmp_path) == NEW
    assert [f for f in verify(dataset) if not isinstance(f, RunChecked)] == []


def test_a_publication_that_fails_is_finished_by_the_next_export(tmp_path: Path) -> None:
    """The disk refuses one receipt of three. What is written stays, and none has to be read again."""
    dataset = Dataset(tmp_path / "data", tmp_path / "files")
    in_the_way = dataset.data_path / Place.of(key("B")).receipt
    (in_the_way / "something").mkdir(parents=True)
    with pytest.raises(DatasetError, match="cannot be renamed"):
        export_together(tmp_path, 2.0, AFTER)
    seen = values(tmp_path)
    assert "B" not in seen
    pending = list(dataset.data_path.rglob("*.pending.parquet"))
    assert len(pending) == 3 - len(seen) > 0

    (in_the_way / "something").rmdir()
    in_the_way.rmdir()
    with dataset.lock():
        recovery = dataset.recover()
    assert {each.run_id for each in recovery.finished} == AFTER.keys() - seen.keys()
    assert values(tmp_path) == NEW
    assert not [p for p in tmp_path.rglob("*") if p.name.endswith((".tmp", ".pending.parquet"))]


def test_a_run_whose_publication_failed_can_be_written_again(tmp_path: Path) -> None:
    dataset = Dataset(tmp_path / "data", tmp_path / "files")
    in_the_way = dataset.data_path / Place.of(KEY).pending
    in_the_way.mkdir(parents=True)
    writer = dataset.writer(KEY)
    with pytest.raises(DatasetError, match="cannot be renamed"):
        writer.publish(SourceRun(KEY), "test 1", [AttributeSelection()])
    writer.abandon()
    in_the_way.rmdir()
    dataset.recover()
    dataset.writer(KEY).publish(SourceRun(KEY), "test 1", [AttributeSelection()])
    run = dataset.run(KEY)
    assert run is not None
    assert run.complete


class _Held:
    """A dataset in which one run, `slow`, is being written until it is let go."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self.go_on = threading.Event()
        self.fails = False
        self.threads: dict[str, threading.Thread] = {}
        """Which thread has written a run."""
        self.slow = dataset.publish(partial(self._prepare, "slow"))

    def publish(self, run_id: str, values: int = 1, *, small: bool = False) -> Future[None]:
        return self._dataset.publish(partial(self._prepare, run_id, values), small=small)

    def _prepare(self, run_id: str, values: int = 1) -> ReadyRun:
        self.threads[run_id] = threading.current_thread()
        if run_id == "slow":
            assert self.go_on.wait(60)
            if self.fails:
                raise DatasetError("it fails")
        writer = self._dataset.writer(key(run_id))
        column = {"float_value": pc.random(values, initializer=1)}
        writer.write(attribute_batch("x", AttributeType.FLOAT_SERIES, column))
        return writer.prepare(SourceRun(writer.key), "test 1", [AttributeSelection()])


@pytest.fixture
def held(dataset: Dataset) -> Iterator[_Held]:
    held = _Held(dataset)
    yield held
    held.go_on.set()
    wait([held.slow], 60)


def test_a_small_run_is_written_at_once_and_its_error_is_raised_where_it_is_asked_for(held: _Held) -> None:
    small = held.publish("small", small=True)
    assert held.threads["small"] is threading.current_thread()
    again = held.publish("small", small=True)  # which is being written already
    assert isinstance(again.exception(60), DatasetError)
    held.go_on.set()
    small.result(60)


@pytest.mark.parametrize("fails", [False, True])
def test_a_small_run_waits_for_the_one_that_is_being_written(held: _Held, fails: bool) -> None:
    """And is published all the same if that one comes to nothing."""
    held.fails = fails
    small = held.publish("small")
    with pytest.raises(TimeoutError):
        small.result(0.3)
    held.go_on.set()
    small.result(60)
    assert isinstance(held.slow.exception(60), DatasetError) == fails


def test_enough_runs_or_a_large_one_do_not_wait_for_a_slow_one(held: _Held) -> None:
    for visible in [held.publish(f"small-{n}") for n in range(8)]:
        visible.result(60)
    held.publish("large", 1_000_000).result(60)
    assert not held.slow.done()
