"""What is written is read back, whatever it is and however it comes."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from neptune_exporter.contract import AttributeSelection, SourceRun
from neptune_exporter.dataset import Dataset, RunChecked, WriteBudget, verify
from neptune_exporter.model import PARAMETER_TYPES, SERIES_TYPES, AttributeType, RunKey
from neptune_exporter.schema import FULL_SCHEMA, VALUE_COLUMN

KEY = RunKey("org/project", "RUN-1")
START = datetime(1970, 1, 1, tzinfo=timezone.utc)

paths = st.text(max_size=8) | st.sampled_from(["a", "a/b", "a/c", "sys/name", "é", "\U0001f600", "a" * 300])
moments = st.integers(-(2**40), 2**45).map(lambda ms: START + timedelta(milliseconds=ms))
floats = st.floats() | st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 5e-324, 1e308])
millionths = st.integers(-(10**18) + 1, 10**18 - 1) | st.integers(-100, 100).map(lambda n: n * 10**6)
exact_steps = millionths.map(lambda n: Decimal(n).scaleb(-6))
odd_steps = st.sampled_from([1e-7, 1.7e12, 1e300, -1e15, math.inf, 0.1 + 1e-9])
values = {
    AttributeType.FLOAT: floats,
    AttributeType.INT: st.integers(-(2**63), 2**63 - 1),
    AttributeType.STRING: st.text(max_size=30),
    AttributeType.BOOL: st.booleans(),
    AttributeType.DATETIME: moments,
    AttributeType.STRING_SET: st.lists(st.text(max_size=5), max_size=3, unique=True).map(sorted),
    AttributeType.FLOAT_SERIES: floats,
    AttributeType.STRING_SERIES: st.text(max_size=30),
    AttributeType.HISTOGRAM_SERIES: st.builds(
        dict,
        type=st.sampled_from(["COUNTING", "DENSITY"]),
        edges=st.lists(floats, max_size=4),
        values=st.lists(floats, max_size=3),
    ),
    AttributeType.FILE: st.builds(dict, path=st.text(min_size=1, max_size=10)),
    AttributeType.FILE_SERIES: st.builds(dict, path=st.text(min_size=1, max_size=10)),
    AttributeType.FILE_SET: st.builds(dict, path=st.text(min_size=1, max_size=10)),
    AttributeType.ARTIFACT: st.builds(dict, path=st.text(min_size=1, max_size=10)),
}


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(list(AttributeType)))
    row: dict[str, Any] = {
        "attribute_path": draw(paths),
        "attribute_type": kind.value,
        VALUE_COLUMN[kind]: draw(values[kind]),
    }
    if kind in SERIES_TYPES:
        row["step"] = draw(st.none() | exact_steps)
        if row["step"] is None:
            row["step_float64"] = draw(st.none() | odd_steps)
        row["timestamp"] = draw(st.none() | moments)
    if "file_value" in row:
        row["file_size"] = draw(st.none() | st.integers(0, 2**62))
        row["file_sha256"] = draw(st.none() | st.just("ab" * 32))
    return row


def batch_of(some: list[dict[str, Any]], dictionaries: bool) -> pa.RecordBatch:
    names = [name for name in FULL_SCHEMA.names if any(name in row for row in some)]
    arrays = [pa.array([row.get(name) for row in some], FULL_SCHEMA.field(name).type) for name in names]
    if dictionaries:
        arrays = [a.dictionary_encode() if a.type == pa.string() else a for a in arrays]
    return pa.RecordBatch.from_arrays(arrays, names=names)


def image(row: dict[str, Any]) -> str:
    """Equal for equal rows, NaN included."""
    cells = {name: row[name] for name in FULL_SCHEMA.names if row.get(name) is not None}
    return repr({n: v.isoformat() if isinstance(v, datetime) else v for n, v in cells.items()})


def position(row: dict[str, Any]) -> tuple[str, str, float]:
    step = row["step_float64"] if row["step_float64"] is not None else row["step"]
    return row["attribute_path"], row["attribute_type"], math.inf if step is None else float(step)


@settings(max_examples=10, deadline=None)
@given(
    st.lists(st.lists(rows(), min_size=1, max_size=12), max_size=8),
    st.booleans(),
    st.sampled_from([0, 500, 1 << 20]),
)
def test_everything_comes_back(batches: list[list[dict[str, Any]]], dictionaries: bool, budget: int) -> None:
    with TemporaryDirectory() as folder:
        dataset = Dataset(Path(folder) / "data", Path(folder) / "files", budget=WriteBudget(budget))
        writer = dataset.writer(KEY)
        for some in batches:
            writer.write(batch_of(some, dictionaries))
        receipt = writer.publish(SourceRun(KEY), "test 1", [AttributeSelection()])

        run = dataset.run(KEY)
        assert run is not None and run.complete and run.receipt == receipt
        given_rows = [
            row | {"project_id": "org/project", "run_id": "RUN-1"} for some in batches for row in some
        ]
        found = [row for batch in run.batches(batch_rows=5) for row in batch.to_pylist()]
        assert Counter(map(image, found)) == Counter(map(image, given_rows))
        assert all(batch.schema == FULL_SCHEMA for batch in run.batches())
        for part in run.parts:
            inside = [row for group in range(part.metadata.num_row_groups) for row in _rows(part, group)]
            assert inside == sorted(inside)

        counted = Counter(row["attribute_type"] for row in given_rows)
        assert {t.value: c.rows for t, c in run.counts().items()} == counted
        assert run.tally.types() == run.counts()
        # A step that was logged twice counts once in the receipt, and twice where footers are counted.
        # Statistics do not tell whether steps are whole.
        counted_steps, known_steps = (
            replace(s, count=0, whole=False) for s in (run.tally.steps, receipt.steps)
        )
        assert counted_steps == known_steps
        assert receipt.steps.whole or not run.tally.steps.whole
        assert run.tally.steps.count >= receipt.steps.count
        assert (run.tally.first_time, run.tally.last_time) == run.time_span()
        assert run.tally.files == receipt.files
        assert len(list(run.rows())) == len(given_rows)
        for kinds in (PARAMETER_TYPES, {AttributeType.FLOAT_SERIES}):
            some_rows = [row for batch in run.batches(kinds) for row in batch.to_pylist()]
            expected = [row for row in given_rows if row["attribute_type"] in {k.value for k in kinds}]
            assert Counter(map(image, some_rows)) == Counter(map(image, expected))
        for path in {row["attribute_path"] for row in given_rows}:
            alone = [row for batch in run.batches(attributes=[path]) for row in batch.to_pylist()]
            expected = [row for row in given_rows if row["attribute_path"] == path]
            assert Counter(map(image, alone)) == Counter(map(image, expected))
        damage = [f for f in verify(dataset) if not isinstance(f, RunChecked) and "changed" in f.message]
        assert not damage


def _rows(part: Any, group: int) -> list[tuple[str, str, float]]:
    columns = ["attribute_path", "attribute_type", "step", "step_float64"]
    found = []
    for batch in part.read_group(group, columns, 1000):
        for row in batch.to_pylist():
            found.append(position({"step_float64": None} | row))
    return found
