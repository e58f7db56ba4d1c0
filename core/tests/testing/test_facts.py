"""Facts: rows that differ in the least give different facts, whatever form they come in."""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings

from neptune_exporter.contract import FileEntry
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.schema import FULL_SCHEMA
from neptune_exporter.testing import (
    MemoryRun,
    SampleFile,
    SampleHistogram,
    SampleRun,
    difference,
    facts_of_batch,
    facts_of_exported,
    facts_of_rows,
    facts_of_run,
    file_set,
    float_series,
    parameter,
    sample_runs,
    strategies,
)
from neptune_exporter.testing.facts import MalformedRowError, comparable_content, render

KEY = RunKey("acme/a", "RUN-1")


def _no_file(row: dict[str, Any]) -> bytes:
    raise AssertionError("there is no file")


def _batch(**columns: object) -> pa.RecordBatch:
    row = {"attribute_path": "p", "attribute_type": "float", "float_value": 1.0} | columns
    row = {name: value for name, value in row.items() if value != "absent"}
    return pa.RecordBatch.from_pylist([row], schema=pa.schema([FULL_SCHEMA.field(name) for name in row]))


@pytest.mark.parametrize(
    "different",
    [
        (0.0, -0.0, 0, False, "0", "0.0", "False"),
        (float("nan"), float("inf"), "nan", "inf"),
        (0.1 + 0.2, 0.3, 0.30000000000000004 + 1e-16),
        (2**53, 2**53 + 1, float(2**53)),
        ((), ("",), ("a", "b"), ("a, b",), ("'a', 'b'",)),
        ("é", "e\u0301", "\x00", "", " "),
        ("x" * 500 + "a", "x" * 500 + "b", "x" * 501),
        (SampleFile(b""), SampleFile(b"\x00"), SampleFile(b"\x01")),
        (
            SampleHistogram((0.0, 1.0), (1.0,)),
            SampleHistogram((0.0, 1.0), (1.0,), "DENSITY"),
            SampleHistogram((-0.0, 1.0), (1.0,)),
            SampleHistogram((0.0, 1.0, 2.0), (1.0, 0.0)),
        ),
        (datetime(2024, 1, 1, tzinfo=timezone.utc), datetime(2024, 1, 1, 0, 0, 0, 1000, tzinfo=timezone.utc)),
    ],
)
def test_different_values_render_differently(different: tuple[Any, ...]) -> None:
    distinct = list({(type(v), repr(v)) for v in different})
    assert len({render(v) for v in different}) == len(distinct)


def test_equal_values_render_equally() -> None:
    assert render(float("nan")) == render(-float("nan"))
    assert render(("b", "a")) == render(("a", "b"))


def test_every_form_of_the_corpus_has_the_same_facts() -> None:
    for run in sample_runs():
        for exported in (MemoryRun(run), MemoryRun(run, shuffle=3)):

            def content(row: FileEntry, exported: MemoryRun = exported) -> bytes:
                with exported.open_file(row.file) as stream:
                    return comparable_content(row.type, stream.read())

            assert difference(facts_of_run(run), facts_of_exported(exported)) == ""
            assert difference(facts_of_run(run), facts_of_rows(exported.rows(), content)) == ""


@settings(deadline=None, max_examples=50)
@given(strategies.sample_run())
def test_every_form_of_any_run_has_the_same_facts(run: SampleRun) -> None:
    assert difference(facts_of_run(run), facts_of_exported(MemoryRun(run, shuffle=3))) == ""


def test_a_difference_names_what_is_missing_and_what_is_too_much() -> None:
    first = facts_of_run(SampleRun(KEY, (float_series("loss", [(0.5, 1.0), (0.5, 1.0)]),)))
    second = facts_of_run(SampleRun(KEY, (parameter("loss", 1.0),)))
    assert difference(first, first) == ""
    assert difference(first, second).splitlines() == [
        "missing: 'loss' (float_series) step 0.500000 at 2024-01-01T00:00:00.000+00:00 = 1.0",
        "missing: 'loss' (float_series) step 0.500000 at 2024-01-01T00:00:01.000+00:00 = 1.0",
        "too much: 'loss' (float) = 1.0",
    ]
    many = facts_of_run(SampleRun(KEY, (float_series("m", enumerate(map(float, range(100)))),)))
    assert difference(many, Counter()).splitlines()[-1] == "missing: … and 88 more rows"


def test_rows_that_are_there_twice_count_twice() -> None:
    fact = facts_of_batch(_batch(), _no_file)
    assert difference(fact + fact, fact) == "missing: 'p' (float) = 1.0"


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"float_value": None}, "values in [], not just in float_value"),
        ({"float_value": "absent"}, "values in [], not just in float_value"),
        ({"int_value": 1}, "values in ['float_value', 'int_value'], not just in float_value"),
        ({"attribute_type": "int"}, "values in ['float_value'], not just in int_value"),
        ({"attribute_type": "double"}, "the attribute type 'double'"),
        ({"attribute_path": None}, "a row of None"),
    ],
)
def test_a_malformed_row_is_refused(columns: dict[str, object], says: str) -> None:
    with pytest.raises(MalformedRowError) as raised:
        facts_of_batch(_batch(**columns), _no_file)
    assert says in str(raised.value)


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        ("loss", pa.float64(), "column 'loss' is not in the schema"),
        ("float_value", pa.float32(), "column 'float_value' is float, not double"),
        ("step", pa.float64(), "column 'step' is double"),
        ("timestamp", pa.timestamp("us", tz="UTC"), "column 'timestamp' is timestamp[us, tz=UTC]"),
        ("timestamp", pa.timestamp("ms"), "column 'timestamp' is timestamp[ms]"),
        ("attribute_path", pa.large_string(), "column 'attribute_path' is large_string"),
        ("int_value", pa.dictionary(pa.int32(), pa.int64()), "column 'int_value' is dictionary"),
    ],
)
def test_a_wrong_column_is_refused(name: str, kind: pa.DataType, says: str) -> None:
    batch = pa.RecordBatch.from_arrays([pa.array([], kind)], names=[name])
    with pytest.raises(MalformedRowError) as raised:
        facts_of_batch(batch, _no_file)
    assert says in str(raised.value)


def test_texts_may_be_dictionary_encoded() -> None:
    plain = _batch()
    encoded = plain.set_column(0, "attribute_path", plain.column("attribute_path").dictionary_encode())
    assert facts_of_batch(encoded, _no_file) == facts_of_batch(plain, _no_file)


def test_a_step_is_the_same_in_either_column() -> None:
    decimal = _batch(attribute_type="float_series", step=Decimal("12345678901.500000"))
    double = _batch(attribute_type="float_series", step=None, step_float64=12345678901.5)
    assert facts_of_batch(decimal, _no_file) == facts_of_batch(double, _no_file)


def test_zips_are_compared_by_their_members() -> None:
    members = {"b.py": b"b", "a.py": b"a"}
    sample = file_set("source", members).value
    assert isinstance(sample, SampleFile)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    kind = AttributeType.FILE_SET
    assert buffer.getvalue() != sample.content
    assert comparable_content(kind, buffer.getvalue()) == comparable_content(kind, sample.content)
    assert comparable_content(kind, b"no zip") == b"no zip"
    assert comparable_content(AttributeType.FILE, sample.content) == sample.content
