"""Whole exports: what arrives in the dataset, for every way to ask for it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neptune_exporter.contract import AttributeSelection, RunRows, RunSelection, Secret, UsageError
from neptune_exporter.jobs.export import ExportResult
from neptune_exporter.model import ALL_CLASSES, AttributeClass, AttributeType, RunKey
from neptune_exporter.testing import difference, facts_of_exported, facts_of_run, sample_runs
from neptune_exporter.toolkit import Patience
from neptune_exporter_neptune3 import listing, metrics
from neptune_exporter_neptune3.api import Api
from neptune_exporter_neptune3.attributes import Series
from neptune_exporter_neptune3.client import Client
from neptune_exporter_neptune3.paging import read_pages
from neptune_exporter_neptune3.source import GroupSize
from neptune_exporter_neptune3_server import (
    FLOATS_PATH,
    SEARCH_PATH,
    VALUES_PATH,
    FakeProject,
    FakeRun,
    FloatSeries,
    Limits,
    Neptune3Server,
    OtherValue,
    StringSeries,
    Value,
)
from neptune_exporter_neptune3_server.samples import held_by_neptune3, projects_of

from .conftest import PROJECT, Exporting

Exports = Callable[..., Exporting]


def paths_of(export: Exporting, run_id: str) -> set[str]:
    found = {str(row["attribute_path"]) for row in export.rows(run_id)}
    return {path for path in found if not path.startswith("sys/")}


def test_the_whole_corpus_arrives_exactly(exporting: Exports) -> None:
    held = held_by_neptune3(sample_runs())
    projects = projects_of(held)
    small_pages = Limits(values_per_answer=40, objects_per_answer=7)
    export = exporting(*projects, limits=small_pages)
    result = export(*(p.name for p in projects), runs=RunSelection(include_archived=True))
    assert result.complete, result.failures[:3]
    found = {r.key: r for p in projects for r in export.dataset.runs(p.name)}
    assert found.keys() == {sample.key for sample in held}
    for sample in held:
        gap = difference(facts_of_run(sample), facts_of_exported(found[sample.key]))
        assert not gap, f"{sample.key}:\n{gap}"


@pytest.mark.parametrize(("size", "pages"), [(1, 8), (3, 4), (1000, 1)])
def test_every_page_of_a_listing(
    exporting: Exports, monkeypatch: pytest.MonkeyPatch, size: int, pages: int
) -> None:
    monkeypatch.setattr(listing, "PAGE", size)
    export = exporting(FakeProject(PROJECT, [FakeRun(f"r{n}", {"n": n}) for n in range(7)]))
    assert export().projects[0].exported == 7
    assert sum(each.path == SEARCH_PATH for each in export.server.requests) == pages


STEPS = st.lists(st.sampled_from([0, 0, 0, 1, 1, 2, 2.5, 3, 4, 5, 6, 7, 7, 7, 1e12]), max_size=60)


@settings(max_examples=40, deadline=None)
@given(series=st.lists(STEPS, min_size=1, max_size=4), points=st.integers(3, 40), first=st.integers(1, 9))
def test_no_point_is_lost_or_doubled_where_a_page_ends(
    series: list[list[float]], points: int, first: int
) -> None:
    """Whatever steps share a page's end."""

    attributes = {f"m{n}": FloatSeries(sorted(steps), range(len(steps))) for n, steps in enumerate(series)}
    with (
        pytest.MonkeyPatch.context() as patch,
        Neptune3Server([FakeProject(PROJECT, [FakeRun("r", dict(attributes))], key="K")]) as server,
        ThreadPoolExecutor(2) as executor,
    ):
        patch.setattr(metrics, "POINTS", points)
        patch.setattr(metrics, "FIRST_LIMIT", first)
        patch.setattr(metrics, "_SPARE", 1)
        client = Client(Secret(server.api_token), 10)
        wanted = [
            Series(RunKey(PROJECT, "r"), f"{PROJECT}/K-1", path, AttributeType.FLOAT_SERIES, None)
            for path in attributes
        ]
        requests = metrics.requests_for([metrics.Unread.begin(each) for each in wanted])
        fetch = partial(metrics.fetch, Api(client, Patience(0)), previews=False)
        found: Counter[tuple[str, float, float]] = Counter()
        for event in read_pages(executor, 2, requests, fetch):
            assert isinstance(event, RunRows), event
            for row in event.batch.to_pylist():
                found[
                    row["attribute_path"],
                    row.get("step_float64") or float(row["step"] or 0),
                    row["float_value"],
                ] += 1
        client.close()
    expected = Counter(
        (f"m{n}", float(step), float(value))
        for n, steps in enumerate(series)
        for value, step in enumerate(sorted(steps))
    )
    assert found == expected


