"""The tools that people have read a whole data folder in one line, while it also holds what is no part."""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from neptune_exporter.contract import SourceRun
from neptune_exporter.dataset import Dataset, Stays
from neptune_exporter.dataset.check.recording import record
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.schema import attribute_batch
from neptune_exporter.testing import old_layout

from .conftest import EXISTING
from .writing import ALL, series

SHAPE = old_layout.Shape(metrics=2, steps=20, parameters=3, lines=2, histograms=2, files=2, batch_rows=30)
Read = Callable[[str], int]


def _duckdb(data: str, options: str = "") -> int:
    query = f"SELECT count(*), count(DISTINCT run_id) FROM read_parquet('{data}/**/*.parquet'{options})"
    return int(duckdb.sql(query).fetchall()[0][0])


ONE_LINE: dict[str, Read] = {
    "pandas": lambda data: len(pd.read_parquet(data)),
    "polars": lambda data: pl.read_parquet(data).height,
    "polars lazily": lambda data: pl.scan_parquet(data).collect().height,
    "pyarrow": lambda data: pyarrow.dataset.dataset(data).count_rows(),
    "pyarrow's table": lambda data: pq.read_table(data).num_rows,
    "duckdb": _duckdb,
}
OF_BOTH: dict[str, Read] = {
    **ONE_LINE,
    "polars": lambda data: pl.read_parquet(data, missing_columns="insert").height,
    "polars lazily": lambda data: pl.scan_parquet(data, missing_columns="insert").collect().height,
    "duckdb": lambda data: _duckdb(data, ", union_by_name=true"),
}
"""Where parts have other columns than others, two of them want to be told that they may."""

IDS = ["RUN-1", "_tuned", "__", "x_part_0", ".hidden", "ü" * 200]


def write_ours(dataset: Dataset, project: str = "acme/vision") -> None:
    with dataset.lock():
        dataset.recover()
        for number, run_id in enumerate(IDS):
            key = RunKey(project, run_id)
            writer = dataset.writer(key)
            for batch in old_layout.run_batches(key, number, SHAPE):
                writer.write(batch)
            writer.write(series("odd", [1.0, math.nan, 7.0, math.inf]))
            writer.publish(SourceRun(key), "test 1", ALL)


def rows_of_parts(dataset: Dataset) -> int:
    return sum(pq.read_metadata(path).num_rows for path in dataset.data_path.rglob("*_part_*.parquet"))


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("ours")
    dataset = Dataset(folder / "data", folder / "files")
    write_ours(dataset)
    write_ours(dataset, "_acme/_vision")
    return dataset


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """What the earlier tool exported, then we: further runs, and more of one that was there."""
    folder = tmp_path_factory.mktemp("both")
    shutil.copytree(EXISTING, folder, dirs_exist_ok=True)
    dataset = Dataset(folder / "data", folder / "files")
    list(record(dataset))
    write_ours(dataset)
    writer = dataset.writer(RunKey("acme/vision", "run-a"))
    writer.write(series("later", [1.0]))
    writer.publish(SourceRun(RunKey("acme/vision", "run-a")), "test 1", ALL, stays=Stays.NOT_DELIVERED)
    return dataset


@pytest.mark.parametrize("reader", ONE_LINE)
def test_ours(ours: Dataset, reader: str) -> None:
    assert ONE_LINE[reader](str(ours.data_path)) == rows_of_parts(ours) > 100


@pytest.mark.parametrize("reader", ONE_LINE)
def test_what_the_earlier_tool_wrote_with_our_checksums_beside(tmp_path: Path, reader: str) -> None:
    shutil.copytree(EXISTING, tmp_path, dirs_exist_ok=True)
    dataset = Dataset(tmp_path / "data", tmp_path / "files")
    assert list(record(dataset)) and list(dataset.data_path.rglob("checksums.parquet"))
    assert ONE_LINE[reader](str(dataset.data_path)) == rows_of_parts(dataset) > 100


@pytest.mark.parametrize("reader", OF_BOTH)
def test_both_in_one_folder(both: Dataset, reader: str) -> None:
    assert OF_BOTH[reader](str(both.data_path)) == rows_of_parts(both) > 100


