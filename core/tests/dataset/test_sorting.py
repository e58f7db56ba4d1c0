"""Rows in the order of a part, and what is counted of them."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from neptune_exporter.dataset.format.sorting import Batch, sort
from neptune_exporter.schema import STEP_TYPE
from neptune_exporter.testing.exported import MAX_STEP

STEPS = st.none() | st.decimals(-MAX_STEP, MAX_STEP, places=6) | st.integers(-2, 2).map(Decimal)


@given(st.lists(st.lists(STEPS, min_size=1, max_size=6), min_size=1, max_size=4))
def test_series_are_sorted_and_counted_by_step(series: list[list[Decimal | None]]) -> None:
    before = pa.array([Decimal(1), None, *(step for one in series for step in one)], STEP_TYPE)
    steps = before.slice(2)  # as of a batch that was cut
    ends = [sum(map(len, series[: n + 1])) for n in range(len(series))]
    columns = {"step": steps, "int_value": pa.array(range(len(steps)))}
    keys = [(f"m{n}", "int_series") for n in range(len(series))]
    rows = sort([Batch(list(range(len(series))), ends, columns)], keys)

    expected = [sorted(s for s in one if s is not None) + [None] * one.count(None) for one in series]
    assert rows.columns["step"].to_pylist() == [step for one in expected for step in one]
    assert rows.steps_of_series() == [len({s for s in one if s is not None}) for one in series]
    known = [s for one in series for s in one if s is not None]
    whole = all(step % 1 == 0 for step in known)
    assert rows.step_range() == ((min(known), max(known), len(known), whole) if known else None)
