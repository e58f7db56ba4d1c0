"""The float points on the wire are the bytes that the protobuf library writes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from neptune_query.generated.neptune_api.proto.neptune_pb.api.v1.model import series_values_pb2

from neptune_exporter_neptune3_server import FloatSeries
from neptune_exporter_neptune3_server.points import Points, encode, varint

INT64 = st.integers(-(2**63), 2**63 - 1)
POINT = st.tuples(
    st.one_of(INT64, st.integers(1_700_000_000_000, 1_800_000_000_000)),
    st.one_of(st.floats(allow_nan=False), st.just(0.0)),
    st.one_of(st.floats(), st.just(0.0)),
    st.booleans(),
    st.floats(0, 1, width=32),
)


def as_protobuf(rows: list[tuple[int, float, float, bool, float]]) -> bytes:
    message = series_values_pb2.ProtoFloatSeriesValuesDTO()
    for time, step, value, preview, ratio in rows:
        message.values.add(
            timestamp_millis=time, step=step, value=value, is_preview=preview, completion_ratio=ratio
        )
    return bytes(message.SerializeToString())


@settings(max_examples=200, deadline=None)
@given(st.lists(POINT, max_size=40))
def test_any_points(rows: list[tuple[int, float, float, bool, float]]) -> None:
    times, steps, values, previews, ratios = zip(*rows, strict=True) if rows else ((),) * 5
    points = Points(
        np.array(times, np.int64),
        np.array(steps, np.float64),
        np.array(values, np.float64),
        np.array(previews, np.bool_),
        np.array(ratios, np.float32),
    )
    assert encode(points) == as_protobuf(rows)


@pytest.mark.parametrize("count", [1, 8191, 8192, 8193, 20_000])
def test_many_points_without_previews(count: int) -> None:
    steps = np.arange(count, dtype=np.float64)
    values = np.where(steps % 7 == 0, 0.0, steps / 3)
    series = FloatSeries(steps, values)
    rows = [(1_704_067_200_000 + 1000 * n, float(n), float(values[n]), False, 1.0) for n in range(count)]
    assert encode(series.points) == as_protobuf(rows)
    assert encode(series.points[::-1]) == as_protobuf(rows[::-1])


def test_points_are_put_in_order_of_their_steps() -> None:
    series = FloatSeries([3, 1, 1, 2], [30, 10, 11, 20], [3, 1, 0, 2], previews=[True, False, False, False])
    assert series.points.steps.tolist() == [1, 1, 2, 3]
    assert series.points.values.tolist() == [10, 11, 20, 30]
    assert series.points.timestamps.tolist() == [1, 0, 2, 3]
    assert series.committed.values.tolist() == [10, 11, 20]
    assert series.aggregates["last"] == 20


def test_arrays_are_taken_as_they_are() -> None:
    steps, values = np.arange(10.0), np.ones(10)
    series = FloatSeries(steps, values)
    assert series.points.steps is steps
    assert series.points.values is values


@pytest.mark.parametrize(
    ("number", "encoded"), [(0, b"\x00"), (127, b"\x7f"), (128, b"\x80\x01"), (300, b"\xac\x02")]
)
def test_varints(number: int, encoded: bytes) -> None:
    assert varint(number) == encoded


def test_columns_must_have_one_length() -> None:
    with pytest.raises(ValueError, match="one length"):
        FloatSeries([0, 1], [0])
