"""Writing runs again: what stays of earlier exports, and what goes."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pyarrow as pa
import pytest

from neptune_exporter.contract import (
    AttributeFailure,
    AttributeRequest,
    AttributeSelection,
    FileEntry,
    Point,
    SourceRun,
    TypeCount,
)
from neptune_exporter.dataset import Dataset, Fork, RowsError, RunState, Stays, WriteBudget
from neptune_exporter.model import FILE_TYPES, AttributeClass, AttributeType, RunKey
from neptune_exporter.schema import SCHEMA, attribute_batch, parameter_batch

from .writing import ALL, KEY, points, problems, publish, series, write


def test_discard_leaves_what_was_there(dataset: Dataset) -> None:
    write(dataset, series("a", [1.0]))
    writer = dataset.writer(KEY)
    writer.write(series("a", [2.0]))
    writer.flush()
    writer.discard()
    assert points(dataset) == [("a", 0, 1.0)]
    assert sorted(path.name for path in dataset.data_path.rglob("*.*") if path.is_file()) == [
        "RUN-1-549fcb30a0f06072.receipt.parquet",
        "RUN-1-549fcb30a0f06072_part_0.parquet",
    ]


def test_replacing_leaves_nothing_of_the_old(dataset: Dataset) -> None:
    dataset = Dataset(dataset.data_path, dataset.files_path, budget=WriteBudget(0))
    old = write(dataset, series("c", [1.0]), series("b", [1.0]), series("a", [1.0]))
    assert len(old.parts) == 3
    new = write(dataset, series("b", [5.0]))
    assert [part.name[-15:] for part in new.parts] == ["_part_0.parquet"]
    assert points(dataset) == [("b", 0, 5.0)]
    assert len(list(dataset.data_path.rglob("*_part_*"))) == 1
    assert problems(dataset) == []


def test_adding_replaces_only_what_came_in(dataset: Dataset) -> None:
    dataset = Dataset(dataset.data_path, dataset.files_path, budget=WriteBudget(0))
    first = write(dataset, series("z", [1.0]), series("m", [1.0, 2.0]), series("a", [1.0]))
    second = write(dataset, series("m", [7.0]), series("n", [8.0]), stays=Stays.NOT_DELIVERED)
    assert points(dataset) == [("a", 0, 1.0), ("m", 0, 7.0), ("n", 0, 8.0), ("z", 0, 1.0)]
    assert second.types == {AttributeType.FLOAT_SERIES: TypeCount(4, 4)}
    untouched = {part.sha256 for part in first.parts} & {part.sha256 for part in second.parts}
    assert len(untouched) == 2
    assert second.parts[0].name.endswith("_part_0.parquet")
    assert problems(dataset) == []


def test_adding_when_every_old_row_is_replaced(dataset: Dataset) -> None:
    write(dataset, series("a", [1.0]))
    write(dataset, series("a", [2.0]), stays=Stays.NOT_DELIVERED)
    assert points(dataset) == [("a", 0, 2.0)]
    assert problems(dataset) == []


def test_other_rows_of_a_part_survive_the_replacement_of_one_attribute(dataset: Dataset) -> None:
    time = pa.array([datetime(2025, 1, 1, tzinfo=timezone.utc)], SCHEMA.field("timestamp").type)
    odd = {"step_float64": pa.array([1e-7]), "timestamp": time, "float_value": pa.array([float("nan")])}
    write(
        dataset,
        series("a", [1.0]),
        attribute_batch("odd", AttributeType.FLOAT_SERIES, odd),
        parameter_batch([("n", AttributeType.INT, 2**63 - 1), ("t", AttributeType.STRING_SET, ["b", "a"])]),
    )
    receipt = write(dataset, series("a", [2.0]), stays=Stays.NOT_DELIVERED)
    run = dataset.run(KEY)
    assert run is not None
    assert {path: p.value for path, p in run.parameters().items()} == {"n": 2**63 - 1, "t": ["a", "b"]}
    (row,) = [r for r in run.rows([AttributeType.FLOAT_SERIES]) if isinstance(r, Point) and r.path == "odd"]
    assert row.step == 1e-7 and row.value != row.value and row.timestamp == time[0].as_py()
    assert receipt.first_time == time[0].as_py()


def test_an_attribute_that_changed_its_type_is_there_once(dataset: Dataset) -> None:
    write(dataset, parameter_batch([("a", AttributeType.INT, 1)]))
    write(dataset, parameter_batch([("a", AttributeType.STRING, "x")]), stays=Stays.NOT_DELIVERED)
    run = dataset.run(KEY)
    assert run is not None
    assert dict(run.counts()) == {AttributeType.STRING: TypeCount(1, 1)}


def test_what_came_only_partly_replaces_only_those_steps(dataset: Dataset) -> None:
    write(dataset, series("a", [1.0, 2.0, 3.0]), series("b", [1.0, 2.0, 3.0]))
    writer = dataset.writer(KEY)
    writer.write(series("a", [10.0, 20.0]))
    writer.write(series("b", [10.0, 20.0]))
    writer.fail(AttributeFailure(KEY, "a", AttributeType.FLOAT_SERIES, "the server gave up"))
    publish(writer, stays=Stays.NOT_DELIVERED)
    assert points(dataset, "a") == [("a", 0, 10.0), ("a", 1, 20.0), ("a", 2, 3.0)]
    assert points(dataset, "b") == [("b", 0, 10.0), ("b", 1, 20.0)]


def test_failures_live_until_they_are_retried_or_replaced(dataset: Dataset) -> None:
    def failure(path: str, message: str) -> AttributeFailure:
        return AttributeFailure(KEY, path, None, message)

    writer = dataset.writer(KEY)
    for path in ("delivered", "again", "retried", "other", ""):
        writer.fail(failure(path, "first"))
    publish(writer)
    writer = dataset.writer(KEY)
    writer.write(series("delivered", [1.0]))
    writer.fail(failure("again", "second"))
    receipt = publish(writer, stays=Stays.NOT_DELIVERED, retried={"retried"})
    assert [(f.attribute_path, f.message) for f in receipt.failures] == [
        ("other", "first"),
        ("", "first"),
        ("again", "second"),
    ]
    assert publish(dataset.writer(KEY), stays=Stays.NOT_DELIVERED, retried={""}).failures == (
        failure("other", "first"),
        failure("again", "second"),
    )
    assert publish(dataset.writer(KEY)).failures == ()


def test_what_was_asked_for_and_did_not_come_goes(dataset: Dataset) -> None:
    for path in ("a", "b"):
        write(dataset, series(path, [1.0]), stays=Stays.NOT_DELIVERED)
    write(dataset, series("c", [1.0]), series("d", [1.0]), stays=Stays.NOT_DELIVERED)
    b_and_c = AttributeRequest(AttributeSelection(names=("b", "c", "n")))
    receipt = write(dataset, series("n", [1.0]), asked=b_and_c)
    assert points(dataset) == [(path, 0, 1.0) for path in "adn"]
    assert receipt.types == {AttributeType.FLOAT_SERIES: TypeCount(3, 3)}
    assert problems(dataset) == []
    writer = dataset.writer(KEY)
    writer.fail(AttributeFailure(KEY, "d", None, "the server gave up"))
    publish(writer)
    assert points(dataset) == [("d", 0, 1.0)]
    writer = dataset.writer(KEY)
    writer.fail(AttributeFailure(KEY, "", None, "the server gave up"))
    publish(writer)
    assert points(dataset) == [("d", 0, 1.0)]
    assert write(dataset, series("c", [1.0])).failures == ()
    assert points(dataset) == [("c", 0, 1.0)]


def test_what_came_with_a_file_that_failed_stays_until_the_file_is_read(dataset: Dataset) -> None:
    writer = dataset.writer(KEY)
    writer.write(series("image/name", [1.0]))
    writer.fail(AttributeFailure(KEY, "image", AttributeType.FILE, "the server gave up"))
    publish(writer)
    metrics = AttributeRequest(AttributeSelection(classes=frozenset({AttributeClass.METRICS})))
    write(dataset, series("a", [1.0]), asked=metrics)
    assert points(dataset) == [("a", 0, 1.0), ("image/name", 0, 1.0)]
    write(dataset, series("a", [1.0]), asked=metrics, retried={"image"})
    assert points(dataset) == [("a", 0, 1.0)]


@pytest.mark.parametrize("first", ["parent", "step"])
def test_a_fork_is_told_by_rows_that_came_one_after_another(dataset: Dataset, first: str) -> None:
    rows = {
        "parent": parameter_batch([("sys/forking/parent", AttributeType.STRING, "RUN-0")]),
        "step": parameter_batch([("sys/forking/step", AttributeType.FLOAT, 4.0)]),
    }
    write(dataset, rows.pop(first), parameter_batch([("a", AttributeType.INT, 1)]))
    write(dataset, *rows.values(), stays=Stays.NOT_DELIVERED)
    assert write(
        dataset, parameter_batch([("a", AttributeType.INT, 2)]), stays=Stays.NOT_DELIVERED
    ).fork == Fork("RUN-0", 4)


def test_a_fork_goes_with_its_rows(dataset: Dataset) -> None:
    write(dataset, parameter_batch([("sys/forking/parent", AttributeType.STRING, "RUN-0")]))
    writer = dataset.writer(KEY)
    writer.fail(AttributeFailure(KEY, "a", None, "the server gave up"))
    assert publish(writer).fork is None


def test_another_run_is_replaced_only_if_that_is_what_is_wanted(dataset: Dataset) -> None:
    write(dataset, series("a", [1.0]), run=SourceRun(KEY, identity="RUN-1"))
    for stays in (Stays.NOT_ASKED_FOR, Stays.NOT_DELIVERED):
        writer = dataset.writer(KEY)
        writer.write(series("b", [1.0]))
        with pytest.raises(RowsError, match="RUN-1"):
            publish(writer, run=SourceRun(KEY, identity="RUN-2"), stays=stays)
        writer.discard()
    assert points(dataset) == [("a", 0, 1.0)]
    write(
        dataset,
        series("b", [1.0]),
        run=SourceRun(KEY, identity="RUN-2"),
        stays=Stays.NOTHING,
    )
    assert points(dataset) == [("b", 0, 1.0)]


def test_adding_to_what_another_tool_exported(existing: Dataset) -> None:
    key = RunKey("acme/vision", "run-a")
    run = existing.run(key)
    assert run is not None and existing.folder(key).receipt is None
    before = {kind: count.rows for kind, count in run.counts().items()}
    writer = existing.writer(key)
    writer.write(series("train/loss", [1.0]))
    receipt = writer.publish(SourceRun(key), "test 1", ALL, stays=Stays.NOT_DELIVERED)
    after = {kind: count.rows for kind, count in receipt.types.items()}
    assert after.pop(AttributeType.FLOAT_SERIES) < before.pop(AttributeType.FLOAT_SERIES)
    assert after == before
    assert [f for f in problems(existing) if "gone.bin" not in f and "no row names" not in f] == []


def test_a_damaged_part_is_set_aside_when_the_run_is_added_to(dataset: Dataset) -> None:
    dataset = Dataset(dataset.data_path, dataset.files_path, budget=WriteBudget(0))
    write(dataset, series("b", [1.0]), series("a", [1.0]))
    part = next(dataset.data_path.rglob("*_part_1.parquet"))
    part.write_bytes(part.read_bytes()[:-50])
    assert dataset.folder(KEY).state is RunState.DAMAGED, "a run with a damaged part is not up to date"
    receipt = write(dataset, series("c", [1.0]), stays=Stays.NOT_DELIVERED)
    assert points(dataset) == [("b", 0, 1.0), ("c", 0, 1.0)]
    assert "part_1.parquet.damaged" in receipt.notes[0]
    assert len(list(dataset.data_path.rglob("*.damaged"))) == 1
    assert problems(dataset) == []


def test_files_that_no_row_names_any_more_go(dataset: Dataset) -> None:
    def export(contents: dict[str, bytes], **options: object) -> None:
        writer, files = dataset.writer(KEY), dataset.files()
        for path, content in contents.items():
            with files.create(KEY, path, name=".bin") as file:
                file.write(content)
            columns = {
                "file_value": pa.array([{"path": file.stored.path}]),
                "file_size": pa.array([file.stored.size]),
                "file_sha256": pa.array([file.stored.sha256]),
            }
            writer.write(attribute_batch(path, AttributeType.FILE, columns))
        publish(writer, **options)

    def stored() -> dict[str, bytes]:
        run = dataset.run(KEY)
        assert run is not None
        rows = [row for row in run.rows(FILE_TYPES) if isinstance(row, FileEntry)]
        return {row.path: run.open_file(row.file).read() for row in rows}

    export({"a": b"1", "b": b"2"})
    export({"b": b"3", "c": b"4"}, stays=Stays.NOT_DELIVERED)
    assert stored() == {"a": b"1", "b": b"3", "c": b"4"}
    export({"c": b"5"})
    assert stored() == {"c": b"5"}
    assert len(files_of(dataset)) == 1
    assert problems(dataset) == []


def test_files_of_a_part_that_was_set_aside_stay_with_it(dataset: Dataset) -> None:
    dataset = Dataset(dataset.data_path, dataset.files_path, budget=WriteBudget(0))  # a part for each batch
    with dataset.files().create(KEY, "f", name=".bin") as file:
        file.write(b"1")
    columns = {"file_value": pa.array([{"path": file.stored.path}]), "file_size": pa.array([1])}
    write(dataset, attribute_batch("f", AttributeType.FILE, columns), series("b", [1.0]))
    part = next(dataset.data_path.rglob("*_part_0.parquet"))
    part.write_bytes(part.read_bytes()[:-50])
    for value in (2.0, 3.0):
        write(dataset, series("b", [value]), stays=Stays.NOT_DELIVERED)
        assert len(files_of(dataset)) == 1
    next(dataset.data_path.rglob("*.damaged")).unlink()
    write(dataset, series("b", [4.0]), stays=Stays.NOT_DELIVERED)
    assert files_of(dataset) == []


def files_of(dataset: Dataset) -> list[Path]:
    return [path for path in dataset.files_path.rglob("*") if path.is_file()]