def test_pages_of_the_usual_size(exporting: Exports) -> None:
    """Lengths around the limits of the first and the following pages."""
    lengths = [0, 1, 1023, 1024, 1025, 2048, 250_000 + 1024, 260_000]
    attributes = {f"m{n}": FloatSeries(range(n), range(n)) for n in lengths}
    same_step = FloatSeries([0.0] * 3000, range(3000))
    export = exporting(FakeProject(PROJECT, [FakeRun("r", {**attributes, "same": same_step})]))
    assert export().complete
    (run,) = export.dataset.runs(PROJECT)
    counted: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for batch in run.batches(columns=["attribute_path", "float_value"]):
        for path, value in zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True):
            if value is not None:
                counted[path] += 1
                total[path] += value
    assert {path: counted[path] for path in attributes} == {f"m{n}": n for n in lengths}
    assert {path: total[path] for path in attributes} == {f"m{n}": n * (n - 1) / 2 for n in lengths}
    assert (counted["same"], total["same"]) == (3000, 3000 * 2999 / 2)


def test_runs_are_read_together(exporting: Exports) -> None:
    runs = [
        FakeRun(f"r{n}", {f"m{k}": FloatSeries(range(10), range(10)) for k in range(5)}) for n in range(60)
    ]
    export = exporting(FakeProject(PROJECT, runs))
    assert export(workers=1).rows > 60 * 50
    assert sum(each.path == FLOATS_PATH for each in export.server.requests) < 12


