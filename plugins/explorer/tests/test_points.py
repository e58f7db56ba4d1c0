"""What becomes of the points of a series on the way to the pixels."""

from __future__ import annotations

import numpy as np
import pytest

from neptune_exporter_explorer.curves import Curve, curve, in_order


def of(x: object, y: object, buckets: int = 100) -> Curve:
    return curve([(np.asarray(x, float), np.asarray(y, float))], buckets)


def test_a_spike_of_one_point_among_a_million_is_seen() -> None:
    y = np.sin(np.arange(1_000_000) / 50_000)
    y[654_321] = 99.0
    y[765_432] = -99.0
    found = of(np.arange(1_000_000), y, 200)
    assert len(found.x) <= 402
    assert found.x[found.y == 99.0].tolist() == [654_321]
    assert found.x[found.y == -99.0].tolist() == [765_432]
    assert found.points == 1_000_000


def test_a_spike_is_seen_in_a_series_that_does_not_fit_in_one_piece() -> None:
    def pieces():  # type: ignore[no-untyped-def]
        for i in range(60):
            x = np.arange(i * 100_000, (i + 1) * 100_000, dtype=float)
            y = np.zeros(len(x))
            y[12_345] = 7.0 if i == 41 else 0.0
            yield x, y

    found = curve(pieces(), 100)
    assert found.points == 6_000_000 and len(found.x) <= 202
    assert found.x[found.y == 7.0].tolist() == [4_112_345]


def test_minimum_and_maximum_of_each_bucket_stay() -> None:
    generator = np.random.default_rng(1)
    y = generator.normal(size=10_000)
    found = of(np.arange(10_000), y, 100)
    for bucket in np.arange(10_000).reshape(100, 100)[1:-1]:
        # the library leaves the ends of the range to buckets of their own: neighbours may share an edge
        near = (found.x >= bucket[0] - 100) & (found.x <= bucket[-1] + 100)
        assert y[bucket].max() <= found.y[near].max() and y[bucket].min() >= found.y[near].min()


def test_first_and_last_point_stay_and_few_points_are_as_they_were() -> None:
    y = np.random.default_rng(2).normal(size=5_000)
    found = of(np.arange(5_000), y, 50)
    assert (found.x[0], found.x[-1]) == (0, 4_999)
    few = of([0, 0.5, 1], [1, 2, 3])
    assert few.x.tolist() == [0, 0.5, 1] and few.y.tolist() == [1, 2, 3]


def test_nan_and_infinities_are_reported_and_never_drawn_through() -> None:
    found = of(range(6), [0, np.nan, 2, np.inf, 4, -np.inf])
    assert found.x.tolist() == [0, 2, 4]
    assert len(set(found.segment)) == 3
    assert found.odd_x.tolist() == [1, 3, 5]
    assert np.isnan(found.odd_y[0]) and found.odd_y[1:].tolist() == [np.inf, -np.inf]


def test_a_hole_in_the_steps_is_a_gap_and_another_rate_is_none() -> None:
    hole = of([0, 1, 2, 3, 400, 401, 402], range(7))
    assert np.flatnonzero(np.diff(hole.segment)).tolist() == [3]
    rarer = of([0, 1, 2, 3, 103, 203, 303], range(7))
    assert len(set(rarer.segment)) == 1
    repeated = of([0, 0, 0, 1, 1, 1, 2, 2], range(8))
    assert len(set(repeated.segment)) == 1 and len(repeated.x) == 8


def test_a_gap_between_two_pieces_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neptune_exporter_explorer.curves._CHUNK", 4)
    x = np.array([0, 1, 2, 3, 400, 401, 402, 403.0])
    found = curve([(x[:4], x[:4]), (x[4:], x[4:])], 100)
    assert np.flatnonzero(np.diff(found.segment)).tolist() == [3]


def test_falling_and_missing_steps_are_put_in_order() -> None:
    x, y = in_order(np.array([3, 1, np.nan, 1, 2.5]), np.array([30, 10, 0, 11, 25.0]))
    assert x.tolist() == [1, 1, 2.5, 3] and y.tolist() == [10, 11, 25, 30]


def test_of_many_nan_a_few_of_each_kind_stay() -> None:
    y = np.full(100_000, np.nan)
    y[500] = np.inf
    found = of(np.arange(100_000), y, 100)
    assert found.points == 100_000 and len(found.odd_x) <= 300
    assert found.odd_x[np.isposinf(found.odd_y)].tolist() == [500]
