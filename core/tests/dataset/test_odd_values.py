"""Values in another tool's export that Python, or this schema, has not: of one run, and told."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timezone

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from neptune_exporter.contract import DatasetError, Parameter, Point
from neptune_exporter.dataset import Dataset, StoredRun, summarise
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.schema import TIME_TYPE, attribute_batch, step_columns
from neptune_exporter.testing import old_layout

from .writing import KEY, problems, series

OTHER = RunKey(KEY.project_id, "RUN-2")
FAR = pa.array([10**15, 0], pa.int64()).cast(TIME_TYPE)


def written(dataset: Dataset, batch: pa.RecordBatch, **changed: pa.Array) -> StoredRun:
    """The run with these rows, of which some columns are as given; another one is beside it."""
    old_layout.write_run(dataset.data_path, OTHER, [series("a", [1.0])])
    (path,) = old_layout.write_run(dataset.data_path, KEY, [batch])
    table = old_layout.complete(KEY, batch)
    for name, column in changed.items():
        table = table.set_column(table.schema.get_field_index(name), name, column)
    pq.write_table(table, path)
    run = dataset.run(KEY)
    assert run is not None
    return run


def states(dataset: Dataset) -> list[str]:
    return [run.state for run in summarise(dataset).projects[0].runs]


@pytest.mark.parametrize("statistics", [True, False])
def test_times_beyond_the_years_of_python(dataset: Dataset, statistics: bool) -> None:
    values = {**step_columns(pa.array([1.0, 2.0])), "float_value": pa.array([1.0, 2.0]), "timestamp": FAR}
    run = written(dataset, attribute_batch("a", AttributeType.FLOAT_SERIES, values))
    if not statistics:
        path = dataset.data_path / run.part_paths[0]
        pq.write_table(pq.read_table(path), path, write_statistics=False)
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    assert run.time_span() == (epoch, epoch) and run.tally.odd_times == run.left_out.odd_times == 1
    assert [row.timestamp for row in run.rows() if isinstance(row, Point)] == [None, epoch]
    assert [b.column(0).to_pylist() for b in run.batches(columns=["timestamp"])] == [[None, epoch]]
    assert states(dataset) == ["complete", "complete"]
    assert "outside of the years" in summarise(dataset).projects[0].runs[0].notes[0]
    (line,) = problems(dataset)
    assert "outside of the years 1 to 9999" in line


@pytest.mark.parametrize(("far", "year"), [(10**15, 9999), (-(10**15), 1)])
def test_a_parameter_that_is_such_a_time_is_the_nearest_one(dataset: Dataset, far: int, year: int) -> None:
    values = {"datetime_value": pa.array([far], pa.int64()).cast(TIME_TYPE)}
    run = written(dataset, attribute_batch("a", AttributeType.DATETIME, values))
    (row,) = run.rows()
    assert isinstance(row, Parameter) and isinstance(row.value, datetime) and row.value.year == year
    assert run.tally.odd_times == run.left_out.odd_times == 1


def test_a_null_in_a_string_set_is_no_value(dataset: Dataset) -> None:
    values = {"string_set_value": pa.array([["b", None, "a"]])}
    run = written(dataset, attribute_batch("a", AttributeType.STRING_SET, values))
    assert [row.value for row in run.rows() if isinstance(row, Parameter)] == [["a", "b"]]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"timestamp": pa.array([1_500_001], pa.timestamp("us", "UTC"))}, "would lose data"),
        ({"attribute_path": pa.array([None], pa.string())}, "a row without attribute_path"),
        ({"attribute_type": pa.array([None], pa.string())}, "a row without attribute_type"),
    ],
)
def test_what_the_schema_has_not_is_damage_of_that_run(
    dataset: Dataset, changed: dict[str, pa.Array], message: str
) -> None:
    run = written(dataset, series("a", [1.0]), **changed)
    uses: list[Callable[[], object]] = [lambda: list(run.rows()), lambda: run.tally]
    for use in uses:
        with pytest.raises(DatasetError, match=message):
            use()
    assert states(dataset) == ["damaged", "complete"]
    (line,) = problems(dataset)
    assert message in line


def test_rows_without_a_value_need_no_name(dataset: Dataset) -> None:
    values = {"float_value": pa.array([1.0, None])}
    batch = attribute_batch("a", AttributeType.FLOAT, values)
    run = written(dataset, batch, attribute_path=pa.array(["a", None]))
    assert len(list(run.rows())) == 1 and problems(dataset) == []
    assert states(dataset) == ["complete", "complete"]


def test_points_that_lost_value_and_time_are_told(dataset: Dataset) -> None:
    values = {**step_columns(pa.array([1.0, 2.0])), "float_value": pa.array([1.0, None])}
    run = written(dataset, attribute_batch("a", AttributeType.FLOAT_SERIES, values))
    assert len(list(run.rows())) == 1
    (line,) = problems(dataset)
    assert "no value that are left out: 1" in line
    (note,) = summarise(dataset).projects[0].runs[0].notes
    assert "no value that are left out: 1" in note


@pytest.mark.parametrize("name", ["project_id", "run_id", "attribute_path", "step", "string_value"])
def test_a_column_of_lists_is_told_in_a_sentence(dataset: Dataset, name: str) -> None:
    """The name of the column alone said nothing, and a list as an id ended the summary of all runs."""
    batch = attribute_batch("a", AttributeType.STRING, {"string_value": pa.array(["x"])})
    written(dataset, batch, **{name: pa.array([[1]])})
    damaged, whole = summarise(dataset).projects[0].runs
    assert (damaged.state, whole.state) == ("damaged", "complete")
    (problem,) = damaged.problems
    assert re.search(
        r" is damaged: (its column string_value holds|project_id or run_id|Unsupported)", problem
    )
