"""Exports of other tools that were not carried to their end: told, never deleted, never taken for whole."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from neptune_exporter.contract import AttributeSelection, SourceRun
from neptune_exporter.dataset import Dataset, Stays, summarise
from neptune_exporter.dataset.format.local_storage import LocalStorage
from neptune_exporter.model import AttributeClass, RunKey
from neptune_exporter.testing import old_layout

from .exporting import killed
from .writing import ALL, KEY, points, problems, publish, series, write

PATHS = ("a", "b", "c")


def their_parts(dataset: Dataset) -> list[Path]:
    """A run in three parts, each with three points of one series."""
    batches = [series(path, [1.0, 2.0, 3.0]) for path in PATHS]
    return old_layout.write_run(dataset.data_path, KEY, batches, part_bytes=1)


def unfinished(part: Path) -> Path:
    return part.rename(part.with_name(part.name + ".tmp"))


def state(dataset: Dataset) -> tuple[str, str]:
    (run,) = summarise(dataset).projects[0].runs
    return run.state, " ".join(run.problems)


def paths(dataset: Dataset) -> list[str]:
    return sorted({path for path, _, _ in points(dataset)})


def test_parts_that_another_tool_did_not_finish_are_kept_and_told(dataset: Dataset) -> None:
    parts = [unfinished(part) for part in their_parts(dataset)]
    parts[2].write_bytes(parts[2].read_bytes()[:100])
    other = write_other(dataset)
    assert dataset.recover().deleted == () and all(part.exists() for part in parts)
    assert dataset.folder(KEY).listed.exists and dataset.folder(other).receipt is not None
    run = dataset.run(KEY)
    assert run is not None and not run.complete
    found, problem = next((r.state, r.problems) for r in summarise(dataset).projects[0].runs if r.key == KEY)
    assert found == "incomplete"
    assert "3 rows can be read (name it RUN-1-549fcb30a0f06072_part_0.parquet to have them)" in problem[0]
    assert "cannot be read" in problem[2]
    assert sum("was not finished by the tool" in line for line in problems(dataset)) == 3


def write_other(dataset: Dataset) -> RunKey:
    key = RunKey(KEY.project_id, "RUN-2")
    dataset.writer(key).publish(SourceRun(key), "test 1", ALL)
    return key


def test_only_our_own_temporaries_are_deleted(dataset: Dataset, tmp_path: Path) -> None:
    theirs = unfinished(their_parts(dataset)[0])
    assert killed("dataset.part-written", "export", tmp_path, 1.0, 2)
    (ours,) = dataset.recover().deleted
    assert ours.endswith(".parquet.tmp") and not Path(ours).exists() and theirs.exists()


def test_a_run_with_an_unfinished_part_is_not_whole(dataset: Dataset) -> None:
    unfinished(their_parts(dataset)[2])
    assert state(dataset)[0] == "incomplete"
    (run,) = dataset.runs()
    assert not run.complete


def test_what_was_unfinished_is_a_warning_once_the_run_was_exported_again(dataset: Dataset) -> None:
    part = unfinished(their_parts(dataset)[1])
    write(dataset, series("d", [1.0]), stays=Stays.NOT_DELIVERED)
    assert part.exists() and paths(dataset) == ["a", "c", "d"]
    run = dataset.run(KEY)
    assert run is not None and run.complete
    assert any(f"{part.name} of another tool's export was not finished" in note for note in run.notes)
    (line,) = problems(dataset)
    assert part.name in line and "was exported since" in line


@pytest.mark.parametrize("missing", [0, 1])
def test_a_missing_part_makes_a_run_incomplete(dataset: Dataset, missing: int) -> None:
    their_parts(dataset)[missing].unlink()
    run = dataset.run(KEY)
    assert run is not None and not run.complete
    found, problem = state(dataset)
    assert found == "incomplete" and f"_part_{missing}.parquet is missing" in problem
    assert any(f"_part_{missing}.parquet is missing" in line for line in problems(dataset))


@pytest.mark.parametrize("locked", [False, True])
def test_parts_behind_a_gap_stay_when_something_is_added(dataset: Dataset, locked: bool) -> None:
    their_parts(dataset)[1].unlink()
    if locked:
        with dataset.lock():
            write(dataset, series("d", [1.0]), stays=Stays.NOT_DELIVERED)
    else:
        write(dataset, series("d", [1.0]), stays=Stays.NOT_DELIVERED)
    assert paths(dataset) == ["a", "c", "d"] and problems(dataset) == []
    run = dataset.run(KEY)
    assert run is not None and any("_part_1.parquet" in note and "missing" in note for note in run.notes)


@pytest.mark.parametrize("missing", [0, 1])
def test_nothing_stale_is_left_by_an_export_of_everything(
    dataset: Dataset, tmp_path: Path, missing: int
) -> None:
    their_parts(dataset)[missing].unlink()
    assert dataset.folder(KEY).listed.exists
    write(dataset, series("d", [1.0]))
    assert paths(dataset) == ["d"] and problems(dataset) == []
    assert [p.name for p in dataset.data_path.rglob("*_part_*")] == ["RUN-1-549fcb30a0f06072_part_0.parquet"]


def test_a_killed_export_of_everything_leaves_nothing_stale(dataset: Dataset, tmp_path: Path) -> None:
    last = their_parts(dataset)[2]
    last.rename(last.with_name(last.name.replace("_part_2", "_part_9")))
    assert killed("dataset.pending-written", "export", tmp_path, 1.0, 2)
    dataset.recover()
    assert problems(dataset) == [] and paths(dataset) == []


@pytest.mark.parametrize("during", [Dataset.lock, Dataset.listed_once])
def test_a_project_is_listed_once_for_all_its_runs(
    dataset: Dataset,
    monkeypatch: pytest.MonkeyPatch,
    during: Callable[[Dataset], AbstractContextManager[None]],
) -> None:
    their_parts(dataset)
    listed: list[str] = []
    plain = LocalStorage.list

    def counting(storage: LocalStorage, folder: str = "", **options: bool) -> object:
        if storage is dataset.data:
            listed.append(folder)
        return plain(storage, folder, **options)

    monkeypatch.setattr(LocalStorage, "list", counting)
    with during(dataset):
        for number in range(5):
            key = RunKey(KEY.project_id, f"RUN-{number}")
            assert dataset.folder(key).listed.exists is (key == KEY)
            dataset.writer(key).publish(SourceRun(key), "test 1", ALL, stays=Stays.NOT_DELIVERED)
    assert len(listed) == 1


def test_a_damaged_part_is_set_aside_with_the_publication(dataset: Dataset, tmp_path: Path) -> None:
    parts = their_parts(dataset)
    parts[1].write_bytes(parts[1].read_bytes()[:300])
    writer = dataset.writer(KEY)
    writer.write(series("d", [1.0]))
    writer.prepare(SourceRun(KEY), "test 1", ALL, stays=Stays.NOT_DELIVERED)
    assert parts[1].exists(), "nothing may change before the publication"
    writer.discard()

    assert killed("dataset.pending-written", "export", tmp_path, 1.0, 2, True)
    dataset.recover()
    run = dataset.run(KEY)
    assert run is not None and any("was damaged and is now" in note for note in run.notes)
    assert paths(dataset) == ["a", "c"] and {"p/0", "p/1"} <= run.parameters().keys()
    assert [p.name for p in dataset.data_path.rglob("*.damaged")] == [parts[1].name + ".damaged"]
    publish(dataset.writer(KEY), stays=Stays.NOT_DELIVERED)
    assert paths(dataset) == ["a", "c"] and len(list(dataset.data_path.rglob("*.damaged"))) == 1


def test_what_is_lost_makes_a_run_partial_unless_everything_was_read_anew(dataset: Dataset) -> None:
    their_parts(dataset)[1].unlink()
    only = AttributeSelection(classes=frozenset({AttributeClass.PARAMETERS}))
    dataset.writer(KEY).publish(SourceRun(KEY), "test 1", [only], stays=Stays.NOT_DELIVERED)
    (run,) = dataset.runs()
    assert [(f.attribute_path, f.permanent) for f in run.failures] == [("", True)] and not run.notes
    assert "_part_1.parquet of another tool's export was missing" in run.failures[0].message
    assert state(dataset)[0] == "partial"
