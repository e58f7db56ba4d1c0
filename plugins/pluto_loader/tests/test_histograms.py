"""Histograms: exact where Pluto can draw them, else the nearest drawing and the exact numbers."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neptune_exporter_pluto.form.histograms import draw


def drawn(
    kind: str, edges: list[float], values: list[float]
) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    drawing = draw(kind, np.array(edges, np.float64), np.array(values, np.float64))
    histogram = None if drawing.histogram is None else json.loads(drawing.histogram)
    return histogram, [json.loads(table) for table in drawing.tables]


def test_counts_in_even_bins_are_exact() -> None:
    histogram, tables = drawn("COUNTING", [0, 0.5, 1], [3, 4])
    assert histogram == {
        "freq": [3, 4],
        "maxFreq": 4,
        "bins": {"min": 0, "max": 1, "num": 2},
        "shape": "uniform",
        "type": "Histogram",
        "v": 1,
    }
    assert tables == []


def test_edges_as_numpy_makes_them_are_even() -> None:
    for low, high in ((-3.7, 9.1), (0.1, 0.3), (1e-9, 2e-9), (-1e12, 1e12)):
        edges = np.histogram_bin_edges([low, high], 64)
        histogram, tables = drawn("COUNTING", edges.tolist(), [1.0] * 64)
        assert histogram is not None and tables == []


def test_edges_that_were_added_up_or_multiplied_are_even() -> None:
    multiplied = [0.1 + 0.3 * n for n in range(65)]
    for edges in (multiplied, [n / 10 for n in range(11)], np.arange(-1, 1.05, 0.1).tolist()):
        assert drawn("COUNTING", edges, [1.0] * (len(edges) - 1))[1] == []


@pytest.mark.parametrize(
    "edges",
    [
        [1e12, 1e12 + 0.1, 1e12 + 1],
        [1.7e12, 1.7e12 + 0.2, 1.7e12 + 2],
        [1e16, 1e16 + 4, 1e16 + 10, 1e16 + 12],
        [0, 0.5 + 1e-9, 1],
    ],
)
def test_edges_that_are_nearly_even_are_not_taken_for_even(edges: list[float]) -> None:
    histogram, (table,) = drawn("COUNTING", edges, [5.0] * (len(edges) - 1))
    assert histogram is not None
    assert [row[1:3] for row in table["table"]] == [list(pair) for pair in itertools.pairwise(edges)]


@pytest.mark.parametrize("kind", ["DENSITY", ""])
def test_only_counts_are_exact(kind: str) -> None:
    """A density of 2 on each of two bins is no two entries."""
    histogram, (table,) = drawn(kind, [0, 0.25, 0.5], [2, 2])
    assert histogram is not None
    assert [row[1:] for row in table["table"]] == [[0, 0.25, 2], [0.25, 0.5, 2]]
    assert table["col"][3]["name"] == f"value ({kind})"


def test_uneven_bins_keep_their_mass() -> None:
    histogram, tables = drawn("COUNTING", [0, 1, 2, 10], [8, 0, 4])
    assert histogram is not None
    assert sum(histogram["freq"]) == 12
    assert histogram["bins"] == {"min": 0, "max": 10, "num": 3}
    assert histogram["freq"][0] >= 8
    (table,) = tables
    assert [row[1:] for row in table["table"]] == [[0, 1, 8], [1, 2, 0], [2, 10, 4]]
    assert table["col"][3]["name"] == "value (COUNTING)"


def test_a_density_is_drawn_by_its_area() -> None:
    histogram, _ = drawn("DENSITY", [0, 1, 3], [0.5, 0.25])
    assert histogram is not None
    # a mass of 1/2 on [0, 1] and of 1/2 on [1, 3]: the even bin [0, 1.5] holds 5/8 of it
    assert histogram["freq"] == [6_250, 3_750]


def test_numbers_that_json_lacks_are_text() -> None:
    histogram, (table,) = drawn("COUNTING", [-math.inf, 0, 1], [1, math.nan])
    assert table["table"] == [[0, "-Infinity", 0.0, 1.0], [1, 0.0, 1.0, "NaN"]]
    assert histogram is None or all(type(n) is int for n in histogram["freq"])


def test_what_has_no_width_is_a_table_only() -> None:
    histogram, tables = drawn("COUNTING", [1, 1], [5])
    assert histogram is None and len(tables) == 1


def test_long_histograms_stay_below_the_line_limit() -> None:
    edges = np.geomspace(1e-300, 1e300, 5_001)
    drawing = draw("COUNTING", edges, np.full(5_000, 1 / 3))
    assert drawing.histogram is not None
    assert all(len(json.dumps(part.decode())) < 64_000 for part in (drawing.histogram, *drawing.tables))
    rows = [row for table in drawing.tables for row in json.loads(table)["table"]]
    assert [row[0] for row in rows] == list(range(5_000))


@given(
    st.lists(st.floats(), min_size=0, max_size=12),
    st.lists(st.floats(), min_size=0, max_size=12),
    st.sampled_from(["COUNTING", "DENSITY", ""]),
)
def test_nothing_breaks_its_siblings(edges: list[float], values: list[float], kind: str) -> None:
    """Integers only, a finite range, as many as announced: what Pluto's reader demands of every row."""
    histogram, tables = drawn(kind, edges, values)
    assert histogram is not None or tables
    if histogram is not None:
        counts, bins = histogram["freq"], histogram["bins"]
        assert all(type(count) is int and count >= 0 for count in counts)
        assert len(counts) == bins["num"] and histogram["maxFreq"] == max(counts)
        assert math.isfinite(bins["min"]) and math.isfinite(bins["max"]) and bins["min"] < bins["max"]
    if tables:
        numbers = [row[3] for table in tables for row in table["table"]]
        read = [None if n is None else float(n) for n in numbers][: len(values)]
        assert all(
            a == b or (a is not None and math.isnan(a) and math.isnan(b))
            for a, b in zip(read, values, strict=True)
        )
