"""Writing runs: what is taken, what is refused, and how it lies on disk."""

from __future__ import annotations

import threading
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from neptune_exporter.contract import AttributeFailure, AttributeSelection, DatasetError, SourceRun, TypeCount
from neptune_exporter.dataset import Dataset, Stays, WriteBudget
from neptune_exporter.model import AttributeClass, AttributeType, RunKey
from neptune_exporter.schema import (
    FULL_SCHEMA,
    SCHEMA,
    STEP_TYPE,
    attribute_batch,
    parameter_batch,
    step_columns,
)

from .writing import ALL, KEY, points, problems, publish, series, write


def test_a_receipt_says_what_there_is(dataset: Dataset) -> None:
    time = datetime(2025, 1, 2, 3, 4, 5, 678000, tzinfo=timezone.utc)
    run = SourceRun(KEY, time, "my run", notes=("only what was not sent",))
    writer = dataset.writer(KEY)
    writer.write(series("loss", [1.0, 2.0, float("nan")], first=-1))
    writer.write(parameter_batch([("lr", AttributeType.FLOAT, 0.1), ("n", AttributeType.INT, 2**60 + 1)]))
    failure = AttributeFailure(KEY, "gone", AttributeType.FILE, "not found \ud800", 3, permanent=True)
    writer.fail(failure)
    selection = AttributeSelection("l.*", (), frozenset({AttributeClass.METRICS}), True)
    receipt = writer.publish(run, "neptune-query 1.14.1", [selection])
    assert receipt == dataset.folder(KEY).receipt
    assert (receipt.key, receipt.modified_at, receipt.name) == (KEY, time, "my run")
    assert receipt.selections == (selection,)
    assert receipt.notes == ("only what was not sent",)
    assert receipt.failures == (failure,)
    assert receipt.types == {
        AttributeType.FLOAT: TypeCount(1, 1),
        AttributeType.INT: TypeCount(1, 1),
        AttributeType.FLOAT_SERIES: TypeCount(1, 3),
    }
    assert (receipt.steps.minimum, receipt.steps.maximum, receipt.steps.count) == (-1, 1, 3)
    assert [part.rows for part in receipt.parts] == [5]


def test_an_empty_run_is_a_complete_run(dataset: Dataset) -> None:
    receipt = write(dataset)
    assert [part.rows for part in receipt.parts] == [0]
    run = dataset.run(KEY)
    assert run is not None and run.complete
    assert list(run.batches()) == [] and run.parameters() == {}
    assert problems(dataset) == []


def test_rows_without_a_value_are_dropped(dataset: Dataset) -> None:
    columns = {"float_value": pa.array([1.0, None]), "string_value": pa.array([None, "of no use"])}
    write(
        dataset,
        attribute_batch("a", AttributeType.FLOAT, columns),
        attribute_batch("b", AttributeType.INT, {"int_value": pa.array([None], pa.int64())}),
        attribute_batch("c", AttributeType.FILE, {"file_value": pa.array([{"path": None}])}),
        attribute_batch(
            "d", AttributeType.STRING_SET, {"string_set_value": pa.array([[]], pa.list_(pa.string()))}
        ),
    )
    run = dataset.run(KEY)
    assert run is not None
    assert {path: p.value for path, p in run.parameters().items()} == {"a": 1.0, "d": []}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"project_id": pa.array(["other/project"])}, "other/project"),
        ({"run_id": pa.array(["RUN-10"])}, "RUN-10"),
        ({"attribute_type": pa.array(["tensor"])}, "tensor"),
        ({"attribute_path": pa.array([None], pa.string())}, "no attribute_path"),
        ({"colour": pa.array(["red"])}, "unknown columns: colour"),
        ({"float_value": pa.array(["much"])}, "float_value"),
        ({"timestamp": pa.array([1], pa.timestamp("us", "UTC"))}, "timestamp"),
        ({"step": pa.array([Decimal("0.0000001")], pa.decimal128(18, 7))}, "step"),
    ],
)
def test_what_does_not_fit_is_refused(dataset: Dataset, columns: dict[str, pa.Array], message: str) -> None:
    base = {
        "attribute_path": pa.array(["a"]),
        "attribute_type": pa.array(["float"]),
        "float_value": pa.array([1.0]),
    }
    arrays = base | columns
    writer = dataset.writer(KEY)
    with pytest.raises(DatasetError, match=message) as error:
        writer.write(pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays)))
    assert "org/project:RUN-1" in str(error.value)
    writer.discard()


def test_text_that_is_no_text_is_refused(dataset: Dataset) -> None:
    broken = pa.Array.from_buffers(
        pa.string(), 1, [*pa.array(["ab"]).buffers()[:2], pa.py_buffer(b"\xff\xfe")]
    )
    columns = {
        "attribute_path": broken,
        "attribute_type": pa.array(["float"]),
        "float_value": pa.array([1.0]),
    }
    writer = dataset.writer(KEY)
    with pytest.raises(DatasetError, match="not valid text"):
        writer.write(pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns)))
    with pytest.raises(DatasetError, match="string_value"):
        writer.write(attribute_batch("a", AttributeType.STRING, {"string_value": broken}))
    writer.discard()
    assert list(dataset.data_path.rglob("*.tmp")) == []


