"""The columns read from an answer are what the protobuf library reads, for answers of any form."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from neptune_exporter_neptune3 import points as module
from neptune_exporter_neptune3.client import ProtoFloatSeriesValuesResponseDTO
from neptune_exporter_neptune3.points import decode

Row = tuple[int, float, float, bool, float]

INT64 = st.integers(-(2**63), 2**63 - 1)
TIMES = st.one_of(INT64, st.just(0), st.integers(1_700_000_000_000, 1_800_000_000_000))
FLOATS = st.one_of(st.floats(), st.sampled_from([0.0, -0.0, 1.0, float("nan")]))
ROWS = st.lists(st.tuples(TIMES, FLOATS, FLOATS, st.booleans(), st.floats(0, 1, width=32)), max_size=30)


def answer(series: Sequence[Sequence[Row]], totals: bool = True) -> bytes:
    message = ProtoFloatSeriesValuesResponseDTO()
    for number, rows in enumerate(series):
        part = message.series.add(requestId=str(number))
        part.series.total_item_count = len(rows) * totals
        for time, step, value, preview, ratio in rows:
            part.series.values.add(
                timestamp_millis=time, step=step, value=value, is_preview=preview, completion_ratio=ratio
            )
    return bytes(message.SerializeToString())


def check(content: bytes) -> None:
    message = ProtoFloatSeriesValuesResponseDTO.FromString(content)
    found = decode(content)
    assert [each.request_id for each in found] == [each.requestId for each in message.series]
    for read, written in zip(found, message.series, strict=True):
        rows = written.series.values
        assert read.total == written.series.total_item_count
        assert read.points.times.tolist() == [row.timestamp_millis for row in rows]
        assert read.points.steps.tobytes() == np.array([row.step for row in rows]).tobytes()
        assert read.points.values.tobytes() == np.array([row.value for row in rows]).tobytes()
        preview = read.points.preview
        shown = [False] * len(rows) if preview is None else preview.tolist()
        assert shown == [row.is_preview for row in rows]


@settings(max_examples=200, deadline=None)
@given(st.lists(ROWS, max_size=5), st.booleans())
def test_anything(series: list[list[Row]], totals: bool) -> None:
    check(answer(series, totals))


def logged(count: int, zeros: int = 0) -> list[Row]:
    return [
        (1_704_067_200_000 + n, float(n), 0.0 if zeros and n % zeros == 0 else n / 3, False, 1.0)
        for n in range(count)
    ]


@pytest.mark.parametrize("zeros", [0, 2, 7, 5_000])
@pytest.mark.parametrize("count", [1, 2, 255, 256, 257, 5_000, 70_000])
def test_long_series(count: int, zeros: int) -> None:
    check(answer([logged(count, zeros)]))


def test_many_series_alike_and_not() -> None:
    silent: list[Row] = [(1, float(n), 0.0, False, 1.0) for n in range(100)]
    check(answer([logged(100), logged(100, 3), [], logged(1), silent, *[logged(50)] * 40]))


def test_common_answers_need_no_protobuf(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(content: bytes) -> list[module.SeriesPoints]:
        raise AssertionError("left to the protobuf library")

    content = answer([logged(70_000), logged(5_000, 2), *[logged(50, 3)] * 40, []])
    monkeypatch.setattr(module, "_with_protobuf", never)
    assert sum(len(each.points) for each in decode(content)) == 77_000


def test_fields_in_another_order_are_left_to_the_library() -> None:
    """As protobuf allows: the value before the step, the id after the points."""
    point = b"\x19" + np.float64(2.5).tobytes() + b"\x11" + np.float64(7).tobytes()
    inner = b"\x12" + bytes([len(point)]) + point
    series = b"\x12" + bytes([len(inner)]) + inner + b"\x0a\x011"
    check(b"\x0a" + bytes([len(series)]) + series)


@settings(max_examples=200, deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=3), st.data())
def test_a_damaged_answer_is_never_read_differently(series: list[list[Row]], data: st.DataObject) -> None:
    content = bytearray(answer(series))
    if not content:
        return
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    try:
        ProtoFloatSeriesValuesResponseDTO.FromString(bytes(content))
    except DecodeError:
        with pytest.raises((DecodeError, ValueError)):
            decode(bytes(content))
        return
    check(bytes(content))
