"""fetch_metrics of the unmodified client, and the points as they are on the wire."""

from __future__ import annotations

import math
from typing import Any

import neptune_query
import numpy as np
import pytest
from neptune_query import runs
from neptune_query.internal.client import get_client
from neptune_query.internal.context import get_context
from neptune_query.internal.identifiers import (
    AttributeDefinition,
    CustomRunId,
    ProjectIdentifier,
    RunAttributeDefinition,
    RunIdentifier,
)
from neptune_query.internal.retrieval.metrics import fetch_multiple_series_values
from neptune_query.internal.retrieval.search import ContainerType

from neptune_exporter_neptune3_server import FLOATS_PATH, FakeProject, FakeRun, FloatSeries, Neptune3Server

PROJECT = "acme/vision"


def points(run: str, name: str = "metrics/loss", **options: Any) -> list[tuple[float, float]]:
    table = runs.fetch_metrics(project=PROJECT, runs=[run], attributes=[name], **options)
    return [(step, value) for (_, step), value in table[name].items()] if name in table else []


def tuples(
    wanted: list[tuple[str, str]], project: str = PROJECT, previews: bool = False, **options: Any
) -> dict[tuple[str, str], list[tuple[int, float, float, bool, float]]]:
    """The layer below the public call: nothing is pivoted, so nothing is lost."""
    definitions = {
        RunAttributeDefinition(
            RunIdentifier(ProjectIdentifier(project), custom_run_id=CustomRunId(run)),
            AttributeDefinition(name, "float_series"),
        ): (run, name)
        for run, name in wanted
    }
    found = fetch_multiple_series_values(
        get_client(get_context()),
        list(definitions),
        include_inherited=options.pop("inherited", False),
        container_type=ContainerType.RUN,
        include_preview=previews,
        **options,
    )
    return {definitions[key]: values for key, values in found.items()}


def test_a_metric_comes_through_exactly(server: Neptune3Server) -> None:
    assert points("root") == [(step, step * 0.1) for step in range(10)]


def test_odd_points_come_through_exactly_below_the_public_call(server: Neptune3Server) -> None:
    found = tuples([("root", "metrics/odd")])["root", "metrics/odd"]
    assert [(time, step) for time, step, *_ in found] == [
        (0, 0.0), (1, 0.5), (2, 0.5), (1_704_067_200_000, 1_704_067_200_000.25), (-1, 1e15),
    ]  # fmt: skip
    values = [value for _, _, value, *_ in found]
    assert math.isnan(values[0])
    assert values[1:] == [math.inf, -math.inf, 0.0, 0.0]
    assert math.copysign(1, values[4]) == -1
    assert all(point[3:] == (False, 1.0) for point in found)


def test_the_public_call_merges_points_of_one_step(server: Neptune3Server) -> None:
    steps = [step for step, _ in points("root", "metrics/odd")]
    assert steps.count(0.5) == 1


def test_times_are_reported_in_milliseconds(server: Neptune3Server) -> None:
    table = runs.fetch_metrics(project=PROJECT, runs="^root$", attributes="loss", include_time="absolute")
    times = table["metrics/loss"]["absolute_time"]
    assert times.iloc[3].timestamp() == 1_704_067_203.0


@pytest.mark.parametrize(
    ("step_range", "tail", "steps"),
    [
        ((2, 4), None, [2, 3, 4]),
        ((None, 1.5), None, [0, 1]),
        ((8, None), None, [8, 9]),
        ((3, 3), None, [3]),
        ((20, 30), None, []),
        ((None, None), 3, [7, 8, 9]),
        ((0, 6), 2, [5, 6]),
        ((None, None), 100, list(range(10))),
    ],
)
def test_step_ranges_and_tails(
    server: Neptune3Server,
    step_range: tuple[float | None, float | None],
    tail: int | None,
    steps: list[float],
) -> None:
    assert [step for step, _ in points("root", step_range=step_range, tail_limit=tail)] == steps


def test_a_fork_shows_its_parents_points_up_to_the_fork(server: Neptune3Server) -> None:
    inherited = [(step, step * 0.1) for step in range(4)]
    whole = [(time_step, value) for time_step, value in points("fork")]
    # step 4 was logged by both; the public call keeps one of the two
    assert whole[:4] == inherited
    assert [step for step, _ in whole] == [0, 1, 2, 3, 4, 5, 6, 7]
    found = tuples([("fork", "metrics/loss")], inherited=True)["fork", "metrics/loss"]
    assert [(step, value) for _, step, value, *_ in found] == [
        *inherited, (4, 0.4), (4, 40.0), (5, 50.0), (6, 60.0), (7, 70.0),
    ]  # fmt: skip
    assert points("fork", lineage_to_the_root=False) == [(4, 40.0), (5, 50.0), (6, 60.0), (7, 70.0)]


def test_a_fork_of_a_fork(server: Neptune3Server) -> None:
    found = tuples([("grandchild", "metrics/loss"), ("grandchild", "metrics/odd")], inherited=True)
    assert [step for _, step, *_ in found["grandchild", "metrics/loss"]] == [0, 1, 2, 3, 4, 4, 5, 6, 7, 8]
    assert [value for *_, value, _, _ in found["grandchild", "metrics/loss"]][-3:] == [60.0, 700.0, 800.0]
    assert [step for _, step, *_ in found["grandchild", "metrics/odd"]] == [0, 0.5, 0.5]
    assert tuples([("grandchild", "metrics/odd")])["grandchild", "metrics/odd"] == []


