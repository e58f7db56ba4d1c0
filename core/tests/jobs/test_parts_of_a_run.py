"""What is left of one run in several folders, exported one after another: nothing of one takes the place of
what another has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from neptune_exporter.contract import Point, RunSelection, SourceRun, TextLine
from neptune_exporter.dataset import Dataset, RunChecked, verify
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.testing.runs import (
    FIRST_TIME,
    SampleAttribute,
    SampleRun,
    file,
    float_series,
    parameter,
    string_series,
)

from .test_another_run import Partly, export, paths

KEY = RunKey("acme/vision", "a")


def part(day: int, *attributes: SampleAttribute) -> Partly:
    return Partly([SampleRun(KEY, attributes, modified_at=FIRST_TIME + timedelta(days=day))])


def later(series: SampleAttribute) -> SampleAttribute:
    """The same points, logged a minute later."""
    entries = (
        replace(e, timestamp=(e.timestamp or FIRST_TIME) + timedelta(minutes=1)) for e in series.entries
    )
    return replace(series, entries=tuple(entries))


def points(folder: Path) -> list[tuple[float, object]]:
    (run,) = Dataset(folder / "data", folder / "files").runs()
    found = run.rows([AttributeType.FLOAT_SERIES, AttributeType.STRING_SERIES])
    return sorted([(float(r.step or 0), r.value) for r in found if isinstance(r, Point | TextLine)])


FIRST = part(1, parameter("first", 7), parameter("both", 1), float_series("loss", [(100, 5), (101, 6)]))
SECOND = part(2, parameter("second", 8), parameter("both", 2), later(float_series("loss", [(102, 7)])))


@pytest.mark.parametrize("order", [(FIRST, SECOND), (SECOND, FIRST), (FIRST, SECOND, FIRST)])
def test_both_are_there_whichever_comes_first(tmp_path: Path, order: tuple[Partly, ...]) -> None:
    for source in order:
        assert export(source, tmp_path).complete
    assert paths(tmp_path) == {"first", "second", "both", "loss"}
    assert points(tmp_path) == [(100, 5), (101, 6), (102, 7)]
    (run,) = Dataset(tmp_path / "data", tmp_path / "files").runs()
    assert run.parameters()["both"].value == (2 if order[-1] is SECOND else 1), "as it came in last"
    assert export(order[-1], tmp_path).projects[0].up_to_date == 1
    found = verify(Dataset(tmp_path / "data", tmp_path / "files"))
    assert [f for f in found if not isinstance(f, RunChecked)] == []


def test_what_was_counted_from_0_in_both_stays(tmp_path: Path) -> None:
    lines = string_series("log", [(0, "a"), (1, "b")])
    for source in (part(1, lines), part(2, later(string_series("log", [(0, "c")])))):
        assert export(source, tmp_path).complete
    assert points(tmp_path) == [(0, "a"), (0, "c"), (1, "b")]


def test_a_folder_that_grew_is_not_there_twice(tmp_path: Path) -> None:
    for day, count in ((1, 2), (2, 3)):
        source = part(day, float_series("loss", [(step, step) for step in range(count)]))
        assert export(source, tmp_path).complete
    assert points(tmp_path) == [(0, 0), (1, 1), (2, 2)]


def test_files_of_both_are_there(tmp_path: Path) -> None:
    for day, name in ((1, "one"), (2, "two")):
        assert export(part(day, file(name, name.encode(), f"{name}.txt")), tmp_path).complete
    assert sum(path.is_file() for path in (tmp_path / "files").rglob("*.txt")) == 2
    assert paths(tmp_path) == {"one", "two"}


def test_what_was_lost_of_one_is_told_although_all_of_the_other_was_read(tmp_path: Path) -> None:
    assert export(FIRST, tmp_path).complete
    (stored,) = (tmp_path / "data").rglob("*_part_*.parquet")
    stored.write_bytes(stored.read_bytes()[:-20])
    (failure,) = export(SECOND, tmp_path).failures
    assert failure.lost and "--force" in failure.message
    assert [f.lost for f in export(SECOND, tmp_path).missing] == [True]
    assert export(SECOND, tmp_path, force=True).complete
    assert export(SECOND, tmp_path).complete


class Left(Partly):
    """What is left in some folders, which changed at the same time."""

    def __init__(self, folders: str) -> None:
        super().__init__(
            [SampleRun(KEY, tuple(parameter(name, 1) for name in folders), modified_at=FIRST_TIME)]
        )
        self.folders = folders

    def runs(self, project_id: str, selection: RunSelection) -> Iterator[SourceRun]:
        return (replace(run, handle=self.folders) for run in super().runs(project_id, selection))


def test_an_older_folder_that_is_given_later_is_read(tmp_path: Path) -> None:
    """Although the run was changed last when the newer one was."""
    assert export(Left("b"), tmp_path).complete
    assert export(Left("b"), tmp_path).projects[0].up_to_date == 1
    assert export(Left("ab"), tmp_path).complete
    assert paths(tmp_path) == {"a", "b"}


def test_by_force_one_replaces_the_other(tmp_path: Path) -> None:
    assert export(FIRST, tmp_path).complete
    assert export(SECOND, tmp_path, force=True).complete
    assert paths(tmp_path) == {"second", "both", "loss"} and points(tmp_path) == [(102, 7)]