def test_one_writer_a_run(dataset: Dataset) -> None:
    writer = dataset.writer(KEY)
    with pytest.raises(DatasetError, match="already being written"):
        dataset.writer(KEY)
    writer.discard()
    write(dataset)
    write(dataset)


def test_a_fork_is_remembered_by_the_receipt(dataset: Dataset) -> None:
    fork = [
        ("sys/forking/parent", AttributeType.STRING, "RUN-0"),
        ("sys/forking/step", AttributeType.FLOAT, 0.5),
    ]
    write(dataset, parameter_batch(fork))
    write(dataset, series("a", [1.0]), stays=Stays.NOT_DELIVERED)
    run = dataset.run(KEY)
    assert run is not None
    assert run.parent() == RunKey("org/project", "RUN-0")
    assert run.fork_step() == Decimal("0.5") and isinstance(run.fork_step(), Decimal)


def test_the_fingerprint_tells_whether_rows_changed(dataset: Dataset) -> None:
    first = write(dataset, series("a", [1.0]))
    assert write(dataset, series("a", [1.0])).fingerprint == first.fingerprint
    assert write(dataset, series("a", [1.5])).fingerprint != first.fingerprint


def test_every_part_has_the_same_columns_and_one_is_enough_for_rows_that_need_more(dataset: Dataset) -> None:
    odd = {"step_float64": pa.array([1e13]), "float_value": pa.array([1.0])}
    write(dataset, series("a", [1.0]), attribute_batch("b", AttributeType.FLOAT_SERIES, odd))
    (path,) = dataset.data_path.rglob("*_part_*.parquet")
    assert pq.read_schema(path).equals(FULL_SCHEMA, check_metadata=False)
    run = dataset.run(KEY)
    assert run is not None
    # What a part does not hold is not read.
    assert run.parts[0].columns == {*SCHEMA.names, "step_float64"}
    assert run.parts[0].valid_count(0, "file_size") == 0


def test_a_series_stands_alone_in_its_row_groups(dataset: Dataset) -> None:
    long = [series(f"long/{i}", [float(v) for v in range(20_000)]) for i in range(3)]
    short = [series(f"short/{i:03d}", [1.0]) for i in range(200)]
    write(dataset, *long, *short)
    run = dataset.run(KEY)
    assert run is not None
    (part,) = run.parts
    assert [part.single(group) is not None for group in range(part.metadata.num_row_groups)] == [True] * 3 + [
        False
    ]
    assert len(points(dataset, "long/1")) == 20_000


def test_a_budget_is_shared_by_all_writers(dataset: Dataset) -> None:
    dataset = Dataset(dataset.data_path, dataset.files_path, budget=WriteBudget(1_000_000))
    large, small = dataset.writer(KEY), dataset.writer(RunKey("org/project", "RUN-2"))
    large.write(series("a", [1.0] * 30_000))
    assert list(dataset.data_path.rglob("*.tmp")) == []
    small.write(series("a", [1.0] * 15_000))
    (written,) = dataset.data_path.rglob("*.tmp")
    assert written.name.startswith("RUN-1-")
    large.discard()
    small.discard()


def test_many_threads_write_many_runs(dataset: Dataset) -> None:
    dataset = Dataset(dataset.data_path, dataset.files_path, budget=WriteBudget(50_000))
    keys = [RunKey("org/project", f"RUN-{n}") for n in range(8)]

    def export(key: RunKey) -> None:
        for round_number in range(2):
            writer = dataset.writer(key)
            for n in range(5):
                writer.write(series(f"m/{n}", [float(round_number)] * 1000))
            writer.publish(SourceRun(key), "test 1", ALL, stays=Stays.NOT_DELIVERED)

    threads = [threading.Thread(target=export, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert [sum(len(b) for b in run.batches()) for run in dataset.runs()] == [5000] * 8
    assert problems(dataset) == []


def test_decimal_steps_are_stored_as_integers_that_every_reader_sees_as_decimals(dataset: Dataset) -> None:
    write(dataset, series("a", [1.0, 2.0]))
    (path,) = dataset.data_path.rglob("*_part_*.parquet")
    file = pq.ParquetFile(path)
    assert file.metadata.row_group(0).column(4).physical_type == "INT64"
    assert file.schema_arrow.field("step").type == STEP_TYPE


def test_more_text_than_arrow_can_address(tmp_path: Path) -> None:
    dataset = Dataset(tmp_path / "data", tmp_path / "files")
    text = "x" * (1 << 20)
    count = 2_200
    indices = pa.array([0] * count, pa.int32())
    columns = {
        **step_columns(pa.array([float(step) for step in range(count)])),
        "string_value": pa.DictionaryArray.from_arrays(indices, pa.array([text])),
    }
    writer = dataset.writer(KEY)
    writer.write(attribute_batch("log", AttributeType.STRING_SERIES, columns))
    publish(writer)
    run = dataset.run(KEY)
    assert run is not None
    rows = 0
    for batch in run.batches():
        assert batch.nbytes < 40 << 20
        rows += len(batch)
    assert rows == count