def test_an_experiment_shows_the_points_of_its_own_earlier_runs(server: Neptune3Server) -> None:
    def of_experiment(to_the_root: bool) -> list[float]:
        table = neptune_query.fetch_metrics(
            project=PROJECT, experiments=["exp-b"], attributes="loss", lineage_to_the_root=to_the_root
        )
        return [step for _, step in table.index]

    assert of_experiment(True) == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert of_experiment(False) == [4, 5, 6, 7, 8]


def test_several_runs_and_metrics_found_by_search(server: Neptune3Server) -> None:
    table = runs.fetch_metrics(
        project=PROJECT, runs="root|fork", attributes="^metrics/", lineage_to_the_root=False
    )
    assert table["metrics/loss"].count() == 10 + 4
    assert sorted({run for run, _ in table.index}) == ["fork", "root"]


def test_runs_and_metrics_that_are_not_there_have_no_points(server: Neptune3Server) -> None:
    assert points("nobody") == []
    assert points("root", "metrics/none") == []
    assert points("root", "str-value") == []
    wanted = [("nobody", "metrics/loss"), ("root", "metrics/loss"), ("old/run 1", "metrics/loss")]
    assert [len(found) for found in tuples(wanted).values()] == [0, 10, 0]


def test_previews_come_only_when_they_are_asked_for(server: Neptune3Server, project: FakeProject) -> None:
    project.runs[0].attributes["metrics/p"] = FloatSeries(
        [0, 1, 2, 3], [1.0, 2.0, 3.0, 4.0], previews=[False, False, True, True], completion=[1, 1, 0.25, 0]
    )
    assert points("root", "metrics/p") == [(0, 1.0), (1, 2.0)]
    table = runs.fetch_metrics(
        project=PROJECT, runs=["root"], attributes=["metrics/p"], include_point_previews=True
    )["metrics/p"]
    assert list(table["value"]) == [1.0, 2.0, 3.0, 4.0]
    assert list(table["is_preview"]) == [False, False, True, True]
    assert list(table["preview_completion"]) == [1.0, 1.0, 0.25, 0.0]
    last = runs.fetch_runs_table(project=PROJECT, runs=["root"], attributes=["metrics/p"]).loc[
        "root", "metrics/p"
    ]
    assert last == 2.0


@pytest.mark.parametrize("cache_bytes", [0, 400, 1 << 20])
def test_a_series_that_is_replaced_is_served_anew(project: FakeProject, cache_bytes: int) -> None:
    with Neptune3Server([project], cache_bytes=cache_bytes) as server:
        neptune_query.set_api_token(server.api_token)
        for factor in (1.0, 1.0, 2.0, 3.0):
            values = [factor * step for step in range(10)]
            if factor > 1:
                project.runs[0].attributes["metrics/loss"] = FloatSeries(range(10), values)
            else:
                values = [step * 0.1 for step in range(10)]
            assert [value for _, value in points("root")] == values


def test_long_series_come_in_pages(server: Neptune3Server) -> None:
    # 500 series share the million points of an answer: 2,000 for each
    long = FloatSeries(np.arange(4_500) / 4, np.arange(4_500) * 0.5)
    full = FloatSeries(range(2_000), range(2_000))
    short = FloatSeries([0], [1.0])
    attributes = {f"m{n}": short for n in range(498)} | {"long": long, "full": full}
    server.projects.append(FakeProject("acme/long", [FakeRun("r", dict(attributes))]))
    found = tuples([("r", name) for name in attributes], project="acme/long")
    assert [(step, value) for _, step, value, *_ in found["r", "long"]] == [
        (n / 4, n * 0.5) for n in range(4_500)
    ]
    assert len(found["r", "full"]) == 2_000
    assert all(len(found["r", f"m{n}"]) == 1 for n in range(498))
    assert (
        sum(each.path == FLOATS_PATH for each in server.requests) == 2
    )  # the rest of two series fits in one more


def test_a_reader_that_continues_after_a_step_loses_its_twins(server: Neptune3Server) -> None:
    # 1,000 points a page; the points 499 to 501, counted from the end, share a step
    steps = [*range(500), *[500.0] * 3, *range(501, 1_000)]
    attributes = {f"m{n}": FloatSeries([0], [0]) for n in range(999)} | {
        "twins": FloatSeries(steps, range(1_002))
    }
    server.projects.append(FakeProject("acme/twins", [FakeRun("r", dict(attributes))]))
    wanted = [("r", name) for name in attributes]
    assert len(tuples(wanted, project="acme/twins")["r", "twins"]) == 1_002
    server.projects[-1].runs[0].attributes["twins"] = FloatSeries(
        [*[0.0] * 3, *range(1, 1_000)], range(1_002)
    )
    assert len(tuples(wanted, project="acme/twins")["r", "twins"]) == 1_000
