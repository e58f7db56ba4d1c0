"""The public exporter stores a NaN of Neptune 3 as null: what in its exports is a NaN, and what is no row."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from neptune_exporter.contract import AttributeSelection, DatasetError, Point, SourceRun, TypeCount
from neptune_exporter.dataset import Dataset, Stays, StoredRun, summarise
from neptune_exporter.dataset.read import parts
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.schema import FULL_SCHEMA, SCHEMA
from neptune_exporter.testing import old_layout

from .writing import KEY, problems, series, write

SECOND = datetime(2025, 3, 1, 0, 0, 1, tzinfo=timezone.utc)
Row = dict[str, Any]


def row(path: str, kind: str, step: int | None = None, *, timed: bool = False, **value: object) -> Row:
    time = SECOND if timed else None
    place = {"step": None if step is None else Decimal(step), "timestamp": time}
    return {"attribute_path": path, "attribute_type": kind, **place, **value}


POINTS = [
    row("loss", "float_series", 1, timed=True, float_value=0.5),
    row("loss", "float_series", 2, timed=True),  # NaN
    row("loss", "float_series", 3),  # no point
    row("acc", "float_series", 1, timed=True, float_value=math.inf),
    row("acc", "float_series", timed=True),  # NaN, though nobody knows where
]
ALL_NAN = [row("nan", "float_series", step, timed=True) for step in (1, 2, 3)]
MIXED = [
    row("lr", "float", float_value=0.25),
    row("of another run", "float"),  # nothing
    row("odd", "float", 4, timed=True),  # nothing, for it is no point
    row("log", "string_series", 4, timed=True, string_value="text"),
    row("log", "string_series", 5, timed=True),  # nothing: a text is never NaN
    row("tags", "string_set", string_set_value=[]),
    row("loss", "float_series", 4, timed=True),  # NaN
]
TEXT_AND_NAN = [
    row("log", "string_series", 6, timed=True, string_value="more"),
    row("loss", "float_series", 6, timed=True),  # NaN
]
GROUPS = (POINTS, ALL_NAN, MIXED, TEXT_AND_NAN)
KEPT = [
    *(("loss", 1), ("loss", 2), ("acc", 1), ("acc", None)),
    *(("nan", 1), ("nan", 2), ("nan", 3)),
    *(("lr", None), ("log", 4), ("tags", None), ("loss", 4)),
    *(("log", 6), ("loss", 6)),
]
NANS = [("loss", 2), ("acc", None), ("nan", 1), ("nan", 2), ("nan", 3), ("loss", 4), ("loss", 6)]


@pytest.fixture(params=["kept in memory", "read each time"])
def small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "read each time":
        monkeypatch.setattr(parts, "_SMALL_ROWS", 0)


@pytest.fixture(params=["statistics", "no statistics"])
def run(request: pytest.FixtureRequest, dataset: Dataset, small: None) -> StoredRun:
    """A run of the public exporter with these row groups."""
    batches = [pa.RecordBatch.from_pylist(rows, schema=SCHEMA) for rows in GROUPS]
    (path,) = old_layout.write_run(dataset.data_path, KEY, batches)
    if request.param == "no statistics":
        with pq.ParquetWriter(path, SCHEMA, write_statistics=False) as writer:
            for batch in batches:
                writer.write_table(old_layout.complete(KEY, batch))
    found = dataset.run(KEY)
    assert found is not None
    return found


def nans(run: StoredRun) -> Iterator[tuple[str, int | None]]:
    for point in run.rows():
        if isinstance(point, Point) and math.isnan(point.value):
            yield point.path, None if point.step is None else int(point.step)


def test_a_point_with_a_time_and_no_value_is_nan_and_nothing_else_is(run: StoredRun) -> None:
    rows = [row for batch in run.batches() for row in batch.to_pylist()]
    assert [(r["attribute_path"], None if r["step"] is None else int(r["step"])) for r in rows] == KEPT
    assert list(nans(run)) == NANS
    assert [r["float_value"] for r in rows if r["attribute_path"] in ("lr", "log")] == [0.25, None, None]
    assert run.counts() == {
        AttributeType.FLOAT: TypeCount(1, 1),
        AttributeType.STRING_SET: TypeCount(1, 1),
        AttributeType.FLOAT_SERIES: TypeCount(3, 9),
        AttributeType.STRING_SERIES: TypeCount(1, 2),
    }
    assert run.steps().count == 4 and run.steps().maximum == 6  # of the longest series
    assert run.time_span() == (SECOND, SECOND)


@pytest.mark.parametrize("encoded", [False, True])
@pytest.mark.parametrize("batch_rows", [1, 65_536])
def test_every_column_and_filter_gives_the_same_rows(run: StoredRun, batch_rows: int, encoded: bool) -> None:
    whole = run.counts()

    def lengths(*types: AttributeType, attributes: list[str] | None = None) -> set[int]:
        how: dict[str, Any] = {"attributes": attributes, "batch_rows": batch_rows, "encoded": encoded}
        found = (run.batches(types or None, columns=[name], **how) for name in FULL_SCHEMA.names)
        return {sum(map(len, batches)) for batches in found}

    assert lengths() == {len(KEPT)}
    for kind in AttributeType:
        assert lengths(kind) == {whole[kind].rows if kind in whole else 0}
    assert lengths(AttributeType.FLOAT_SERIES, AttributeType.STRING_SERIES) == {11}
    assert lengths(attributes=["loss", "lr"]) == {5}
    assert lengths(AttributeType.FLOAT_SERIES, attributes=["nan", "log"]) == {3}


def test_it_is_told_as_information_and_only_what_is_left_out_is_a_warning(
    dataset: Dataset, run: StoredRun
) -> None:
    (summary,) = summarise(dataset).projects[0].runs
    assert summary.state == "complete" and dict(summary.types) == dict(run.counts())
    nan, left = summary.notes
    assert "read as the NaN that they were: 7" in nan and "no value that are left out: 3" in left
    (line,) = problems(dataset)
    assert "no value that are left out: 3" in line


@pytest.mark.parametrize("path", ["lr", "new"])
def test_what_is_added_to_the_run_keeps_them(dataset: Dataset, run: StoredRun, path: str) -> None:
    """Whether the part stays as it is or is written anew."""
    write(dataset, series(path, [1.0]), stays=Stays.NOT_DELIVERED)
    added = dataset.run(KEY)
    assert added is not None and added.receipt is not None
    assert sorted(map(repr, nans(added))) == sorted(map(repr, NANS))
    assert added.counts()[AttributeType.FLOAT_SERIES].rows == 10
    assert all("no value that are left out" in line for line in problems(dataset))


def test_numbers_of_another_type_are_read_too(dataset: Dataset) -> None:
    rows = pa.RecordBatch.from_pylist(POINTS, schema=SCHEMA)
    (path,) = old_layout.write_run(dataset.data_path, KEY, [rows])
    table = old_layout.complete(KEY, rows)
    index = SCHEMA.get_field_index("float_value")
    for kind in (pa.float32(), pa.dictionary(pa.int32(), pa.float64())):
        values = table.column("float_value").combine_chunks().cast(pa.float64())
        other = values.dictionary_encode() if pa.types.is_dictionary(kind) else values.cast(kind)
        pq.write_table(table.set_column(index, "float_value", other), path)
        run = dataset.run(KEY)
        assert run is not None and list(nans(run)) == NANS[:2]
        assert run.counts()[AttributeType.FLOAT_SERIES].rows == 4


@pytest.mark.parametrize("untyped", [0, 1], ids=["a value", "no value"])
def test_a_row_without_a_type_is_no_point(dataset: Dataset, untyped: int) -> None:
    """With a value it is damage, as ever."""
    rows = pa.RecordBatch.from_pylist(POINTS, schema=SCHEMA)
    (path,) = old_layout.write_run(dataset.data_path, KEY, [rows])
    kinds = pa.array([None if n == untyped else "float_series" for n in range(len(POINTS))])
    index = SCHEMA.get_field_index("attribute_type")
    pq.write_table(old_layout.complete(KEY, rows).set_column(index, "attribute_type", kinds), path)
    run = dataset.run(KEY)
    assert run is not None
    if untyped == 0:
        for use in (lambda: list(nans(run)), run.counts):
            with pytest.raises(DatasetError, match="a row without attribute_type"):
                use()
    else:
        assert list(nans(run)) == [("acc", None)]


def test_a_null_of_ours_stays_out_of_the_parts(dataset: Dataset) -> None:
    """A row without a value does not get into a part, so that no part of ours has to be searched for one."""
    key = RunKey(KEY.project_id, "ours")
    writer = dataset.writer(key)
    writer.write(pa.RecordBatch.from_pylist(POINTS, schema=SCHEMA).drop_columns(["project_id", "run_id"]))
    writer.publish(SourceRun(key), "test 1", [AttributeSelection()])
    run = dataset.run(key)
    assert run is not None and list(nans(run)) == []
    assert [part.columns_with_doubt(0, ["float_value"]) for part in run.parts] == [[]]