def test_no_name_of_ours_hides_a_run(ours: Dataset) -> None:
    projects = [f for f in ours.data_path.iterdir() if not f.name.startswith(".")]
    parts = list(ours.data_path.rglob("*_part_*.parquet"))
    assert len(projects) == 2 and len(parts) == 2 * len(IDS)
    assert not [p for p in [*projects, *parts] if p.name.startswith(("_", "."))]
    found = pd.read_parquet(ours.data_path, columns=["run_id"])["run_id"].unique()
    assert sorted(found) == sorted(IDS)
    assert {run.key.run_id for run in ours.runs()} == set(IDS)
    assert all(ours.run(RunKey(p, i)) for p in ours.projects() for i in IDS)


def test_a_run_that_the_earlier_tool_hid_stays_where_it_is(dataset: Dataset) -> None:
    key = RunKey("_acme/p", "_tuned")
    (part,) = old_layout.write_run(dataset.data_path, key, list(old_layout.run_batches(key, 0, SHAPE)))
    assert part.name.startswith("_") and part.parent.name.startswith("_")
    with dataset.lock():
        with dataset.files().create(key, "f") as file:
            file.write(b"x")
        writer = dataset.writer(key)
        writer.write(series("later", [1.0]))
        named = {"file_value": pa.array([{"path": file.stored.path}])}
        writer.write(attribute_batch("f", AttributeType.FILE, named))
        writer.publish(SourceRun(key), "test 1", ALL, stays=Stays.NOT_DELIVERED)
    (run,) = dataset.runs()
    assert run.key == key and run.complete and {each.path for each in run.attributes()} > {"later"}
    assert run.file_size(file.stored.path) == 1


def test_nan_is_found_by_duckdb(ours: Dataset) -> None:
    """pyarrow leaves NaN out of statistics, and DuckDB 2.0.1 takes them for the whole truth."""
    parts = f"read_parquet('{ours.data_path}/**/*.parquet')"
    query = f"SELECT count(*) FILTER (isnan(float_value)), count(*) FILTER (float_value > 6) FROM {parts}"
    ((nans, large),) = duckdb.sql(query + " WHERE attribute_path = 'odd'").fetchall()
    assert (nans, large) == (2 * len(IDS), 6 * len(IDS)), "DuckDB holds NaN for the greatest number"
    ((greatest,),) = duckdb.sql(f"SELECT max(float_value) FROM {parts}").fetchall()
    assert math.isnan(greatest)
    for path in ours.data_path.rglob("*_part_*.parquet"):
        group = pq.read_metadata(path).row_group(0)
        columns = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
        assert columns["float_value"].statistics is None and columns["step_float64"].statistics is None
        assert columns["attribute_path"].statistics.has_min_max


def test_a_reader_may_come_while_runs_are_written(ours: Dataset, tmp_path: Path) -> None:
    """Except polars, unless it is told which files are parts."""
    shutil.copytree(ours.data_path, tmp_path / "data")
    dataset = Dataset(tmp_path / "data", tmp_path / "files")
    rows = rows_of_parts(dataset)
    with dataset.lock():
        writer = dataset.writer(RunKey("acme/vision", "new"))
        writer.write(series("a", [1.0]))
        writer.prepare(SourceRun(RunKey("acme/vision", "new")), "test 1", ALL)
        assert [path for path in dataset.data_path.rglob("*.tmp") if path.stat().st_size]
        for reader in ("pandas", "pyarrow", "pyarrow's table", "duckdb"):
            assert ONE_LINE[reader](str(dataset.data_path)) == rows
        assert pl.read_parquet(f"{dataset.data_path}/**/*_part_*.parquet").height == rows
        writer.discard()
    assert ONE_LINE["polars"](str(dataset.data_path)) == rows


def test_who_writes_is_told_by_a_file_that_readers_can_open(ours: Dataset) -> None:
    code = "import sys, polars; print(polars.read_parquet(sys.argv[1]).height)"
    with ours.lock():
        command = [sys.executable, "-c", code, str(ours.data_path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert int(done.stdout) == rows_of_parts(ours)
