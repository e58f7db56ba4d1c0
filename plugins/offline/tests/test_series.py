"""Points that are spilled to disk come back as if they had stayed in memory."""

from __future__ import annotations

import math
import os
import tempfile
from array import array
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neptune_exporter.model import AttributeType
from neptune_exporter_offline import series as module
from neptune_exporter_offline.series import Series, Spill

TYPES = [AttributeType.FLOAT_SERIES, AttributeType.STRING_SERIES, AttributeType.HISTOGRAM_SERIES]
ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["add"] * 12 + ["clear", "forget", "flush"]),
        st.integers(0, 5),
        st.floats(-5, 5, allow_nan=False),
        st.none() | st.integers(-(10**12), 10**12),
    ),
    max_size=60,
)


def point_of(attribute_type: AttributeType, seed: float) -> tuple[Any, Any]:
    """A value as `add` takes it, and as it comes back."""
    if attribute_type is AttributeType.FLOAT_SERIES:
        return seed * 3, seed * 3
    if attribute_type is AttributeType.STRING_SERIES:
        return f"text {seed}", f"text {seed}"
    edges, values = [seed, seed + 1, seed + 2], [1.0, seed]
    back = {"type": "COUNTING", "edges": edges, "values": values}
    return ("COUNTING", array("d", edges), array("d", values)), back


def points(series: Series) -> list[tuple[float, int | None, Any]]:
    return [
        (row["step"], row["time"], row["value"]) for batch in series.batches() for row in batch.to_pylist()
    ]


@settings(deadline=None, max_examples=150)
@given(ACTIONS, st.sampled_from([0, 100, 10**9]))
def test_any_history_reads_back(actions: list[tuple[str, int, float, int | None]], budget: int) -> None:
    expected: dict[int, list[tuple[float, int | None, Any]]] = defaultdict(list)
    with Spill(budget) as spill:
        live: dict[int, Series] = {}
        for action, number, step, time in actions:
            attribute_type = TYPES[number % len(TYPES)]
            series = live.setdefault(number, spill.new_series(attribute_type))
            if action == "add":
                value, back = point_of(attribute_type, step)
                series.add(step, time, value, 8)
                expected[number].append((step, time, back))
            elif action == "flush":
                spill.flush()
            else:
                expected[number].clear()
                if action == "clear":
                    series.clear()
                else:
                    spill.forget(live.pop(number))
        for number, series in live.items():
            assert points(series) == sorted(expected[number], key=lambda p: p[0])


def test_a_series_out_of_order_beyond_the_limit_stays_as_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SORT_LIMIT", 100)
    with Spill(budget=100) as spill:
        series = spill.new_series(AttributeType.FLOAT_SERIES)
        for step in range(50, 0, -1):
            series.add(step, 0, math.nan)
        assert [step for step, _, _ in points(series)] == list(range(50, 0, -1))


def test_a_point_that_cannot_be_kept_leaves_the_columns_of_one_length() -> None:
    with Spill() as spill:
        series = spill.new_series(AttributeType.FLOAT_SERIES)
        series.add(0, 1, 0.5)
        bad: list[tuple[Any, Any]] = [("one", 1), (None, 1), (10**400, 1), (1, 2**63), (1, "now")]
        for step, time in bad:
            with pytest.raises((TypeError, ValueError, OverflowError)):
                series.add(step, time, 1.5)
        series.add(2, None, 2.5)
        assert points(series) == [(0.0, 1, 0.5), (2.0, None, 2.5)]


def test_memory_is_bounded_and_the_file_goes_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # others write to the common one meanwhile
    budget = 2**20
    with Spill(budget) as spill:
        many = [spill.new_series(AttributeType.FLOAT_SERIES) for _ in range(50)]
        for n in range(200_000):
            many[n % 50].add(n, n, 1.0)
            assert spill.used <= budget + 24
        held = sum(len(s.steps) * 24 for s in many)
        assert held <= budget + 24
        assert spill._file is not None and spill._file.seek(0, os.SEEK_END) > 3 * budget
        assert all(type(place) is int for s in many for place in s.segments)  # a schema takes 1,000 bytes
        assert sum(batch.num_rows for s in many for batch in s.batches()) == 200_000
    assert spill._file.closed
    assert list(tmp_path.iterdir()) == []


def test_texts_of_more_than_two_gigabytes_never_meet_in_one_array() -> None:
    """Arrow's strings hold 2 GiB an array; the budget ends a batch long before."""
    with Spill(budget=10_000) as spill:
        series = spill.new_series(AttributeType.STRING_SERIES)
        for n in range(100):
            series.add(n, 0, "x" * 1000, 1000)
        sizes = [batch.nbytes for batch in series.batches()]
    assert len(sizes) >= 10 and max(sizes) < 20_000
    assert module.BUDGET + module.SORT_LIMIT < 2**31
