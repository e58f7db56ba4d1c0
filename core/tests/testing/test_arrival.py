"""How a load is judged: what may be missing, what must be told, and how exactly."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from neptune_exporter.contract import EqualPoints, LoadedRun, Loss, SinkCapabilities
from neptune_exporter.model import RunKey
from neptune_exporter.testing import (
    LoadedEntry,
    LoadedSample,
    MemoryRun,
    MemorySink,
    SampleAttribute,
    SampleHistogram,
    SampleRun,
    file,
    float_series,
    histogram_series,
    parameter,
    string_series,
)
from neptune_exporter.testing.arrival import arrival_problems
from neptune_exporter.testing.rules import Rules, same_parameter

KEY = RunKey("acme/a", "RUN-1")
PERFECT = Rules(SinkCapabilities())
NOON = datetime(2024, 1, 1, 12, tzinfo=timezone.utc)


def rules(**capabilities: Any) -> Rules:
    return Rules(replace(SinkCapabilities(), **capabilities))


def held(*attributes: SampleAttribute) -> tuple[SampleRun, LoadedSample]:
    """A run, and what a target that took all of it has."""
    run = SampleRun(KEY, attributes)
    sink = MemorySink()
    sink.load(MemoryRun(run), None)
    return run, sink.read_back(KEY)


def judge(
    run: SampleRun, found: LoadedSample, by: Rules = PERFECT, *losses: Loss, parent: LoadedRun | None = None
) -> str:
    return "\n".join(arrival_problems(run, LoadedRun("id", losses=losses), found, parent, by))


def loss(count: int, path: str | None = "m", reason: str = "gone", **fields: Any) -> Loss:
    return Loss(KEY, reason, "The target has no place for it.", count, path, **fields)


METRIC = float_series("m", [(0, 1.0), (0.5, 2.0), (0.5, 3.0), (-1, float("nan")), (1e13, 5.0)])


def keep(found: LoadedSample, *steps: float) -> LoadedSample:
    """Only these steps of the metric."""
    points = [entry for entry in found.points["m"] if entry.step is not None and float(entry.step) in steps]
    return replace(found, points={"m": points})


def test_a_whole_run_has_no_problems() -> None:
    run, found = held(
        METRIC,
        string_series("text", [(0, "a"), (0, "a")]),
        histogram_series("h", [(0, SampleHistogram((0.0, 1.0), (2.0,)))]),
        parameter("p", 1),
        file("f", b"bytes"),
    )
    assert judge(run, found) == ""


@pytest.mark.parametrize(
    ("capability", "value", "steps_kept", "lost"),
    [
        ("fractional_steps", False, (0, -1, 1e13), 2),
        ("lowest_step", 0, (0, 0.5, 1e13), 1),
        ("highest_step", 10**12, (0, 0.5, -1), 1),
        ("nan", False, (0, 0.5, 1e13), 1),
    ],
)
def test_what_a_capability_excludes_may_be_lost_if_it_is_counted(
    capability: str, value: object, steps_kept: tuple[float, ...], lost: int
) -> None:
    run, found = held(METRIC)
    by = rules(**{capability: value})
    less = keep(found, *steps_kept)
    assert judge(run, less, by, loss(lost)) == ""
    assert judge(run, less, by, loss(lost, path=None)) == ""
    assert "no loss counts them" in judge(run, less, by)
    assert "did not arrive" in judge(run, less, PERFECT, loss(lost))
    assert f"no more than {lost} may be lost" in judge(run, less, by, loss(lost + 1))
    assert "did not arrive" in judge(run, keep(less), by, loss(lost))


def test_too_small_a_count_is_found() -> None:
    run, found = held(METRIC)
    assert "1 rows did not arrive, and no loss" in judge(
        run, keep(found, 0, -1, 1e13), rules(fractional_steps=False), loss(1)
    )


def test_of_duplicate_steps_one_must_stay() -> None:
    run, found = held(METRIC)
    by = rules(equal_points=EqualPoints.NEWEST)
    one = replace(found, points={"m": [e for e in found.points["m"] if e.value != 2.0]})
    assert judge(run, one, by, loss(1)) == ""
    assert "none of the 2 entries of step 0.500000 arrived" in judge(
        run, keep(found, 0, -1, 1e13), by, loss(2)
    )


def test_times_may_be_lost_but_not_the_rows() -> None:
    run, found = held(METRIC)
    untimed = replace(found, points={"m": [entry._replace(timestamp=None) for entry in found.points["m"]]})
    by = rules(timestamps=False)
    assert judge(run, untimed, by, loss(5)) == ""
    assert "no loss counts them" in judge(run, untimed, by)
    assert "the time of step 0.000000" in judge(run, untimed)
    assert "did not arrive" in judge(run, keep(untimed, 0), by, loss(5))


def test_a_target_may_invent_times_for_rows_without() -> None:
    run, found = held(float_series("m", [(0, 1.0)]))
    series = run.attributes[0]
    untimed = replace(
        run, attributes=(replace(series, entries=(replace(series.entries[0], timestamp=None),)),)
    )
    assert judge(untimed, found) == ""


def test_what_is_lossy_may_arrive_changed() -> None:
    run, found = held(histogram_series("h", [(0, SampleHistogram((0.0, 1.0, 10.0), (2.0, 1.0)))]))
    coarse = LoadedEntry(SampleHistogram((0.0, 5.0, 10.0), (2.0, 1.0)), 0.0)
    changed = replace(found, histograms={"h": [coarse]})
    assert judge(run, changed, rules(histograms=False), loss(1, "h")) == ""
    assert "is in the target only" in judge(run, changed)
    twice = replace(found, histograms={"h": [coarse, coarse]})
    assert "is in the target only" in judge(run, twice, rules(histograms=False), loss(1, "h"))


@pytest.mark.parametrize(
    "found",
    [
        {"points": {"m": [LoadedEntry(1.0, 0.0, NOON)] * 2}},
        {"points": {"n": [LoadedEntry(1.0, 0.0)]}},
        {"texts": {"m": [LoadedEntry("1.0", 0.0)]}},
        {"parameters": {"p": 1, "q": 2}},
        {"files": {"f": [LoadedEntry(b"")]}},
    ],
)
def test_what_was_never_loaded_is_found(found: dict[str, Any]) -> None:
    run, whole = held(float_series("m", [(0, 1.0)]), parameter("p", 1))
    assert "in the target only" in judge(run, replace(whole, **found))


@pytest.mark.parametrize(
    ("untrue", "says"),
    [
        (loss(1, "no such path"), "no such attribute"),
        (loss(1, reason="Not Kebab"), "kebab-case"),
        (loss(1, requested=True), "requested, which it was not"),
        (loss(1), "nothing of it may be lost"),
        (loss(1, None), "nothing of it may be lost"),
        (Loss(RunKey("acme/a", "RUN-2"), "gone", "Gone.", 1, "m"), "names the run acme/a:RUN-2"),
        (Loss(KEY, "gone", "", 1, "m"), "one sentence"),
        (Loss(KEY, "gone", "a\nb", 1, "m"), "one sentence"),
    ],
)
def test_losses_must_be_true(untrue: Loss, says: str) -> None:
    run, found = held(float_series("m", [(0, 1.0)]))
    assert says in judge(run, found, PERFECT, untrue)


def test_an_author_may_stand_by_a_loss() -> None:
    run, found = held(parameter("p", "long"), parameter("q", "kept"))
    cut = replace(found, parameters={"p": "lo", "q": "kept"})
    by = replace(PERFECT, allowed_losses=("long-text",))
    assert judge(run, cut, by, loss(1, "p", "long-text")) == ""
    assert "did not arrive" in judge(run, cut, by, loss(1, "p", "other"))
    assert "did not arrive" in judge(run, cut, by)


def test_negative_zeros_count_where_the_target_knows_them() -> None:
    run, found = held(float_series("m", [(0, -0.0)]), parameter("p", -0.0))
    plain = replace(found, points={"m": [found.points["m"][0]._replace(value=0.0)]}, parameters={"p": 0.0})
    assert judge(run, plain).count("did not arrive\n") == 2
    assert judge(run, plain, rules(signed_zeros=False)) == ""


@pytest.mark.parametrize(
    ("expected", "good", "bad"),
    [
        (1, [1, 1.0], [True, "1", 2, None]),
        (3.0, [3.0, 3], [True, "3.0", 3.0000001]),
        (True, [True], [1, "true", False]),
        ("1", ["1"], [1, True]),
        (2**53 + 1, [2**53 + 1, str(2**53 + 1)], [float(2**53), 2**53]),
        (float("nan"), [float("nan"), "NaN", "nan"], [None, 0.0, "x", "inf"]),
        (float("-inf"), [float("-inf"), "-Infinity", "-inf"], [float("inf"), "Infinity"]),
        (-0.0, [-0.0], [0.0, 0]),
        (0.1, [0.1], ["0.1", 0.1 + 1e-17 + 1e-16]),
        (
            NOON,
            [NOON, "2024-01-01T12:00:00Z", "2024-01-01T13:00:00.000+01:00"],
            ["2024-01-01T12:00:01Z", "noon", 0, None],
        ),
        (("a", "b"), [["b", "a"], {"a", "b"}, ("a", "b")], ["a,b", ["a"], None]),
        ((), [[]], [None, ""]),
    ],
)
def test_parameters_are_equal_and_of_one_kind(expected: Any, good: list[Any], bad: list[Any]) -> None:
    assert [v for v in good if not same_parameter(expected, v, PERFECT)] == []
    assert [v for v in bad if same_parameter(expected, v, PERFECT)] == []


def test_a_run_keeps_its_name_tags_time_and_outcome() -> None:
    run, found = held(
        parameter("sys/name", "mine"),
        parameter("sys/tags", ["a", "b"]),
        parameter("sys/creation_time", NOON),
        parameter("sys/failed", True),
    )
    assert judge(run, found) == ""
    assert judge(run, replace(found, name=None, tags=None, created_at=None, failed=None)) == ""
    assert judge(run, replace(found, tags=frozenset({"a", "b", "import:neptune"}))) == ""
    assert "the name is 'other'" in judge(run, replace(found, name="other"))
    assert "1 tags did not arrive" in judge(run, replace(found, tags=frozenset({"a"})))
    assert judge(run, replace(found, tags=frozenset({"a"})), PERFECT, loss(1, "sys/tags", "tags")) == ""
    assert "it was created at" in judge(run, replace(found, created_at=NOON + timedelta(seconds=1)))
    assert "failed is False" in judge(run, replace(found, failed=False))
    prefixed = replace(PERFECT, name_prefix="old ")
    assert "the name is 'mine'" in judge(run, found, prefixed)
    assert judge(run, replace(found, name="old mine"), prefixed) == ""


def test_a_fork_keeps_its_parent() -> None:
    run, found = held(parameter("sys/forking/parent", "RUN-0"), parameter("sys/forking/step", 3))
    parent = LoadedRun("parent id")
    forked = replace(found, parent="parent id", fork_step=Decimal(3))
    assert judge(run, forked, parent=parent) == ""
    assert judge(run, found) == ""
    assert "the parent is None" in judge(run, found, parent=parent)
    assert "the fork step is 2.0" in judge(run, replace(forked, fork_step=2.0), parent=parent)
    by = rules(forks=False)
    lost = replace(found, fork_step=None)
    assert judge(run, lost, by, loss(1, None, "fork"), parent=parent) == ""
    assert "the lost fork is not reported" in judge(run, lost, by, parent=parent)
    plain, found = held(parameter("p", 1))
    assert "but is no fork" in judge(plain, replace(found, parent="someone"))