def test_a_group_holds_as_many_runs_as_their_content_allows(
    exporting: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Judged by the runs before: after the first groups one run of 1,000 points fills a group of its own."""
    monkeypatch.setattr(GroupSize, "ROWS", 1_000)
    runs = [FakeRun(f"r{n}", {"m": FloatSeries(range(1_000), range(1_000))}) for n in range(20)]
    export = exporting(FakeProject(PROJECT, runs))
    assert export(workers=1).complete
    groups = sum(each.path == VALUES_PATH for each in export.server.requests)
    begun_unknowing = 2  # one is read and one waits before anything is known
    assert groups == begun_unknowing + (20 - begun_unknowing * GroupSize.FIRST)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (AttributeSelection("loss"), {"train/loss", "val/loss"}),
        (AttributeSelection("^train"), {"train/loss", "train/lr"}),
        (AttributeSelection(names=("train/lr", "nothing")), {"train/lr"}),
        (AttributeSelection(names=("loss",)), set()),
        (AttributeSelection(names=("a`b", "train/lr")), {"a`b", "train/lr"}),
        (AttributeSelection(classes=frozenset({AttributeClass.METRICS})), {"train/loss", "val/loss"}),
        (
            AttributeSelection(classes=ALL_CLASSES - {AttributeClass.METRICS}),
            {"train/lr", "log", "a`b"},
        ),
        (AttributeSelection("log", (), frozenset({AttributeClass.SERIES})), {"log"}),
    ],
)
def test_attributes_that_are_asked_for(
    exporting: Exports, attributes: AttributeSelection, expected: set[str]
) -> None:
    held: dict[str, Value | None] = {
        "train/loss": FloatSeries([0], [1]),
        "val/loss": FloatSeries([0], [1]),
        "train/lr": 0.5,
        "log": StringSeries([0], ["x"]),
        "a`b": 1,
    }
    export = exporting(FakeProject(PROJECT, [FakeRun("r", dict(held))]))
    result = export(attributes=attributes)
    assert not (result.failed or result.missing)
    assert result.complete == (set(attributes.names) <= held.keys())
    # A run without a requested attribute is not put into the dataset.
    assert [run.key.run_id for run in export.dataset.runs(PROJECT)] == ["r"] * bool(expected)
    assert not expected or paths_of(export, "r") == expected


def test_a_fork_has_its_own_points_its_parent_and_its_step(exporting: Exports) -> None:
    root = FakeRun("root", {"m": FloatSeries(range(5), range(5)), "only-root": FloatSeries([0], [1])})
    fork = FakeRun("fork", {"m": FloatSeries([4, 5], [40, 50])}, parent="root", fork_step=3)
    for list_inherited in (False, True):
        export = exporting(FakeProject(PROJECT, [root, fork]), list_inherited=list_inherited)
        assert export(force=True).complete
        assert export.values("root", "m", "float_value") == [0, 1, 2, 3, 4]
        assert export.values("fork", "m", "float_value") == [40, 50]
        (run,) = (run for run in export.dataset.runs(PROJECT) if run.key.run_id == "fork")
        assert (run.parent(), float(run.fork_step() or 0)) == (RunKey(PROJECT, "root"), 3.0)


@pytest.mark.parametrize(("step", "reported"), [(4.0, "4"), (0.5, "0.5"), (1_000_000.0, "1000000")])
def test_a_fork_without_its_parent_notes_whose_points_it_lacks(
    exporting: Exports, step: float, reported: str
) -> None:
    runs = [
        FakeRun("parent", {"m": FloatSeries([0, 1], [0, 1])}),
        FakeRun("child", {"m": FloatSeries([step + 1], [5])}, parent="parent", fork_step=step),
        FakeRun("grandchild", {"m": FloatSeries([step + 2], [6])}, parent="child", fork_step=step + 1),
    ]
    export = exporting(FakeProject(PROJECT, runs))

    def notes() -> dict[str, tuple[str, ...]]:
        return {run.key.run_id: run.notes for run in export.dataset.runs(PROJECT)}

    assert export(runs=RunSelection(patterns=(".*child",))).complete
    assert notes() == {
        "child": (
            f"a fork of parent: the points that it inherits up to step {reported} are that run's, "
            "which was not exported together with it",
        ),
        "grandchild": (),
    }
    export(force=True)
    assert set(notes().values()) == {()}


def test_archived_runs_and_previews_on_request(exporting: Exports) -> None:
    series = FloatSeries([0, 1, 2], [1, 2, 3], previews=[False, False, True], completion=[1, 1, 0.5])
    runs = [FakeRun("old", {"n": 1}, archived=True), FakeRun("r", {"m": series})]
    export = exporting(FakeProject(PROJECT, runs))
    export()
    assert {run.key.run_id for run in export.dataset.runs(PROJECT)} == {"r"}
    assert export.values("r", "m", "float_value") == [1, 2]
    wanted = AttributeSelection(metric_previews=True)
    export(runs=RunSelection(include_archived=True), attributes=wanted)
    assert {run.key.run_id for run in export.dataset.runs(PROJECT)} == {"r", "old"}
    assert export.values("r", "m", "float_value") == [1, 2, 3]


def test_unknown_types_are_reported(exporting: Exports) -> None:
    held: dict[str, Value | None] = {"sys/state": OtherValue(), "git": OtherValue("gitRef"), "n": 1}
    export = exporting(FakeProject(PROJECT, [FakeRun("r", dict(held))]))
    (failure,) = export().failures
    assert (failure.attribute_path, failure.attribute_type) == ("git", None)
    assert "gitRef" in failure.message
    (run,) = export.dataset.runs(PROJECT)
    assert any("sys/state" in note and "experimentState" in note for note in run.notes)
    assert export.values("r", "n", "int_value") == [1]


def _with_an_unknown_type(exporting: Exports) -> Exporting:
    return exporting(FakeProject(PROJECT, [FakeRun("r", {"weird": OtherValue("complex"), "n": 1})]))


@pytest.mark.parametrize("left_out", AttributeClass)
def test_unknown_types_are_reported_although_a_class_is_left_out(
    exporting: Exports, left_out: AttributeClass
) -> None:
    export = _with_an_unknown_type(exporting)
    without = AttributeSelection(classes=ALL_CLASSES - {left_out})
    for wanted in (without, AttributeSelection(), without):
        (failure,) = export(attributes=wanted).failures
        assert failure.attribute_path == "weird"


@pytest.mark.parametrize(("pattern", "reported"), [("we", ["weird"]), ("n", [])])
def test_a_pattern_decides_on_types_that_are_not_known(
    exporting: Exports, pattern: str, reported: list[str]
) -> None:
    export = _with_an_unknown_type(exporting)
    result = export(attributes=AttributeSelection(pattern))
    assert [failure.attribute_path for failure in result.failures] == reported


@pytest.mark.parametrize("pattern", [None, "we"])
def test_unknown_types_are_reported_after_exports_of_named_classes(
    exporting: Exports, pattern: str | None
) -> None:
    export = _with_an_unknown_type(exporting)

    def assert_nothing_failed(result: ExportResult) -> None:
        assert not (result.failed or result.missing)
        # No attribute of a known type matches the pattern.
        assert result.complete == (pattern is None)

    for attribute_class in AttributeClass:
        named = AttributeSelection(pattern, classes=frozenset({attribute_class}), others=False)
        assert_nothing_failed(export(attributes=named))
    for _ in range(2):
        (failure,) = export().failures
        assert failure.attribute_path == "weird"
    assert_nothing_failed(export(attributes=named))
    assert export.values("r", "n", "int_value") == [1]


def test_a_run_without_an_id_of_its_own(exporting: Exports) -> None:
    """Its `sys/id` stands for it, also where another run has that as its own."""
    runs = [FakeRun("NEP-2", {"n": 1}), FakeRun(None, {"n": 2})]
    export = exporting(FakeProject(PROJECT, runs, key="NEP"))
    assert export().complete
    by_id = {run.key.run_id: run for run in export.dataset.runs(PROJECT)}
    assert by_id.keys() == {"NEP-2", "NEP-2 (sys/id)"}
    assert export.values("NEP-2 (sys/id)", "n", "int_value") == [2]
    assert "sys/custom_run_id" in by_id["NEP-2 (sys/id)"].notes[0]
    assert by_id["NEP-2 (sys/id)"].url == ""


def test_the_address_of_a_run(exporting: Exports) -> None:
    export = exporting(FakeProject(PROJECT, [FakeRun("a run/1", {"n": 1})]))
    assert export().complete
    (run,) = export.dataset.runs(PROJECT)
    assert run.url == f"{export.server.url}/acme/vision/-/run/?customId=a+run%2F1"


def test_a_query_in_neptunes_language(exporting: Exports) -> None:
    export = exporting(FakeProject(PROJECT, [FakeRun("a", {"lr": 0.1}), FakeRun("b", {"lr": 0.5})]))
    assert export(runs=RunSelection(query="`lr`:float > 0.2")).projects[0].exported == 1
    assert [run.key.run_id for run in export.dataset.runs(PROJECT)] == ["b"]
    with pytest.raises(UsageError, match="is the query right"):
        export(runs=RunSelection(query="this is none"))


def test_points_that_the_server_announces_and_does_not_give(
    exporting: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A last step, and no point: a loss that must not be silent."""
    export = exporting(FakeProject(PROJECT, [FakeRun("r", {"m": FloatSeries([0, 7], [1, 2]), "n": 1})]))
    monkeypatch.setattr(
        "neptune_exporter_neptune3_server.series.float_points", lambda *_: FloatSeries([], []).points
    )
    (failure,) = export().failures
    assert failure.attribute_path == "m"
    assert "up to step 7.0 and gives none" in failure.message


def test_odd_dates(exporting: Exports) -> None:
    first = datetime(1, 1, 1, tzinfo=timezone.utc)
    export = exporting(FakeProject(PROJECT, [FakeRun("r", {"d": first, "nan": math.nan})]))
    assert export().complete
    assert export.values("r", "d", "datetime_value") == [first]
    (value,) = export.values("r", "nan", "float_value")
    assert math.isnan(value)
