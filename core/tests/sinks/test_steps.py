"""Steps become whole exactly, or it is known which did not."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neptune_exporter.contract import UsageError
from neptune_exporter.schema import STEP_TYPE
from neptune_exporter.sinks.steps import Multiplier, StepRange, WholeSteps
from neptune_exporter.sinks.survey import StepSurvey

MAX_U64 = 2**64 - 1
U64 = StepRange(0, MAX_U64)


def batch(steps: list[Decimal | None], doubles: list[float | None] | None = None) -> pa.RecordBatch:
    columns = {"step": pa.array(steps, STEP_TYPE)}
    columns["step_float64"] = pa.array(doubles or [None] * len(steps), pa.float64())
    return pa.RecordBatch.from_pydict(columns)


def whole(multiplier: Decimal | int, *steps: str) -> WholeSteps:
    return Multiplier.of(multiplier).whole(batch([Decimal(s) for s in steps]), U64)


def test_a_product_is_exact() -> None:
    """0.29 * 100 is 28.999999999999996 in floating point."""
    found = whole(100, "0.29", "0.57", "1.1")
    assert found.steps.tolist() == [29, 57, 110]
    assert not found.rounded.any()


def test_what_is_left_is_rounded_down_and_known() -> None:
    found = whole(10, "0.29", "0.3", "57.29")
    assert found.steps.tolist() == [2, 3, 572]
    assert found.rounded.tolist() == [True, False, True]


def test_negative_missing_and_too_large_steps_are_told_apart() -> None:
    found = Multiplier.of(10**9).whole(batch([Decimal(-1), None, Decimal(10**11), Decimal(1)]), U64)
    assert found.usable.tolist() == [False, False, False, True]
    assert (found.negative.tolist(), found.missing.tolist(), found.beyond.tolist()) == (
        [True, False, False, False],
        [False, True, False, False],
        [False, False, True, False],
    )


@given(
    st.lists(st.decimals(0, Decimal("999999999999.999999"), places=6), min_size=1),
    st.sampled_from(
        [Decimal(1), Decimal(10), Decimal(1000), Decimal(10**6), Decimal("2.5"), Decimal("0.125")]
    ),
)
def test_decimals_agree_with_fractions(steps: list[Decimal], multiplier: Decimal) -> None:
    found = Multiplier.of(multiplier).whole(batch(list(steps)), U64)
    exact = [Fraction(step) * Fraction(multiplier) for step in steps]
    assert found.beyond.tolist() == [e > MAX_U64 for e in exact]
    kept = [int(s) for s, ok in zip(found.steps, found.usable, strict=True) if ok]
    assert kept == [int(e) for e in exact if e <= MAX_U64]
    assert found.rounded.tolist() == [e.denominator != 1 and e <= MAX_U64 for e in exact]


@given(st.lists(st.floats(0, 1e19), min_size=1), st.sampled_from([1, 10, 10**6, 10**16]))
def test_doubles_agree_with_their_shortest_decimal(steps: list[float], multiplier: int) -> None:
    found = Multiplier.of(multiplier).whole(batch([None] * len(steps), list(steps)), U64)
    exact = [Fraction(repr(step)) * multiplier for step in steps]
    assert found.beyond.tolist() == [e > MAX_U64 for e in exact]
    kept = [int(s) for s, ok in zip(found.steps, found.usable, strict=True) if ok]
    assert kept == [int(e) for e in exact if e <= MAX_U64]


def test_a_double_is_the_step_where_there_is_one() -> None:
    found = Multiplier.of(1).whole(batch([Decimal("1.5"), Decimal(2)], [1e13, None]), U64)
    assert found.steps.tolist() == [10**13, 2]


def test_infinite_steps_are_beyond() -> None:
    found = Multiplier.of(1).whole(batch([None, None], [float("inf"), 1.0]), U64)
    assert found.beyond.tolist() == [True, False]


def test_sliced_batches_are_read_from_their_place() -> None:
    sliced = batch([Decimal(n) for n in range(10)]).slice(3, 4)
    assert Multiplier.of(2).whole(sliced, U64).steps.tolist() == [6, 8, 10, 12]


@pytest.mark.parametrize(
    ("steps", "multiplier"),
    [
        (["0", "1", "20000"], 1),
        (["0.1", "0.2", "0.9"], 10),
        (["0.29", "57.5"], 100),
        (["0.000001"], 10**6),
        (["-0.5", "3"], 10),
    ],
)
def test_the_smallest_power_is_found(steps: list[str], multiplier: int) -> None:
    survey = StepSurvey(U64)
    survey.look_at(batch([Decimal(s) for s in steps]))
    assert survey.multiplier == multiplier


def test_finer_steps_than_a_millionth_are_found() -> None:
    survey = StepSurvey(U64)
    survey.look_at(batch([None, None, None], [1e-7, 1.0000001, 2.5]))
    assert survey.multiplier == 10**7
    survey.look_at(batch([None], [1 / 3]))
    assert survey.multiplier == 10**16


def test_the_power_keeps_steps_within_64_bits() -> None:
    survey = StepSurvey(U64)
    survey.look_at(batch([None, Decimal("0.000001")], [1e15, None]))
    assert survey.multiplier == 10**4
    assert survey.fits(survey.multiplier) and not survey.fits(10**5)


@given(st.lists(st.decimals(0, 10**6, places=6), min_size=1, unique=True))
def test_no_two_steps_merge(steps: list[Decimal]) -> None:
    survey = StepSurvey(U64)
    survey.look_at(batch(list(steps)))
    found = Multiplier.of(survey.multiplier).whole(batch(list(steps)), U64)
    assert len(np.unique(found.steps)) == len(steps)
    assert [Fraction(int(s), survey.multiplier) for s in found.steps] == [Fraction(s) for s in steps]


@pytest.mark.parametrize("wrong", ["0", "-1", "NaN", "Infinity"])
def test_a_multiplier_is_positive(wrong: str) -> None:
    with pytest.raises(UsageError, match="positive"):
        Multiplier.of(Decimal(wrong))


@pytest.mark.parametrize("within", [U64, StepRange()])
def test_the_first_step_that_is_too_high_needs_no_room(within: StepRange) -> None:
    """As a double the bound is rounded up to that step, and then no multiplier seemed to fit."""
    survey = StepSurvey(within)
    survey.look_at(batch([None, None], [float(within.highest), 0.25]))
    assert survey.multiplier == 100
