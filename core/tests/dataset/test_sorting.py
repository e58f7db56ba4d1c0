"""Rows in the order of a part, and what is counted of them."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest
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


@given(st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=6, unique=True), max_size=5))
def test_rows_of_one_attribute_keep_their_order_across_batches(arrived: list[list[int]]) -> None:
    batches, rows = [], []
    for codes in [*arrived, [5, 0]]:
        first = len(rows)
        rows += [(code, first + n) for n, code in enumerate(c for c in codes for _ in range(2))]
        ends = list(range(2, 2 * len(codes) + 1, 2))
        numbers = pa.array([number for _, number in rows[first:]])
        batches.append(Batch(codes, ends, {("int_value", "file_size")[len(codes) % 2]: numbers}))

    found = sort(batches, keys := [(f"m{n}", "int") for n in range(6)])

    expected = sorted(rows, key=lambda row: row[0])  # stable
    given_rows = [found.columns[name].to_pylist() for name in sorted(found.columns)]
    assert [sum(filter(None, cells)) for cells in zip(*given_rows, strict=True)] == [n for _, n in expected]
    assert [key for key, start, end in found.series() for _ in range(start, end)] == [
        keys[code] for code, _ in expected
    ]
    assert batches == []


@pytest.mark.parametrize("attributes", [3, 40])  # a few slices of the batches, and too many
def test_attributes_that_alternate_between_batches_are_sorted(attributes: int) -> None:
    codes = list(range(attributes))
    batches = [
        Batch(some, list(range(1, len(some) + 1)), {"int_value": pa.array(some)})
        for some in (codes[1::2], codes[::2])
    ]
    found = sort(batches, [(f"m{n:02}", "int") for n in codes])
    assert found.columns["int_value"].to_pylist() == codes
    assert found.ends == list(range(1, attributes + 1))
