"""Several runs with one `sys/custom_run_id`: a dataset holds always the same one, the others are reported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from itertools import permutations
from typing import Any

import pytest

from neptune_exporter.contract import RunSelection
from neptune_exporter_neptune3 import listing
from neptune_exporter_neptune3.api import Api
from neptune_exporter_neptune3_server import FakeProject, FakeRun, FloatSeries

from .conftest import PROJECT, Exporting

Exports = Callable[..., Exporting]
DAY = datetime(2025, 1, 1, tzinfo=timezone.utc)
ALL = RunSelection(include_archived=True)


def a_run(number: int, day: int = 0, *, archived: bool = False, custom_id: str | None = "a") -> FakeRun:
    return FakeRun(
        custom_id,
        {"n": number, f"m{number}": FloatSeries([0, 1], [1, 2])},
        archived=archived,
        modified=DAY + timedelta(days=day),
        sys_id=f"RUN-{number}",
    )


def numbers(export: Exporting) -> dict[str, list[int]]:
    """The parameter `n` of every run of the dataset."""
    ids = {run.key.run_id for run in export.dataset.runs(PROJECT)}
    return {run_id: export.values(run_id, "n", "int_value") for run_id in ids}


@pytest.mark.parametrize("day", [0, 1, -1])
def test_a_wider_selection_does_not_replace_an_active_run_by_an_archived_one(
    exporting: Exports, day: int
) -> None:
    """Whichever was modified last; the active one is newer, so that the archived one is listed first."""
    export = exporting(FakeProject(PROJECT, [a_run(1, day, archived=True), a_run(2)]))
    assert export().complete
    before = export.rows("a")
    result = export(runs=ALL)
    (project,) = result.projects
    assert (project.listed, project.exported, project.up_to_date) == (1, 0, 1)
    assert export.rows("a") == before
    assert "not exported" in str(project.error)
    assert "RUN-1 (a: RUN-2 goes before it)" in str(project.error)


@pytest.mark.parametrize("page", [2, 10_000])
@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([a_run(1, 9, archived=True), a_run(2, 1), a_run(3, 2)], 2),
        ([a_run(1, 1, archived=True), a_run(2, 5, archived=True), a_run(3, 3, archived=True)], 1),
        ([a_run(20), a_run(10), a_run(3)], 3),
    ],
    ids=["active first", "whichever was modified last", "then the lowest sys/id"],
)
def test_which_of_them_is_exported_does_not_depend_on_the_order_of_the_list(
    exporting: Exports, monkeypatch: pytest.MonkeyPatch, runs: list[FakeRun], expected: int, page: int
) -> None:
    monkeypatch.setattr(listing, "PAGE", page)
    project = FakeProject(PROJECT)
    export = exporting(project)
    for order in permutations(runs):
        project.runs[:] = order
        (result,) = export(runs=ALL, force=True).projects
        assert numbers(export) == {"a": [expected]}
        for run in runs:
            passed_over = f"{run.sys_id} (a: RUN-{expected} goes before it)"
            assert (passed_over in str(result.error)) == (run.sys_id != f"RUN-{expected}")


def test_one_that_the_selection_takes_does_not_stand_in_for_one_that_it_leaves_out(
    exporting: Exports,
) -> None:
    """Else the next export without `--modified-until` would replace it."""
    export = exporting(FakeProject(PROJECT, [a_run(1, 9), a_run(2, 0)]))
    result = export(runs=RunSelection(modified_until=DAY + timedelta(days=5)))
    assert "RUN-2 (a: RUN-1 goes before it)" in str(result.projects[0].error)
    assert numbers(export) == {}


def test_those_that_are_not_asked_for_are_not_reported(exporting: Exports) -> None:
    runs = [a_run(1, archived=True), a_run(2), a_run(3, 1, custom_id="b"), a_run(4, custom_id="b")]
    export = exporting(FakeProject(PROJECT, runs))
    assert export(runs=RunSelection(patterns=("a",))).complete
    assert export(runs=RunSelection(modified_since=DAY + timedelta(hours=1))).complete
    assert numbers(export) == {"a": [2], "b": [3]}


def test_what_the_message_says_to_do_gets_the_other_one(exporting: Exports) -> None:
    export = exporting(FakeProject(PROJECT, [a_run(1), a_run(2, 1)]))
    (project,) = export(dry_run=True).projects
    assert "--runs-query '`sys/id`:string = \"...\"'" in str(project.error)
    assert export(runs=RunSelection(query='`sys/id`:string = "RUN-2"')).complete
    assert numbers(export) == {"a": [2]}


def test_a_run_without_an_id_of_its_own_leaves_its_sys_id_to_the_run_that_has_it(exporting: Exports) -> None:
    """Whichever is listed first."""
    runs = [a_run(9, custom_id=None), a_run(4, custom_id="RUN-9")]
    for order in (runs, runs[::-1]):
        export = exporting(FakeProject(PROJECT, order))
        assert export(force=True).complete
        assert numbers(export) == {"RUN-9 (sys/id)": [9], "RUN-9": [4]}


def test_what_was_listed_before_a_listing_broke_off_is_exported(
    exporting: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = exporting(FakeProject(PROJECT, [a_run(n, custom_id=f"r{n}") for n in (1, 2, 3)]))
    search = Api.search

    def with_an_odd_date(self: Api, project_id: str, body: Mapping[str, Any]) -> Any:
        answer = search(self, project_id, body)
        (modified,) = (each for each in answer.entries[1].attributes if each.name == "sys/modification_time")
        modified.datetime_properties.value = 1 << 60
        return answer

    monkeypatch.setattr(Api, "search", with_an_odd_date)
    (project,) = export().projects
    assert project.error is not None
    assert numbers(export) == {"r1": [1]}


def test_another_run_does_not_take_the_place_of_the_one_that_the_dataset_holds(exporting: Exports) -> None:
    """The first may be gone from the server, and what the dataset has of it all there is."""
    project = FakeProject(PROJECT, [a_run(1), a_run(5, custom_id="b")])
    export = exporting(project)
    assert export().complete
    before = export.rows("a")
    project.runs[0] = a_run(7)
    for runs in (RunSelection(), RunSelection(query='`sys/id`:string = "RUN-7"')):
        result = export(runs=runs)
        (failure,) = result.failures
        assert (result.projects[0].exported, result.projects[0].failed_runs) == (0, 1)
        assert "the dataset holds another run with this id, RUN-1: not RUN-7" in failure.message
        assert "--force" in failure.message
        assert export.rows("a") == before
    assert export(force=True).complete
    assert export().complete
    assert numbers(export) == {"a": [7], "b": [5]}


def test_an_archived_run_that_becomes_active_does_not_take_the_place_of_the_other(exporting: Exports) -> None:
    runs = [a_run(1, archived=True), a_run(2)]
    export = exporting(FakeProject(PROJECT, runs))
    assert export().complete
    runs[0].archived, runs[1].archived = False, True
    assert not export().complete
    assert numbers(export) == {"a": [2]}


def test_that_one_of_them_is_written_to_does_not_change_which_is_exported(exporting: Exports) -> None:
    project = FakeProject(PROJECT, [a_run(1, 1), a_run(2, 2)])
    export = exporting(project)
    for days in ((3, 2), (3, 4)):
        assert export().projects[0].failed_runs == 0
        assert numbers(export) == {"a": [1]}
        project.runs[:] = [a_run(1, days[0]), a_run(2, days[1])]
