"""What the server announces and then does not give is reported, not taken for absent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from itertools import count
from typing import Any

import pytest

from neptune_exporter.contract import AttributeSelection
from neptune_exporter.model import AttributeClass
from neptune_exporter_neptune3 import listing, metrics
from neptune_exporter_neptune3.api import Api
from neptune_exporter_neptune3.points import SeriesPoints
from neptune_exporter_neptune3_server import (
    SEARCH_PATH,
    VALUES_PATH,
    FakeFile,
    FakeProject,
    FakeRun,
    FileSeries,
    FloatSeries,
    Histogram,
    HistogramSeries,
    StringSeries,
    Value,
)

from .conftest import PROJECT, Exporting

Exports = Callable[..., Exporting]
LATER = datetime(2025, 1, 1, tzinfo=timezone.utc)


def exported(export: Exporting) -> set[str]:
    return {run.key.run_id for run in export.dataset.runs(PROJECT)}


def test_a_run_that_is_deleted_after_it_was_listed_keeps_what_an_earlier_export_has(
    exporting: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [FakeRun(run, {"lr": 0.1, "m": FloatSeries([0, 1], [1, 2])}) for run in ("a", "gone", "z")]
    project = FakeProject(PROJECT, runs)
    export = exporting(project)
    assert export().complete
    before = export.rows("gone")
    for run in runs:
        run.modified = LATER
    read = listing.runs

    def deleting(*args):  # type: ignore[no-untyped-def]
        yield from list(read(*args))
        runs[1].sys_id = "elsewhere"

    monkeypatch.setattr(listing, "runs", deleting)
    result = export()
    assert (result.projects[0].exported, result.projects[0].failed_runs) == (2, 1)
    (failure,) = result.failures
    assert (failure.run.run_id, failure.attribute_path) == ("gone", "")
    assert "does not know it any more" in failure.message
    assert export.rows("gone") == before


@pytest.mark.parametrize(
    "attributes",
    [
        AttributeSelection(names=("nothing",)),
        AttributeSelection(classes=frozenset({AttributeClass.FILES})),
        AttributeSelection("^nothing$"),
    ],
    ids=["names", "classes", "pattern"],
)
def test_a_run_of_which_nothing_is_asked_for_is_not_taken_for_deleted(
    exporting: Exports, attributes: AttributeSelection
) -> None:
    export = exporting(FakeProject(PROJECT, [FakeRun("r", {"lr": 0.1})]))
    result = export(attributes=attributes)
    assert (result.failed, result.rows, result.projects[0].listed) == (0, 0, 1)
    assert sum(each.path == VALUES_PATH for each in export.server.requests) == 1


def small_runs(number: int) -> FakeProject:
    return FakeProject(PROJECT, [FakeRun(f"r{n}", {"n": n}, sys_id=f"RUN-{n}") for n in range(number)])


def after_search(monkeypatch: pytest.MonkeyPatch, change: Callable[[Any, int], None]) -> None:
    """Change each answer of a search, which are counted from 1, or what the server has after it."""
    search = Api.search
    answers = count(1)

    def changed(self: Api, project_id: str, body: Mapping[str, Any]) -> Any:
        answer = search(self, project_id, body)
        change(answer, next(answers))
        return answer

    monkeypatch.setattr(Api, "search", changed)


@pytest.mark.parametrize("given", [1, 2, 3, 4])
def test_pages_that_are_shorter_than_asked_for_do_not_end_a_listing(
    exporting: Exports, monkeypatch: pytest.MonkeyPatch, given: int
) -> None:
    export = exporting(small_runs(10))
    after_search(monkeypatch, lambda answer, _: answer.entries.__delitem__(slice(given, None)))
    result = export()
    assert (result.complete, exported(export)) == (True, {f"r{n}" for n in range(10)})


@pytest.mark.parametrize("deleted", [1, 2, 3, 4])
def test_runs_that_are_deleted_between_pages_let_no_other_be_skipped(
    exporting: Exports, monkeypatch: pytest.MonkeyPatch, deleted: int
) -> None:
    """Up to two move the list within the overlap of its pages; more, and it is listed again."""
    project = small_runs(12)
    export = exporting(project)
    monkeypatch.setattr(listing, "PAGE", 4)

    def change(_: Any, number: int) -> None:
        if number == 1:
            del project.runs[:deleted]
            project.runs.append(FakeRun("new", {"n": 0}, sys_id="RUN-100"))  # the count does not include it

    after_search(monkeypatch, change)
    result = export()
    assert exported(export) == {*(f"r{n}" for n in range(deleted, 12)), "new"}
    assert {each.run.run_id for each in result.failures} == {f"r{n}" for n in range(deleted)}


def test_a_listing_that_the_server_does_not_give_whole_is_reported(
    exporting: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = exporting(small_runs(5))

    def withhold(answer: Any, _: int) -> None:
        kept = [each for each in answer.entries if "RUN-4" not in str(each)]
        del answer.entries[:]
        answer.entries.extend(kept)

    after_search(monkeypatch, withhold)
    result = export()
    assert "counts 5 runs and listed 4" in str(result.projects[0].error)
    assert exported(export) == {"r0", "r1", "r2", "r3"}


def test_a_list_that_never_stands_still_is_given_up(
    exporting: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = small_runs(40)
    export = exporting(project)
    monkeypatch.setattr(listing, "PAGE", 4)
    after_search(monkeypatch, lambda answer, _: project.runs.__delitem__(slice(4)))
    result = export()
    assert "deleted faster than they are listed" in str(result.projects[0].error)
    assert sum(each.path == SEARCH_PATH for each in export.server.requests) == 10


def test_a_server_that_does_not_count_its_runs(exporting: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    export = exporting(small_runs(10))
    monkeypatch.setattr(listing, "PAGE", 4)
    after_search(monkeypatch, lambda answer, _: answer.ClearField("matching_item_count"))
    assert export().complete
    assert len(exported(export)) == 10


def giving(monkeypatch: pytest.MonkeyPatch, most: int, counts: bool) -> None:
    """Answers hold no more points of a float series than this."""
    decode = metrics.decode

    def cut(content: bytes) -> list[SeriesPoints]:
        return [
            replace(each, points=each.points[:most], total=each.total if counts else 0)
            for each in decode(content)
        ]

    monkeypatch.setattr(metrics, "decode", cut)


def test_a_page_of_fewer_points_than_the_server_counts_is_not_the_last(
    exporting: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    attributes: dict[str, Value | None] = {
        "m": FloatSeries([0, 1, 2, 2, 2, 3, 4, 5, 6, 7], range(10)),
        "same": FloatSeries([0] * 3, range(3)),
    }
    fork = FakeRun("fork", {"m": FloatSeries(range(4, 20), range(16))}, parent="r", fork_step=3)
    export = exporting(FakeProject(PROJECT, [FakeRun("r", attributes), fork]), list_inherited=True)
    giving(monkeypatch, 5, counts=True)
    assert export().complete
    assert export.values("r", "m", "float_value") == list(range(10))
    assert export.values("r", "same", "float_value") == list(range(3))
    assert export.values("fork", "m", "float_value") == list(range(16))


def test_points_that_end_before_the_last_step_are_reported_and_kept(
    exporting: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    previews = [False] * 6 + [True] * 4
    attributes: dict[str, Value | None] = {
        "m": FloatSeries(range(10), range(10)),
        "p": FloatSeries(range(10), range(10), previews=previews),
    }
    export = exporting(FakeProject(PROJECT, [FakeRun("r", attributes)]))
    with monkeypatch.context() as patch:
        giving(patch, 5, counts=False)
        (failure,) = export().failures
    assert failure.attribute_path == "m"
    assert "up to step 9.0 and gives them up to step 4.0 only" in failure.message
    assert export.values("r", "m", "float_value") == [0, 1, 2, 3, 4]
    assert export().complete
    assert export.values("r", "m", "float_value") == list(range(10))


@pytest.mark.parametrize(("given", "says"), [(2, "gives them up to step 1.0 only"), (0, "gives none")])
def test_series_that_the_server_calls_finished_before_their_last_step(
    exporting: Exports, monkeypatch: pytest.MonkeyPatch, given: int, says: str
) -> None:
    attributes: dict[str, Value | None] = {
        "s": StringSeries(range(3), list("abc")),
        "h": HistogramSeries(range(3), [Histogram([0, 1], [n]) for n in range(3)]),
        "f": FileSeries(range(3), [FakeFile(b"%d" % n) for n in range(3)]),
    }
    export = exporting(FakeProject(PROJECT, [FakeRun("r", attributes)]))
    read = Api.series

    def cut(self: Api, body: Mapping[str, Any], *, again: bool) -> Any:
        answer = read(self, body, again=again)
        for each in answer.series:
            del each.seriesValues.values[given:]
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(Api, "series", cut)
        failures = export().failures
    assert {each.attribute_path for each in failures} == {"s", "h", "f"}
    assert all(says in each.message for each in failures)
    assert export.values("r", "s", "string_value") == ["a", "b", "c"][:given]
    assert export().complete
    assert export.values("r", "s", "string_value") == ["a", "b", "c"]


def test_points_without_a_value_are_reported_once(
    exporting: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = exporting(FakeProject(PROJECT, [FakeRun("r", {"s": StringSeries(range(3), list("abc"))})]))
    read = Api.series

    def emptied(self: Api, body: Mapping[str, Any], *, again: bool) -> Any:
        answer = read(self, body, again=again)
        answer.series[0].seriesValues.values[2].ClearField("object")
        return answer

    monkeypatch.setattr(Api, "series", emptied)
    (failure,) = export().failures
    assert "1 points came without a value" in failure.message
    assert export.values("r", "s", "string_value") == ["a", "b"]
