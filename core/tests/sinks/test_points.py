"""Points come out in order, once, however they went in and however little memory there is."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from neptune_exporter.sinks.points import Order, Points, PointSorter, SeriesOrder


def some(count: int, steps: int, series: int = 7, seed: int = 1) -> Points:
    random = np.random.default_rng(seed)
    return Points(
        random.integers(0, series, count).astype(np.int32),
        random.integers(0, steps, count).astype(np.uint64) * np.uint64(2**50),
        random.integers(0, 50, count),
        np.arange(count, dtype=np.float64),
    )


def gathered(sorter: PointSorter, window: int) -> list[Points]:
    windows = list(sorter.windows(window))
    sorter.close()
    return windows


@pytest.mark.parametrize("memory", [100, 1_000, 10**6])
@pytest.mark.parametrize("order", [Order(), SeriesOrder()])
@pytest.mark.parametrize("steps", [1, 30, 5_000])
def test_in_order_and_complete(tmp_path: Path, memory: int, order: Order, steps: int) -> None:
    points = some(5_000, steps)
    sorter = PointSorter(tmp_path / "work", order, memory)
    for start in range(0, 5_000, 333):
        sorter.add(points[start : start + 333])
    windows = gathered(sorter, 500)
    found = Points.joined([w for w in windows if len(w)])
    expected = order.sorted(points)
    assert sorted(found.value) == sorted(points.value)
    for column in ("series", "step", "time") if isinstance(order, SeriesOrder) else ("step", "time"):
        assert np.array_equal(getattr(found, column), getattr(expected, column))
    assert not list(tmp_path.glob("work/*"))


@pytest.mark.parametrize("order", [Order(), SeriesOrder()])
@pytest.mark.parametrize("steps", [1, 30, 5_000])
def test_windows_are_the_same_whatever_fits_into_memory(tmp_path: Path, order: Order, steps: int) -> None:
    """A load that goes on with more memory, or less, knows by their number which requests Pluto has."""
    points, found = some(5_000, steps), []
    for memory in (100, 333, 1_000, 10**6):
        sorter = PointSorter(tmp_path / "work", order, memory)
        for start in range(0, 5_000, 333):
            sorter.add(points[start : start + 333])
        found.append([w.value.tolist() for w in gathered(sorter, 150)])
    assert all(windows == found[0] for windows in found[1:])


def test_windows_end_between_steps(tmp_path: Path) -> None:
    sorter = PointSorter(tmp_path, memory_points=400)
    sorter.add(some(3_000, 100))
    windows = gathered(sorter, 250)
    assert len(windows) > 5
    for before, after in itertools.pairwise(windows):
        assert before.step[-1] < after.step[0]


def test_a_step_larger_than_memory(tmp_path: Path) -> None:
    sorter = PointSorter(tmp_path, memory_points=100)
    for _ in range(20):
        sorter.add(some(100, 1))
    (window,) = gathered(sorter, 50)
    assert len(window) == 2_000


def test_nothing_in_nothing_out(tmp_path: Path) -> None:
    assert sum(map(len, gathered(PointSorter(tmp_path), 10))) == 0
