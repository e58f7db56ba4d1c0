"""Bytes that Pluto takes: what went in comes out of a JSON reader, and no line is long."""

from __future__ import annotations

import json
import math
from collections import defaultdict

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from neptune_exporter.sinks.points import Order, Points
from neptune_exporter_pluto.form.ingest_lines import log_rows, object_row, string_rows
from neptune_exporter_pluto.form.metric_lines import MetricEncoder
from neptune_exporter_pluto.form.text import colon_numbers, json_content, lines_of

TEXTS = st.lists(st.text(st.characters(codec="utf-8")), min_size=1, max_size=20)


@given(TEXTS)
@example(["", '"', "\\", "\x00\x01\x1f\x7f", "a\nb\r\n\tc", "\u2028\u2029", "\U0001f680", '\\"', "\\n"])
def test_any_text_survives(texts: list[str]) -> None:
    escaped = json_content(pa.array(texts, pa.string())).to_pylist()
    assert [json.loads(f'"{e}"') for e in escaped] == texts
    assert not any("\n" in e for e in escaped)


@given(st.lists(st.floats(), min_size=1))
def test_any_number_survives(values: list[float]) -> None:
    special = {'"NaN"': math.nan, '"Infinity"': math.inf, '"-Infinity"': -math.inf}
    texts = [t.decode() for t in colon_numbers(np.array(values)).to_pylist()]
    for text, value in zip(texts, values, strict=True):
        assert text[0] == ":"
        found = special[text[1:]] if text[1:] in special else float(json.loads(text[1:]))
        assert found == value or (math.isnan(found) and math.isnan(value))


def encoded(points: Points, names: list[str], flush: int = 3, size: int = 200) -> list[bytes]:
    bodies = list(MetricEncoder(names, flush, size).bodies(Order().sorted(points)))
    for body in bodies:  # Pluto tells how many points it took
        assert body.points == sum(len(orjson.loads(line)["data"]) for line in body.lines.splitlines())
    return [body.lines for body in bodies]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 4), st.integers(0, 2**64 - 1), st.integers(0, 2**42), st.floats(allow_nan=False)
        ),
        min_size=1,
        max_size=60,
        unique_by=lambda p: (p[0], p[1]),
    )
)
def test_any_points_survive(rows: list[tuple[int, int, int, float]]) -> None:
    names = ["loss", 'quo"ted', "nüll\\", "a/b c", "x" * 300]
    columns = list(zip(*rows, strict=True))
    points = Points(
        np.array(columns[0], np.int32),
        np.array(columns[1], np.uint64),
        np.array(columns[2], np.int64),
        np.array(columns[3], np.float64),
    )
    found = []
    for body in encoded(points, names):
        assert body.endswith(b"}}\n")
        for line in body.splitlines():
            record = orjson.loads(line)
            assert list(record) == ["time", "step", "data"]
            for name, value in record["data"].items():
                value = {"Infinity": math.inf, "-Infinity": -math.inf}.get(value, value)
                found.append((names.index(name), record["step"], record["time"], value))
    assert sorted(found) == sorted(rows)


def test_all_metrics_of_a_step_are_on_one_line() -> None:
    series, steps = 20, 500
    points = Points(
        np.repeat(np.arange(series, dtype=np.int32), steps),
        np.tile(np.arange(steps, dtype=np.uint64), series),
        np.tile(np.arange(steps, dtype=np.int64), series),
        np.random.default_rng(1).random(series * steps),
    )
    lines = b"".join(encoded(points, [f"m{i}" for i in range(series)])).splitlines()
    assert len(lines) == steps
    assert all(len(orjson.loads(line)["data"]) == series for line in lines)


