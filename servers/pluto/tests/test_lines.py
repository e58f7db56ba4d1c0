"""Both readers of a block agree with each other and with what the real ingest does."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neptune_exporter_pluto_server import metric_lines, record_lines
from neptune_exporter_pluto_server.lines import Block, blocks
from neptune_exporter_pluto_server.points import NameIds
from neptune_exporter_pluto_server.record_lines import DATA_LINES, LOG_LINES, RecordKind

GOOD = b'{"time":1,"step":2,"data":{"a":0.5,"b":3}}'
U64 = 2**64 - 1

TAKEN = {
    b'{"time":1,"step":2,"data":{"a":0.5}}': [("a", 2, 1, 0.5)],
    b'{"data":{"a":1},"step":2,"time":1}': [("a", 2, 1, 1.0)],
    b' \t{"time" : 1 , "step":2,"data":{"a": -1.5e-3}} \r': [("a", 2, 1, -0.0015)],
    b'{"time":0,"step":18446744073709551615,"data":{"a":18446744073709551615}}': [("a", U64, 0, 2.0**64)],
    b'{"time":1,"step":2,"data":{"a":-9223372036854775808}}': [("a", 2, 1, -(2.0**63))],
    b'{"time":1,"step":2,"data":{"a":null,"b":2}}': [("b", 2, 1, 2.0)],
    b'{"time":1,"step":2,"data":{"a":"NaN"}}': [("a", 2, 1, math.nan)],
    b'{"time":1,"step":2,"data":{"a":"Infinity","b":"-Infinity"}}': [
        ("a", 2, 1, math.inf),
        ("b", 2, 1, -math.inf),
    ],
    b'{"time":1,"step":2,"data":{"a":NaN,"b":-Infinity}}': [("a", 2, 1, math.nan), ("b", 2, 1, -math.inf)],
    b'{"time":1,"step":2,"data":{"NaN \\" Infinity":Infinity}}': [('NaN " Infinity', 2, 1, math.inf)],
    b'{"time":1,"step":2,"data":{"a":1,"a":2}}': [("a", 2, 1, 2.0)],
    b'{"time":1,"step":2,"data":{"a":1,"a":null}}': [("a", 2, 1, 1.0)],
    b'{"time":1,"step":2,"data":{"\\u00e9/\xc3\xa9":1}}': [("é/é", 2, 1, 1.0)],
    b'{"\\u0074ime":1,"step":2,"data":{"a":1}}': [("a", 2, 1, 1.0)],
    b'{"time":1,"step":2,"data":{"time":1,"step":2,"data":3}}': [
        ("time", 2, 1, 1.0),
        ("step", 2, 1, 2.0),
        ("data", 2, 1, 3.0),
    ],
    b'{"time":1,"step":2,"data":{"a":1e5}}': [("a", 2, 1, 1e5)],
    b'{"time":1,"step":2,"data":{"a":4.9e-324}}': [("a", 2, 1, 5e-324)],
    b"": [],
    b" \t \r": [],
}

REFUSED = [
    b"nonsense",
    b"[1,2,3]",
    b"3",
    b"null",
    b"{}",
    b'{"time":1,"step":2}',
    b'{"step":2,"data":{"a":1}}',
    b'{"time":1,"data":{"a":1}}',
    b'{"time":1,"step":2,"data":{"a":1},"extra":1}',
    b'{"time":1,"step":2,"data":{"a":1},"Time":1}',
    b'{"time":1,"time":1,"step":2,"data":{"a":1}}',
    b'{"time" :1,"time":1,"step":2,"data":{"a":1}}',
    b'{"time":1,"\\u0074ime":1,"step":2,"data":{"a":1}}',
    b'{"time":1,"step":2,"data":{"a":1},"data":{"a":1}}',
    b'{"time\\u0000":1,"step":2,"data":{"a":1}}',
    b'{"time":1,"step":-1,"data":{"a":1}}',
    b'{"time":1,"step":1.0,"data":{"a":1}}',
    b'{"time":1,"step":1.5,"data":{"a":1}}',
    b'{"time":1,"step":1e3,"data":{"a":1}}',
    b'{"time":1,"step":"2","data":{"a":1}}',
    b'{"time":1,"step":null,"data":{"a":1}}',
    b'{"time":1,"step":true,"data":{"a":1}}',
    b'{"time":1,"step":18446744073709551616,"data":{"a":1}}',
    b'{"time":1,"step":NaN,"data":{"a":1}}',
    b'{"time":-5,"step":2,"data":{"a":1}}',
    b'{"time":1.5,"step":2,"data":{"a":1}}',
    b'{"time":1,"step":2,"data":{}}',
    b'{"time":1,"step":2,"data":{"a":null}}',
    b'{"time":1,"step":2,"data":null}',
    b'{"time":1,"step":2,"data":[]}',
    b'{"time":1,"step":2,"data":[["a",1]]}',
    b'{"time":1,"step":2,"data":"a"}',
    b'{"time":1,"step":2,"data":{"":1}}',
    b'{"time":1,"step":2,"data":{" ":1}}',
    b'{"time":1,"step":2,"data":{"a":"0.5"}}',
    b'{"time":1,"step":2,"data":{"a":"nan"}}',
    b'{"time":1,"step":2,"data":{"a":"inf"}}',
    b'{"time":1,"step":2,"data":{"a":Inf}}',
    b'{"time":1,"step":2,"data":{"a":nan}}',
    b'{"time":1,"step":2,"data":{"a":true}}',
    b'{"time":1,"step":2,"data":{"a":{"b":1}}}',
    b'{"time":1,"step":2,"data":{"a":[1]}}',
    b'{"time":1,"step":2,"data":{"a":18446744073709551616}}',
    b'{"time":1,"step":2,"data":{"a":-9223372036854775809}}',
    b'{"time":1,"step":2,"data":{"a":1e400}}',
    b'{"time":1,"step":2,"data":{"a":01}}',
    b'{"time":1,"step":2,"data":{"a":1.}}',
    b'{"time":1,"step":2,"data":{"a":+1}}',
    b'{"time":1,"step":2,"data":{"a":1,}}',
    b'{"time":1,"step":2,"data":{"a":1}} x',
    b'{"time":1,"step":2,"data":{"a":1}} {"time":1,"step":2,"data":{"a":1}}',
    b'{"time":1,"step":2,"data":{"a":1}},{"time":1,"step":2,"data":{"a":1}}',
    b'{"time":1,"step":2,"data":{"\xff":1}}',
    b'{"time":1,"step":2,"data":{"\\ud800":1}}',
    b'{"time":1,"step":2,"data":{"a\x01":1}}',
    b'{"time":1,"step":2,"data":{"a\x00":1}}',
    b'\xef\xbb\xbf{"time":1,"step":2,"data":{"a":1}}',
    b'{"time":1,"step":2,"data":{"a":1}}\xc2\xa0',
    b"{'time':1,'step':2,'data':{'a':1}}",
    b'{"time":1,"step":2,"data":{"a":1}',
    b'"step":2,"data":{"a":1}}',
]


def exact(text: bytes) -> tuple[list[tuple[str, int, int, float]], str | None]:
    ids = NameIds()
    points, error = metric_lines.read_exact(Block(text, False), ids)
    return rows(points, ids), None if error is None else str(error)


def fast(text: bytes) -> list[tuple[str, int, int, float]] | None:
    ids = NameIds()
    points = metric_lines.read_fast(text, ids)
    return None if points is None else rows(points, ids)


def rows(points: Any, ids: NameIds) -> list[tuple[str, int, int, float]]:
    names = list(ids)
    return [(names[name], *rest) for name, *rest in points.tolist()]


def same(a: Any, b: Any) -> bool:
    """Equal rows in any order; NaN is equal to itself, 0.0 to -0.0."""
    return sorted(map(repr, normal(a))) == sorted(map(repr, normal(b)))


def normal(found: Any) -> Any:
    return [(*row[:3], row[3] + 0.0) for row in found]


@pytest.mark.parametrize("line", TAKEN)
def test_lines_that_are_taken(line: bytes) -> None:
    found, error = exact(line)
    assert error is None
    assert same(found, TAKEN[line])
    quick = fast(line)
    assert quick is None or same(quick, found)


@pytest.mark.parametrize("line", REFUSED)
def test_lines_that_are_refused_keep_what_came_before(line: bytes) -> None:
    found, error = exact(GOOD + b"\n" + line + b"\n" + GOOD)
    assert same(found, [("a", 2, 1, 0.5), ("b", 2, 1, 3.0)])
    assert error is not None
    assert "Error)" in error
    for text in (line, GOOD + b"\n" + line, line + b"\n" + GOOD, GOOD + b"\n" + line + b"\n" + GOOD):
        assert fast(text) is None


@pytest.mark.parametrize(
    "text",
    [
        b'{"time":1,"step":2,\n"data":{"a":1}}\n' + GOOD + GOOD,  # as many objects as lines
        b'{"time":1,"step":2,"data":{"a":1}\n}\n{"time":1,"step":2,"data":{"a":1}}',
        GOOD + b"\n\n" + GOOD,
        GOOD + b"\r\n" + GOOD,
        b"[" + GOOD + b"\n" + GOOD + b"]",
        GOOD + b"\n" + GOOD + GOOD + b"\n{\n}",
    ],
)
def test_newlines_end_lines_and_nothing_else(text: bytes) -> None:
    found, error = exact(text)
    quick = fast(text)
    assert quick is None or (error is None and same(quick, found))


def test_the_fast_reader_reads_what_a_loader_sends() -> None:
    lines = [
        json.dumps({"time": i, "step": i, "data": {"x": i / 7, "y/é": i}}, ensure_ascii=False)
        for i in range(50)
    ]
    text = "\n".join(lines).encode()
    quick = fast(text)
    assert quick is not None
    assert same(quick, exact(text)[0])
    assert len(quick) == 100


def test_many_sparse_series_are_left_to_the_exact_reader() -> None:
    lines = [json.dumps({"time": i, "step": i, "data": {f"series_{i}": 0.5}}) for i in range(500)]
    text = "\n".join(lines).encode()
    assert fast(text) is None
    assert len(exact(text)[0]) == 500


VALUES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**70), 2**70),
    st.sampled_from(["NaN", "Infinity", "-Infinity", "0.5", True, None]),
)
COUNTS = st.one_of(st.integers(0, 2**64 - 1), st.sampled_from([-1, 0.5, 1.0, "1", None, 2**64]))
NAMES = st.one_of(st.sampled_from(["a", "b", "train/loss", "é"]), st.text(max_size=4))
LINES = st.fixed_dictionaries(
    {"time": COUNTS, "step": COUNTS, "data": st.dictionaries(NAMES, VALUES, max_size=3)},
    optional={"extra": st.just(1)},
)
REGULAR = st.fixed_dictionaries(
    {
        "time": st.integers(0, 2**64 - 1),
        "step": st.integers(0, 2**64 - 1),
        "data": st.dictionaries(
            st.sampled_from(["a", "b", "train/loss", "é"]),
            st.floats(allow_nan=False, allow_infinity=False, max_value=1e18, min_value=-1e18),
            min_size=1,
        ),
    }
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # how fast the machine is, is not tested
@given(st.lists(st.one_of(REGULAR, REGULAR, LINES), min_size=1, max_size=5), st.booleans())
def test_both_readers_of_metrics_agree(lines: list[Any], ascii_only: bool) -> None:
    text = b"\n".join(json.dumps(line, ensure_ascii=ascii_only).encode("utf-8", "replace") for line in lines)
    found, error = exact(text)
    quick = fast(text)
    if quick is not None:
        assert error is None
        assert same(quick, found)


@given(st.lists(REGULAR, min_size=1, max_size=20))
def test_every_regular_line_is_taken_with_its_very_values(lines: list[Any]) -> None:
    text = b"\n".join(json.dumps(line).encode() for line in lines)
    found, error = exact(text)
    assert error is None
    expected = [
        (name, line["step"], line["time"], value) for line in lines for name, value in line["data"].items()
    ]
    assert same(found, expected)


LOG = {"time": 1, "message": "hello", "lineNumber": 2, "logType": "INFO"}
DATUM = {"time": 1, "step": 2, "dataType": "HISTOGRAM", "logName": "h", "data": "{}"}


def record(kind: RecordKind, text: bytes) -> tuple[Any, str | None, Any]:
    batch, error = record_lines.read_exact(Block(text, False), kind)
    quick = record_lines.read_fast(text, kind)
    return (
        batch.to_pylist(),
        None if error is None else str(error),
        None if quick is None else quick.to_pylist(),
    )


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        (LOG_LINES, LOG),
        (LOG_LINES, {**LOG, "message": ""}),
        (LOG_LINES, {**LOG, "message": 'quote " backslash \\ tab \t newline \n \x1b[31m \u0000 é 🦀'}),
        (LOG_LINES, {**LOG, "logType": "anything"}),
        (DATA_LINES, DATUM),
        (DATA_LINES, {**DATUM, "dataType": "string-series", "data": "warm\nup"}),
        (DATA_LINES, {**DATUM, "step": 2**64 - 1}),
    ],
)
def test_records_that_are_taken(kind: RecordKind, line: dict[str, Any]) -> None:
    for ascii_only in (True, False):
        found, error, quick = record(kind, json.dumps(line, ensure_ascii=ascii_only).encode())
        assert error is None
        assert found == [line]
        assert quick in (None, [line])


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        (LOG_LINES, {**LOG, "logType": " "}),
        (LOG_LINES, {**LOG, "step": 1}),
        (LOG_LINES, {**LOG, "message": None}),
        (LOG_LINES, {**LOG, "message": 5}),
        (LOG_LINES, {**LOG, "lineNumber": -1}),
        (LOG_LINES, {**LOG, "lineNumber": 1.0}),
        (LOG_LINES, {k: v for k, v in LOG.items() if k != "logType"}),
        (DATA_LINES, {**DATUM, "data": {"freq": []}}),
        (DATA_LINES, {**DATUM, "logName": ""}),
        (DATA_LINES, {**DATUM, "dataType": "  "}),
        (DATA_LINES, {**DATUM, "step": None}),
        (DATA_LINES, {**DATUM, "step": 2**64}),
    ],
)
def test_records_that_are_refused(kind: RecordKind, line: dict[str, Any]) -> None:
    good = json.dumps(LOG if kind is LOG_LINES else DATUM).encode()
    found, error, quick = record(kind, good + b"\n" + json.dumps(line).encode())
    assert len(found) == 1
    assert error is not None
    assert quick is None


@given(st.text(), st.integers(0, 2**64 - 1))
def test_any_text_survives(message: str, number: int) -> None:
    line = {**LOG, "message": message, "lineNumber": number}
    try:
        encoded = json.dumps(line, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return
    found, error, quick = record(LOG_LINES, encoded)
    assert error is None
    assert found == [line]
    assert quick in (None, [line])


@given(st.binary(max_size=60), st.integers(1, 9), st.integers(1, 20))
def test_blocks_hold_whole_lines_and_lose_no_byte(body: bytes, piece: int, size: int) -> None:
    pieces = [body[i : i + piece] for i in range(0, len(body), piece)]
    found = list(blocks(pieces, size))
    assert b"\n".join(block.text for block in found) == body.removesuffix(b"\n")
    assert [block.final for block in found[:-1]] == [False] * (len(found) - 1) if found else True
    if body:
        assert found[-1].final == (not body.endswith(b"\n"))
