"""Steps of points that were logged without one, and what an export remembers of them for the next."""

from __future__ import annotations

import json
from typing import Any

import pytest

from neptune_exporter_offline import counting
from neptune_exporter_offline.counting import StepCounter, number_of, sign
from neptune_exporter_offline.folders import Start


def test_steps_are_counted_on_from_the_highest() -> None:
    steps = StepCounter()
    assert [steps.step("x", logged) for logged in (None, None, 7, 2, None, 9.5, None)] == [
        0, 1, 7, 2, 8, 9.5, 10.5,
    ]  # fmt: skip
    assert steps.step("other", -3.5) == -3.5
    assert steps.step("other", None) == -2.5
    steps.clear("x")
    assert steps.step("x", None) == 0


def test_a_step_that_is_no_number_is_an_error() -> None:
    for logged in ("x", [1]):
        with pytest.raises((TypeError, ValueError)):
            StepCounter().step("x", logged)


def counted(counter: StepCounter, points: int, path: str = "x") -> list[float]:
    return [counter.step(path, None) for _ in range(points)]


def remembering(*, points: int = 5, place: str = "6-b") -> str:
    """Of a log with points before a place, and as many after it."""
    counter = StepCounter()
    counter.reach(["1-a"], is_cut=False)
    counted(counter, points)
    counter.reach([place], is_cut=False)
    counted(counter, points)
    return counter.remembered()


def test_counting_goes_on_from_a_place_that_is_known() -> None:
    counter = StepCounter(remembering())
    counter.reach(["6-other", "6-b"], is_cut=True)
    assert counted(counter, 3) == [5, 6, 7]
    assert not counter.is_uncertain and not counter.forgot
    again = StepCounter(counter.remembered())
    again.reach(["6-other"], is_cut=True)
    assert counted(again, 1) == [5], "each sign of a place is remembered"


def test_after_a_gap_counting_goes_on_from_the_end() -> None:
    counter = StepCounter(remembering())
    counter.reach(["30-c"], is_cut=True)
    assert counted(counter, 2) == [10, 11]
    assert counter.is_uncertain and counter.goes_on and not counter.forgot
    again = StepCounter(counter.remembered())
    again.reach(["30-c"], is_cut=True)
    assert counted(again, 2) == [10, 11]
    assert not again.is_uncertain


def test_another_log_before_a_known_place_changes_its_numbers_only_if_all_is_replaced() -> None:
    for renumbers, expected in ((False, [5, 6]), (True, [8, 9])):
        counter = StepCounter(remembering(), renumbers=renumbers)
        counted(counter, 8)
        counter.reach(["6-b"], is_cut=False)
        assert counted(counter, 2) == expected


def test_what_was_cleared_begins_at_0_again_after_a_known_place() -> None:
    counter = StepCounter(remembering())
    counter.reach(["6-b"], is_cut=True)
    counter.clear("x")
    assert counted(counter, 2) == [0, 1]


@pytest.mark.parametrize(
    "memory",
    [
        "{", "[]", "null", "7", '"x"', "{}", "[" * 100_000,
        '{"paths": ["x"], "places": {"6-b": [5]}, "end": [5]}',
        '{"paths": ["x"], "places": {"b": [5]}, "end": [5], "forgot": false}',
        '{"paths": ["x"], "places": {"6-b": ["5"]}, "end": [5], "forgot": false}',
        '{"paths": 7, "places": {}, "end": [], "forgot": false}',
        '{"paths": ["x"], "places": [], "end": [], "forgot": false}',
        '{"paths": ["x"], "places": {}, "end": [1e999999, {}], "forgot": false}',
    ],
)  # fmt: skip
def test_a_damaged_memory_is_admitted(memory: str) -> None:
    counter = StepCounter(memory)
    counter.reach(["6-b"], is_cut=True)
    assert counted(counter, 1) == [0]
    assert counter.forgot and counter.is_uncertain
    assert StepCounter(counter.remembered()).forgot, "it is still not known"


def test_steps_that_cannot_be_counted_on_are_not_remembered() -> None:
    counter = StepCounter()
    for path, step in (("nan", "nan"), ("inf", "inf"), ("fraction", 0.5), ("below", -7)):
        counter.step(path, float(step))
    counter.reach(["5-a"], is_cut=False)
    memory = json.loads(counter.remembered())
    assert dict(zip(memory["paths"], memory["places"]["5-a"], strict=True)) == {
        "inf": None,
        "fraction": 1.5,
        "below": -6,
    }


def test_the_memory_of_an_offline_run_of_one_file_does_not_grow_with_its_series() -> None:
    counter = StepCounter()
    counter.reach(["1-a"], is_cut=False)
    for series in range(100):
        counter.step(f"x{series}", None)
        counter.step(f"stepped{series}", 7)
    assert len(counter.remembered(is_sent=False)) < 100
    assert "stepped" not in counter.remembered(), "it is not counted"


def test_the_memory_is_bounded_and_the_earliest_places_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "MOST_NUMBERS", 100)
    counter = StepCounter()
    for series in range(30):
        counter.step(f"x{series}", None)
    for place in range(1, 6):
        counter.reach([f"{place}-a"], is_cut=False)
    memory: dict[str, Any] = json.loads(counter.remembered())
    assert list(memory["places"]) == ["3-a", "4-a", "5-a"]
    assert memory["forgot"]


def test_a_place_is_recognised_by_number_time_and_content() -> None:
    start = Start(30, 1.7e9, "digest")
    assert number_of(sign(start, "p")) == 30
    assert sign(start, "p") == sign(start, "renamed")
    others = [start._replace(number=31), start._replace(at=1.8e9), start._replace(digest="other")]
    assert len({sign(each, "p") for each in [start, *others]}) == 4
    untimed = start._replace(at=0.0)
    assert sign(untimed, "p") != sign(untimed, "q"), "without times, two processes may have logged the same"