@pytest.mark.parametrize("series", [1, 2, 7])
@pytest.mark.parametrize("value", [0.5, math.nan, -math.inf])
def test_regular_lines_are_put_together_as_any_others(
    series: int, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = 50
    values = np.random.default_rng(1).random(series * steps)
    values[3::5] = value
    points = Points(
        np.tile(np.arange(series, dtype=np.int32)[::-1], steps),
        np.repeat(np.arange(steps, dtype=np.uint64), series),
        np.repeat(np.arange(steps, dtype=np.int64), series),
        values,
    )
    names = [f'm"{i}' for i in range(series)]
    regular = encoded(points, names)
    assert MetricEncoder(names, 3, 200)._regular(points, np.arange(0, len(points), series)) is not None
    monkeypatch.setattr(MetricEncoder, "_regular", lambda *_: None)
    assert encoded(points, names) == regular


def test_lines_of_different_series_are_not_regular() -> None:
    points = Points(
        np.array([0, 1, 1, 2], np.int32),
        np.array([0, 0, 1, 1], np.uint64),
        np.array([0, 0, 1, 1], np.int64),
        np.array([1.0, 2.0, 3.0, 4.0]),
    )
    lines = [orjson.loads(line)["data"] for line in b"".join(encoded(points, ["a", "b", "c"])).splitlines()]
    assert lines == [{"a": 1.0, "b": 2.0}, {"b": 3.0, "c": 4.0}]


def test_a_metric_keeps_its_own_time() -> None:
    points = Points(np.array([0, 1], np.int32), np.array([5, 5], np.uint64), np.array([10, 11]), np.ones(2))
    lines = [orjson.loads(line) for line in b"".join(encoded(points, ["a", "b"])).splitlines()]
    assert [(line["time"], list(line["data"])) for line in lines] == [(10, ["a"]), (11, ["b"])]


def test_no_line_is_long() -> None:
    series = 3_000
    names = [f"{'deep/' * 20}{i}" for i in range(series)]
    points = Points(
        np.arange(series, dtype=np.int32),
        np.zeros(series, np.uint64),
        np.zeros(series, np.int64),
        np.ones(series),
    )
    lines = b"".join(encoded(points, names, size=1 << 20)).splitlines()
    assert max(map(len, lines)) < 65_536
    assert sum(len(orjson.loads(line)["data"]) for line in lines) == series


def test_bodies_hold_whole_lines_and_at_least_so_many() -> None:
    points = Points(
        np.zeros(1_000, np.int32), np.arange(1_000, dtype=np.uint64), np.arange(1_000), np.ones(1_000)
    )
    bodies = encoded(points, ["a"], flush=100, size=1)
    assert [body.count(b"\n") for body in bodies] == [100] * 10
    assert len(encoded(points, ["a"], flush=100, size=1 << 20)) == 1


@given(TEXTS)
def test_data_and_log_lines_hold_their_text(texts: list[str]) -> None:
    count = len(texts)
    times, steps = np.arange(count), np.arange(count, dtype=np.uint64) + np.uint64(2**63)
    rows = string_rows(times, steps, np.zeros(count, np.int32), ['na"me'], pa.array(texts, pa.string()))
    for number, line in enumerate(bytes(lines_of(rows)).decode().split("\n")[:-1]):
        wanted = {"time": number, "step": 2**63 + number, "dataType": "string-series", "logName": 'na"me'}
        assert json.loads(line) == wanted | {"data": texts[number]}
    logs = log_rows(times, times + 1, pa.array(["INFO"] * count), pa.array(texts, pa.string()))
    for number, line in enumerate(bytes(lines_of(logs[0:])).decode().split("\n")[:-1]):
        wanted = {"time": number, "lineNumber": number + 1, "logType": "INFO", "message": texts[number]}
        assert json.loads(line) == wanted


def test_lines_of_a_slice_are_those_of_the_slice() -> None:
    lines = pa.array(["a\n", "bb\n", "ccc\n"])
    assert bytes(lines_of(lines[1:])) == b"bb\nccc\n"
    assert bytes(lines_of(lines[3:])) == b""


def test_an_object_is_text_inside_of_the_line() -> None:
    line = json.loads(object_row(1, 2, "TABLE", "é", b'{"a":"\xc3\xa9"}'))
    assert line == {"time": 1, "step": 2, "dataType": "TABLE", "logName": "é", "data": '{"a":"é"}'}


def test_grouping_counts() -> None:
    """Splitting a line for its length loses and repeats nothing."""
    counts: dict[str, int] = defaultdict(int)
    series = 700
    points = Points(
        np.tile(np.arange(series, dtype=np.int32), 3),
        np.repeat(np.arange(3, dtype=np.uint64), series),
        np.zeros(series * 3, np.int64),
        np.ones(series * 3),
    )
    for line in b"".join(encoded(points, [f"{i}-" + "x" * 200 for i in range(series)])).splitlines():
        for name in orjson.loads(line)["data"]:
            counts[name] += 1
    assert set(counts.values()) == {3} and len(counts) == series
