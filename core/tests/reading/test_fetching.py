"""What `open_dataset` gives is what was logged."""

from __future__ import annotations

import math
from pathlib import Path

import pyarrow as pa
import pytest

import neptune_exporter
from neptune_exporter.contract import MissingFileError, UnsafePathError, UsageError
from neptune_exporter.reading import ExportedDataset

from .conftest import PROJECT


@pytest.fixture
def dataset(exports: Path) -> ExportedDataset:
    return neptune_exporter.open_dataset(exports)


def steps(table: pa.Table) -> list[float]:
    return table.column("step").to_pylist()  # type: ignore[no-any-return]


def test_a_run_has_its_own_points_unless_asked(dataset: ExportedDataset) -> None:
    assert steps(dataset.fetch_metrics(runs=["fork"])) == list(range(50, 60))


def test_a_fork_inherits_from_all_its_ancestors(dataset: ExportedDataset) -> None:
    table = dataset.fetch_metrics(runs=["grandchild"], attributes=["train/loss"], lineage_to_the_root=True)
    assert steps(table) == list(range(56))
    origins = ["base"] * 50 + ["fork"] * 4 + ["grandchild"] * 2
    assert table.column("origin").to_pylist() == origins
    assert set(table.column("run").to_pylist()) == {"grandchild"}
    assert table.column("value").to_pylist()[48:56] == [52.0, 51.0, 550.0, 551.0, 552.0, 553.0, 900.0, 900.0]
    ranged = dataset.fetch_metrics(runs=["grandchild"], step_range=(48, 54), lineage_to_the_root=True)
    assert steps(ranged) == list(range(48, 55))
    tail = dataset.fetch_metrics(
        runs=["grandchild"], attributes="^train/", tail_limit=3, lineage_to_the_root=True
    )
    assert steps(tail.filter(pa.compute.equal(tail["attribute"].cast(pa.string()), "train/loss"))) == [
        53,
        54,
        55,
    ]
    wide = dataset.fetch_metrics(runs=["grandchild"], form="wide", lineage_to_the_root=True)
    assert "origin" not in wide.column_names and set(range(56)) <= set(steps(wide))


def test_a_parent_that_is_not_there_is_warned_of(dataset: ExportedDataset) -> None:
    with pytest.warns(UserWarning, match="forked off acme/vision:gone, which is not in the dataset"):
        table = dataset.fetch_metrics(runs=["orphan"], lineage_to_the_root=True)
    assert steps(table) == [1.0]


def test_a_run_that_is_not_there_is_warned_of(dataset: ExportedDataset) -> None:
    with pytest.warns(UserWarning, match="the dataset has no run 'nope'") as warned:
        assert not len(dataset.fetch_metrics(runs=["nope", "fork"], attributes=["nothing"]))
    assert warned[0].filename == __file__
    with pytest.warns(UserWarning, match=f"the project {PROJECT} has no run 'nope'"):
        assert dataset.list_runs(project=PROJECT, runs=["nope"]) == []


def test_the_wide_form_drops_no_point(dataset: ExportedDataset) -> None:
    wide = dataset.fetch_metrics(
        runs=["base"], attributes=["train/acc", "step", "train/loss"], form="wide", include_time="absolute"
    )
    rows = [row for row in wide.to_pylist() if row["step"] <= 2]
    assert [row["step"] for row in rows] == [0.0, 0.5, 1.0, 1.0, 2.0]
    assert [row["train/loss"] for row in rows] == [100.0, None, 99.0, None, 98.0]
    accuracy = [row["train/acc"] for row in rows]
    assert accuracy[:2] == [None, 0.1] and math.isnan(accuracy[2]) and accuracy[3:] == [0.3, math.inf]
    assert [row["step:float_series"] for row in rows] == [7.0, None, None, None, None]
    assert rows[1]["train/acc:timestamp"] is not None and rows[1]["train/loss:timestamp"] is None
    assert wide.column_names[:3] == ["project", "run", "step"]


def test_parameters_of_different_types_have_a_column_each(dataset: ExportedDataset) -> None:
    table = dataset.fetch_runs_table(attributes="^(config/|sys/tags|run)")
    rows = {row["run"]: row for row in table.to_pylist()}
    assert (rows["base"]["config/decay:float"], rows["base"]["config/decay:int"]) == (0.1, None)
    assert (rows["fork"]["config/decay:float"], rows["fork"]["config/decay:int"]) == (None, 1)
    assert rows["base"]["sys/tags"] == ["a", "b"] and rows["fork"]["sys/tags"] is None
    assert rows["base"]["run:string"] == "a parameter with the name of a column"
    assert table.schema.field("config/decay:int").type == pa.int64()
    suffixed = dataset.fetch_runs_table(attributes="^sys/tags", type_suffix_in_column_names=True)
    assert suffixed.column_names == ["project", "run", "sys/tags:string_set"]


def test_text_histograms_and_files(dataset: ExportedDataset, tmp_path: Path) -> None:
    assert dataset.fetch_series(runs="^base$").column("value").to_pylist() == ["begin", "end"]
    (histogram,) = dataset.fetch_histograms().column("value").to_pylist()
    assert histogram["edges"] == [0.0, 1.0, 2.0] and histogram["values"] == [3.0, 4.0]
    files = dataset.list_files(attributes="^(img|model)$").sort_by(
        [("attribute", "ascending"), ("step", "ascending")]
    )
    assert files.column("step").to_pylist() == [0.0, 1.0, None]
    contents = [
        dataset.read_file(project=row["project"], run=row["run"], path=row["path"])
        for row in files.to_pylist()
    ]
    assert contents == [b"one", b"two", b"model bytes"]
    copies = dataset.download_files(files, tmp_path)
    assert [path.read_bytes() for path in copies] == contents and len(set(copies)) == 3
    assert all(tmp_path in path.parents for path in copies)


def test_what_cannot_be_given(dataset: ExportedDataset) -> None:
    with pytest.raises(MissingFileError):
        dataset.read_file(project=PROJECT, run="base", path="nothing")
    with pytest.raises(UnsafePathError):
        dataset.read_file(project=PROJECT, run="base", path="../../etc/passwd")
    with pytest.raises(UsageError, match="no run acme/vision:nobody"):
        dataset.read_file(project=PROJECT, run="nobody", path="x")
    with pytest.raises(UsageError, match="is no regular expression"):
        dataset.fetch_metrics(attributes="(")
    with pytest.raises(UsageError, match="'long' or 'wide'"):
        dataset.fetch_metrics(form="broad")  # type: ignore[arg-type]


def test_nothing_is_a_table_without_rows(dataset: ExportedDataset) -> None:
    for form in ("long", "wide"):
        assert len(dataset.fetch_metrics(attributes=["no such"], form=form)) == 0  # type: ignore[arg-type]
    assert dataset.fetch_metrics(runs="nobody").column_names[:4] == ["project", "run", "attribute", "step"]
    assert len(dataset.fetch_runs_table(runs="nobody")) == len(dataset.list_files(runs="nobody")) == 0
