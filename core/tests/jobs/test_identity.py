"""Whose rows the dataset holds, told also where a part is damaged or no receipt says it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from neptune_exporter.contract import AttributeSelection
from neptune_exporter.dataset import Dataset
from neptune_exporter.jobs.planning import Action
from neptune_exporter.model import AttributeClass, AttributeType, RunKey, SysAttribute
from neptune_exporter.schema import SCHEMA, parameter_batch
from neptune_exporter.testing import old_layout
from neptune_exporter.testing.memory_source import MemorySource
from neptune_exporter.testing.runs import FIRST_TIME, SampleAttribute, SampleRun, float_series, parameter

from .test_another_run import Identified, Partly, export, paths

KEY = RunKey("acme/vision", "a")
PARAMETERS = AttributeSelection(classes=frozenset({AttributeClass.PARAMETERS}))
METRICS = AttributeSelection(classes=frozenset({AttributeClass.METRICS}))


def run(number: int, *more: SampleAttribute) -> SampleRun:
    """One of several runs with the same id."""
    attributes = (
        parameter(SysAttribute.ID, f"RUN-{number}"),
        parameter(f"n{number}", number),
        float_series("loss", [(0, number)]),
    )
    return SampleRun(KEY, (*attributes, *more), modified_at=FIRST_TIME + timedelta(days=number))


def source(number: int, *more: SampleAttribute) -> Identified:
    return Identified(run(number, *more), f"RUN-{number}")


def dataset(folder: Path) -> Dataset:
    return Dataset(folder / "data", folder / "files")


def parts(folder: Path) -> list[Path]:
    return sorted((folder / "data").rglob("*_part_*.parquet"))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("harm", [cut, Path.unlink])
@pytest.mark.parametrize("wanted", [AttributeSelection(), PARAMETERS, METRICS])
def test_a_damaged_part_does_not_let_another_run_in(
    tmp_path: Path, wanted: AttributeSelection, harm: Callable[[Path], None]
) -> None:
    for some in (PARAMETERS, AttributeSelection()):
        assert export(source(1), tmp_path, attributes=some).complete
    harm(parts(tmp_path)[1])
    before = {path: path.read_bytes() for path in parts(tmp_path)}
    (failure,) = export(source(2), tmp_path, attributes=wanted).failures
    assert "RUN-1: not RUN-2" in failure.message
    assert {path: path.read_bytes() for path in parts(tmp_path)} == before


@pytest.mark.parametrize("harm", [cut, Path.unlink])
def test_a_damaged_part_does_not_let_in_what_another_source_has(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    assert export(Partly([run(1)]), tmp_path).complete
    harm(parts(tmp_path)[0])
    (failure,) = export(MemorySource([run(1)]), tmp_path).failures
    assert "leftovers 1 exported" in failure.message


@pytest.mark.parametrize("wanted", [AttributeSelection(), METRICS], ids=["all", "metrics"])
def test_where_the_receipt_does_not_tell_the_rows_do(tmp_path: Path, wanted: AttributeSelection) -> None:
    assert export(MemorySource([run(1)]), tmp_path).complete  # it tells no identity
    (failure,) = export(source(7), tmp_path, attributes=wanted).failures
    assert "RUN-1: not RUN-7" in failure.message
    assert paths(tmp_path) == {SysAttribute.ID, "n1", "loss"}
    changed = source(1, parameter("new", 1))
    changed.touch(KEY, FIRST_TIME + timedelta(days=9))
    assert export(changed, tmp_path, attributes=wanted).complete
    receipt = dataset(tmp_path).folder(KEY).receipt
    assert receipt is not None and receipt.identity == "RUN-1"


def test_where_the_rows_that_would_tell_are_damaged_nothing_is_replaced(tmp_path: Path) -> None:
    assert export(MemorySource([run(1)]), tmp_path).complete  # it tells no identity
    cut(parts(tmp_path)[0])
    (failure,) = export(source(1), tmp_path).failures
    assert "cannot be told" in failure.message and "damaged" in failure.message
    assert export(source(1), tmp_path, force=True).complete
    assert export(source(1), tmp_path).projects[0].up_to_date == 1


@pytest.mark.parametrize("wanted", [AttributeSelection(), METRICS], ids=["all", "metrics"])
def test_rows_of_another_tool_tell_of_which_run_they_are(tmp_path: Path, wanted: AttributeSelection) -> None:
    theirs = [("old", AttributeType.INT, 1), (SysAttribute.ID, AttributeType.STRING, "RUN-1")]
    old_layout.write_run(tmp_path / "data", KEY, [parameter_batch(theirs)])
    (failure,) = export(source(2), tmp_path, attributes=wanted).failures
    assert "RUN-1: not RUN-2" in failure.message
    assert paths(tmp_path) == {"old", SysAttribute.ID}
    assert export(source(1), tmp_path, attributes=wanted).complete
    assert "old" in paths(tmp_path)
    assert export(source(2), tmp_path, force=True).complete
    assert paths(tmp_path) == {SysAttribute.ID, "n2", "loss"}


def theirs(folder: Path) -> None:
    """What another tool exported: an attribute that the source has not, and one that it has."""
    rows = [("old", AttributeType.INT, 1), ("n1", AttributeType.INT, 9)]
    old_layout.write_run(folder / "data", KEY, [parameter_batch(rows)])


@pytest.mark.parametrize("exports", [(METRICS, AttributeSelection()), (AttributeSelection(),) * 2])
def test_rows_of_another_tool_stay_until_force_replaces_them(
    tmp_path: Path, exports: tuple[AttributeSelection, ...]
) -> None:
    theirs(tmp_path)
    memory = source(1)
    for wanted in exports:
        assert export(memory, tmp_path, attributes=wanted).complete
        assert "old" in paths(tmp_path)
    for days in (8, 9):
        memory.touch(KEY, FIRST_TIME + timedelta(days=days))
        assert export(memory, tmp_path).complete
        assert "old" in paths(tmp_path)
    assert export(memory, tmp_path, force=True).complete
    assert paths(tmp_path) == {SysAttribute.ID, "n1", "loss"}
    receipt = dataset(tmp_path).folder(KEY).receipt
    assert receipt is not None and receipt.foreign is False


def test_a_damaged_part_of_another_tool_is_told_whatever_was_read(tmp_path: Path) -> None:
    theirs(tmp_path)
    cut(parts(tmp_path)[0])
    memory = MemorySource([run(1)])
    (failure,) = export(memory, tmp_path).failures
    assert "is now" in failure.message and "it is unknown whether" in failure.message
    assert export(memory, tmp_path).complete
    (note,) = next(dataset(tmp_path).runs()).notes
    assert "is now" in note


def test_a_part_replaces_what_another_tool_exported_by_force(tmp_path: Path) -> None:
    theirs(tmp_path)
    part = Partly([run(1)])
    assert not export(part, tmp_path).complete
    assert export(part, tmp_path, force=True).complete
    assert paths(tmp_path) == {SysAttribute.ID, "n1", "loss"}


def test_an_export_whose_receipt_is_damaged_is_not_taken_for_another_tools(tmp_path: Path) -> None:
    assert export(source(1, parameter("gone", 1)), tmp_path).complete
    (receipt,) = (tmp_path / "data").rglob("*.receipt.parquet")
    cut(receipt)
    (planned,) = export(source(1), tmp_path, dry_run=True).planned
    assert (planned.action, planned.reason) == (Action.CHANGED, "its receipt cannot be read")
    assert not export(source(2), tmp_path).complete, "the rows tell of which run they are"
    assert export(source(1), tmp_path).complete
    assert "gone" in paths(tmp_path), "nobody knows where it came from"
    assert export(source(1), tmp_path, force=True).complete
    assert "gone" not in paths(tmp_path)


def test_what_was_lost_is_told_though_the_run_then_fails_as_a_whole(tmp_path: Path) -> None:
    memory = source(1)
    for wanted in (PARAMETERS, AttributeSelection()):
        assert export(memory, tmp_path, attributes=wanted).complete
    parts(tmp_path)[1].unlink()
    memory.fail_attribute(KEY, "", times=1)
    assert [f.lost for f in export(memory, tmp_path).failures] == [False, True]
    assert export(memory, tmp_path).complete
    assert paths(tmp_path) == {SysAttribute.ID, "n1", "loss"}


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("touch", [False, True])
@pytest.mark.parametrize("harm", [cut, Path.unlink, flip])
def test_what_was_lost_is_read_again_whatever_is_asked_for(
    tmp_path: Path, harm: Callable[[Path], None], touch: bool, force: bool
) -> None:
    """Nobody knows what a damaged part held: all that was ever selected is read, at once."""
    memory = source(1)
    for wanted in (PARAMETERS, AttributeSelection()):
        assert export(memory, tmp_path, attributes=wanted).complete
    harm(parts(tmp_path)[1])
    if touch:
        memory.touch(KEY, FIRST_TIME + timedelta(days=8))
    # Where only its digest tells of damage, an export that has nothing to read does not look for it.
    looks = harm is not flip or force
    assert export(memory, tmp_path, attributes=PARAMETERS, force=force).complete is (looks or not touch)
    if not looks and touch:
        return
    receipt = dataset(tmp_path).folder(KEY).receipt
    assert receipt is not None and receipt.failures == ()
    assert not looks or paths(tmp_path) == {SysAttribute.ID, "n1", "loss"}
    assert export(memory, tmp_path, attributes=PARAMETERS).projects[0].up_to_date == 1


def test_of_a_run_of_which_only_some_was_ever_selected_no_more_is_read_again(tmp_path: Path) -> None:
    memory = source(1)
    assert export(memory, tmp_path, attributes=PARAMETERS).complete
    parts(tmp_path)[0].unlink()
    assert export(memory, tmp_path, attributes=PARAMETERS).complete
    assert paths(tmp_path) == {SysAttribute.ID, "n1"}


@pytest.mark.parametrize("force", [False, True])
def test_a_run_in_an_early_layout_of_another_tool_is_not_exported_beside_it(
    tmp_path: Path, force: bool
) -> None:
    """`data/<project>/part_N.parquet`, as before 2025-11-11: it would be there twice."""
    assert export(source(1), tmp_path / "new").complete
    (part,) = parts(tmp_path / "new")
    early = tmp_path / "data" / "project" / "part_0.parquet"
    early.parent.mkdir(parents=True)
    pq.write_table(pq.read_table(part).select(SCHEMA.names), early)
    before = early.read_bytes()
    (failure,) = export(source(1), tmp_path, force=force).failures
    assert "holds it in project," in failure.message and "--force" not in failure.message
    assert early.read_bytes() == before and parts(tmp_path) == []
    assert paths(tmp_path) == {SysAttribute.ID, "n1", "loss"}
