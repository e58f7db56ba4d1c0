"""Reading exports of other tools, with all that is found in them."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from neptune_exporter.contract import DatasetError, Point, TypeCount
from neptune_exporter.dataset import Dataset, Finding, summarise, verify
from neptune_exporter.model import AttributeType, RunKey, RunKind
from neptune_exporter.schema import FULL_SCHEMA, SCHEMA
from neptune_exporter.testing import old_layout

SMALL = old_layout.Shape(metrics=4, steps=600, parameters=30, lines=50, histograms=5, files=3, batch_rows=500)
KEY = RunKey("acme/vision", "RUN-1")


def rows_of(key: RunKey) -> Counter[str]:
    tables = [old_layout.complete(key, batch) for batch in old_layout.run_batches(key, 0, SMALL)]
    return Counter(repr(row) for table in tables for row in table.to_pylist())


def a_batch(**columns: list[object]) -> pa.RecordBatch:
    arrays = [pa.array(cells, SCHEMA.field(name).type) for name, cells in columns.items()]
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))


def test_every_row_is_read_in_whatever_order_and_parts_it_lies(dataset: Dataset) -> None:
    batches = list(old_layout.run_batches(KEY, 0, SMALL))[::-1]
    parts = old_layout.write_run(dataset.data_path, KEY, batches, part_bytes=8_000)
    assert len(parts) > 2
    run = dataset.run(KEY)
    assert run is not None and run.complete and run.receipt is None
    found = list(run.batches(columns=SCHEMA.names, batch_rows=100))
    assert max(len(batch) for batch in found) <= 100
    assert Counter(repr(row) for batch in found for row in batch.to_pylist()) == rows_of(KEY)
    alone = [
        r for r in run.rows([AttributeType.FLOAT_SERIES]) if isinstance(r, Point) and r.path.endswith("03")
    ]
    picked = list(run.batches([AttributeType.FLOAT_SERIES], attributes=["train/metric_03"]))
    assert sum(len(b) for b in picked) == len(alone) == 600
    counts = {t: c.rows for t, c in run.counts().items()}
    assert counts[AttributeType.FLOAT_SERIES] == 2400 and counts[AttributeType.STRING_SERIES] == 50
    assert run.steps().maximum == 599 and run.steps().count == 600  # of the longest series


def test_rows_without_a_value_are_left_out(dataset: Dataset) -> None:
    phantom = a_batch(
        attribute_path=["lr", "of another run", "tags", "empty tags", "hist", "file", "no file"],
        attribute_type=["float", "int", "string_set", "string_set", "histogram_series", "file", "file"],
        step=[None, None, None, None, Decimal(7), None, None],
        float_value=[0.5, None, None, None, None, None, None],
        string_set_value=[None, None, None, [], None, None, None],
        histogram_value=[None, None, None, None, None, None, None],
        file_value=[None, None, None, None, None, {"path": "x"}, {"path": None}],
    )
    lost_nan = a_batch(
        attribute_path=["loss"] * 3,
        attribute_type=["float_series"] * 3,
        step=[Decimal(1), Decimal(2), Decimal(99)],
        float_value=[1.0, 2.0, None],
    )
    old_layout.write_run(dataset.data_path, KEY, [phantom, lost_nan])
    run = dataset.run(KEY)
    assert run is not None
    names = [path for batch in run.batches() for path in batch.column("attribute_path").to_pylist()]
    assert names == ["lr", "empty tags", "file", "loss", "loss"]
    assert run.counts() == {
        AttributeType.FLOAT: TypeCount(1, 1),
        AttributeType.STRING_SET: TypeCount(1, 1),
        AttributeType.FLOAT_SERIES: TypeCount(1, 2),
        AttributeType.FILE: TypeCount(1, 1),
    }
    assert run.steps().maximum == 2 and run.tally.files == 1
    assert [len(b) for b in run.batches([AttributeType.INT])] == []


@pytest.mark.parametrize("run_id", ["x_part_0", "_part_1_part_0", "a/b c", "é", ""])
def test_odd_run_ids(dataset: Dataset, run_id: str) -> None:
    keys = [RunKey("acme/vision", run_id, kind) for kind in RunKind]
    for key in keys:
        old_layout.write_run(dataset.data_path, key, old_layout.run_batches(key, 0, SMALL), part_bytes=20_000)
    assert {run.key for run in dataset.runs()} == set(keys)
    for key in keys:
        run = dataset.run(key)
        assert run is not None and run.complete
        assert sum(count.rows for count in run.counts().values()) == sum(rows_of(key).values())
    assert dataset.run(RunKey("acme/vision", "another")) is None


def test_ids_come_from_the_rows_and_not_from_the_names(dataset: Dataset) -> None:
    old_layout.write_run(dataset.data_path, KEY, old_layout.run_batches(KEY, 0, SMALL))
    folder = dataset.data_path / old_layout.san(KEY.project_id)
    renamed = folder.rename(dataset.data_path / "my copy")
    (part,) = renamed.glob("*.parquet")
    part.rename(renamed / "the_best_part_0.parquet")
    assert [run.key for run in dataset.runs()] == [KEY]
    run = dataset.run(KEY)
    assert run is not None and run.complete
    assert dataset.projects() == ["acme/vision"] and list(dataset.runs("acme/other")) == []


def test_dictionaries_and_wider_types_are_read_too(dataset: Dataset) -> None:
    table = old_layout.complete(KEY, next(iter(old_layout.run_batches(KEY, 0, SMALL))))
    for name in ("project_id", "run_id", "attribute_path", "attribute_type", "string_value"):
        index = table.schema.get_field_index(name)
        encoded = table.column(name).combine_chunks().dictionary_encode()
        table = table.set_column(
            index, name, encoded if index % 2 else table.column(name).cast(pa.large_string())
        )
    folder = dataset.data_path / old_layout.san(KEY.project_id)
    folder.mkdir(parents=True)
    path = folder / f"{old_layout.san(KEY.run_id)}_part_0.parquet"
    pq.write_table(table, path)
    run = dataset.run(KEY)
    assert run is not None
    assert all(batch.schema == FULL_SCHEMA for batch in run.batches())
    assert len(run.parameters()) == 30


def test_without_part_0_a_run_is_incomplete(dataset: Dataset) -> None:
    parts = old_layout.write_run(
        dataset.data_path, KEY, old_layout.run_batches(KEY, 0, SMALL), part_bytes=20_000
    )
    parts[0].unlink()
    run = dataset.run(KEY)
    assert run is not None and not run.complete
    (summary,) = summarise(dataset).projects[0].runs
    assert summary.state == "incomplete"


def test_a_damaged_part_is_named_and_never_skipped(dataset: Dataset) -> None:
    parts = old_layout.write_run(
        dataset.data_path, KEY, old_layout.run_batches(KEY, 0, SMALL), part_bytes=20_000
    )
    parts[1].write_bytes(parts[1].read_bytes()[:-20])
    run = dataset.run(KEY)
    assert run is not None
    for use in (lambda: list(run.batches()), run.counts, run.parameters, lambda: list(run.rows())):
        with pytest.raises(DatasetError, match=r"RUN-1-549fcb30a0f06072_part_1.parquet is damaged"):
            use()
    (summary,) = summarise(dataset).projects[0].runs
    assert summary.state == "damaged" and "_part_1.parquet" in summary.problems[0]


def test_a_run_of_which_nothing_can_be_read_is_still_listed(dataset: Dataset) -> None:
    folder = dataset.data_path / old_layout.san("vision")
    folder.mkdir(parents=True)
    (folder / f"{old_layout.san('RUN-7')}_part_0.parquet").write_bytes(b"PAR1 not at all PAR1")
    (run,) = dataset.runs()
    assert run.key == RunKey("vision", "RUN-7") and not run.complete
    with pytest.raises(DatasetError, match="vision:RUN-7"):
        list(run.batches())
    assert [f.is_damage for f in verify(dataset) if isinstance(f, Finding)] != []


def test_a_table_that_is_no_part_says_so(dataset: Dataset) -> None:
    folder = dataset.data_path / old_layout.san("vision")
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"a": [1]}), folder / "x_part_0.parquet")
    (run,) = dataset.runs()
    assert run.problems[0].endswith(
        "not a part of a run: it has no column project_id, run_id, attribute_path, …"
    )


def test_other_things_in_the_folders_do_not_matter(dataset: Dataset) -> None:
    old_layout.write_run(dataset.data_path, KEY, old_layout.run_batches(KEY, 0, SMALL))
    folder = dataset.data_path / old_layout.san(KEY.project_id)
    (folder / "notes.txt").write_text("mine")
    (folder / "x_part_0.parquet").mkdir()
    (dataset.data_path / ".hidden").mkdir()
    (dataset.data_path / "notes.txt").write_text("mine")
    assert [run.key for run in dataset.runs()] == [KEY]


def test_unknown_attribute_types_are_reported_and_harm_nothing(dataset: Dataset) -> None:
    batch = a_batch(attribute_path=["a", "b"], attribute_type=["float", "tensor"], float_value=[1.0, 2.0])
    old_layout.write_run(dataset.data_path, KEY, [batch])
    run = dataset.run(KEY)
    assert run is not None
    assert dict(run.counts()) == {AttributeType.FLOAT: TypeCount(1, 1)}
    assert len(list(run.rows())) == 1
    assert ["tensor" in f.message for f in verify(dataset) if isinstance(f, Finding)] == [True]


def test_text_that_repeats_is_never_held_many_times_over(dataset: Dataset, tmp_path: Path) -> None:
    text, count = "x" * 1_000_000, 3_000
    batch = a_batch(
        attribute_path=["log"] * 2,
        attribute_type=["string_series"] * 2,
        step=[Decimal(0)] * 2,
        string_value=["", ""],
    )
    (path,) = old_layout.write_run(dataset.data_path, KEY, [batch])
    small = pq.read_table(path, schema=SCHEMA).slice(0, 1).take(pa.array([0] * count))
    values = pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), pa.array([text]))
    pq.write_table(small.set_column(8, "string_value", values), path)
    assert path.stat().st_size < 2_000_000
    run = dataset.run(KEY)
    assert run is not None
    rows = 0
    for found in run.batches():
        assert found.nbytes < 40_000_000
        rows += len(found)
    assert rows == count
