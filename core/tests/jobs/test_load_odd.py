"""Loads of datasets with a run that is not as it should be: it fails alone, and what it lacks is told."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from neptune_exporter.contract import (
    AttributeFailure,
    AttributeSelection,
    Comparison,
    ExportedRun,
    RunSelection,
    SinkError,
    SourceRun,
)
from neptune_exporter.dataset import Dataset
from neptune_exporter.jobs.load import LoadJobOptions, LoadResult
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.jobs.run_unit import PlacedRun, RunUnit
from neptune_exporter.jobs.verify import verify_sink
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.redaction import remember
from neptune_exporter.schema import TIME_TYPE, attribute_batch, step_columns
from neptune_exporter.testing import old_layout
from neptune_exporter.testing.memory_sink import MemorySink, MemoryTarget, memory_sink_spec

from .test_load import Recording, dataset, load, run_of

GOOD, ODD = RunKey("acme/vision", "GOOD"), RunKey("acme/vision", "ODD")


def a_series(path: str = "loss", **columns: pa.Array) -> pa.RecordBatch:
    values = {**step_columns(pa.array([0.0, 1.0])), "float_value": pa.array([1.0, 2.0]), **columns}
    return attribute_batch(path, AttributeType.FLOAT_SERIES, values)


def others(folder: Path, *odd: pa.RecordBatch, part_bytes: int = 1) -> list[Path]:
    """Another tool's export of a good run and of one with these rows; the parts of the latter."""
    old_layout.write_run(folder / "data", GOOD, [a_series()])
    return old_layout.write_run(folder / "data", ODD, odd, part_bytes=part_bytes)


def loaded(result: LoadResult) -> list[str]:
    return sorted(key.run_id for key, _ in result.loaded)


def failed(result: LoadResult) -> dict[str, str]:
    return {key.run_id: message for key, message in result.failed}


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_damaged_later_part_fails_its_run_alone(tmp_path: Path, dry_run: bool) -> None:
    part = others(tmp_path, a_series("a"), a_series("b"))[1]
    part.write_bytes(part.read_bytes()[:200])
    result = load(Recording(), tmp_path, dry_run=dry_run)
    assert list(failed(result)) == ["ODD"] and part.name in failed(result)["ODD"]
    assert ([p.key.run_id for p in result.planned] if dry_run else loaded(result)) == ["GOOD"]
    assert not result.complete


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_run_with_a_gap_is_not_loaded(tmp_path: Path, dry_run: bool) -> None:
    parts = others(tmp_path, a_series("a"), a_series("b"), a_series("c"))
    parts[1].unlink()
    result = load(Recording(), tmp_path, dry_run=dry_run)
    assert list(failed(result)) == ["ODD"] and f"{parts[1].name} is missing" in failed(result)["ODD"]


def test_a_child_waits_for_a_parent_that_is_damaged(tmp_path: Path) -> None:
    dataset(tmp_path, [run_of("parent"), run_of("child", "parent"), run_of("grandchild", "child")])
    (part,) = (tmp_path / "data").glob("*/parent-*_part_0.parquet")
    good = part.read_bytes()
    part.write_bytes(good[:-10])
    sink = Recording()
    result = load(sink, tmp_path)
    assert sink.order == [] and failed(result)["child"] == "its parent parent was not loaded"
    assert failed(result)["grandchild"] == "its parent child was not loaded"
    part.write_bytes(good)
    assert load(sink, tmp_path).complete
    assert dict(sink.order) == {"parent": False, "child": True, "grandchild": True}


def test_a_copy_of_a_parent_does_not_keep_its_children_back(tmp_path: Path) -> None:
    dataset(tmp_path, [run_of("parent"), run_of("child", "parent")])
    (part,) = (tmp_path / "data").glob("*/parent-*_part_0.parquet")
    folder = part.parent.with_name("copy")
    folder.mkdir()
    (folder / part.name).write_bytes(part.read_bytes())
    sink = Recording()
    result = load(sink, tmp_path)
    assert list(failed(result)) == ["parent"] and dict(sink.order) == {"parent": False, "child": True}


def test_an_error_that_nobody_expected_fails_one_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(MemorySink):
        def verify(self, run: ExportedRun, *, full: bool = False) -> Iterator[Comparison]:
            raise KeyError("no such thing")

    dataset(tmp_path, [run_of("a"), run_of("b")])
    remember("s3cret-key")
    sink = Recording()
    sink.fail_run(RunKey("acme/vision", "a"), ValueError("bad\nvalue s3cret-key"))  # type: ignore[arg-type]
    with caplog.at_level(logging.INFO):
        result = load(sink, tmp_path)
    message = "internal error: ValueError: bad value *** (run with -v for the traceback)"
    assert failed(result) == {"a": message} and loaded(result) == ["b"]
    (record,) = [r for r in caplog.records if r.exc_info]
    assert record.levelno == logging.INFO

    spec = memory_sink_spec(MemoryTarget())
    options = LoadJobOptions(tmp_path / "data", tmp_path / "files")
    broken = type(spec)(spec.name, spec.summary, lambda s, o: Broken(), capabilities=spec.capabilities)
    compared = verify_sink(broken, None, options, full=False, progress=Progress())
    assert [key.run_id for key, _ in compared.failed] == ["a", "b"]
    assert "internal error: KeyError" in compared.failed[0][1]


def test_times_that_python_has_not_harm_nothing_and_are_told(tmp_path: Path) -> None:
    far = pa.array([10**15, None], pa.int64()).cast(TIME_TYPE)
    when = attribute_batch("when", AttributeType.DATETIME, {"datetime_value": far.slice(0, 1)})
    others(tmp_path, a_series(timestamp=far), when)
    sink = Recording()
    result = load(sink, tmp_path)
    assert loaded(result) == ["GOOD", "ODD"] and not result.failed
    assert [(loss.run, loss.reason, loss.count) for loss in result.losses] == [(ODD, "odd-time", 2)]
    assert not result.complete


def test_rows_of_an_unknown_type_are_a_loss(tmp_path: Path) -> None:
    batch = a_series()
    kinds = pa.array(["float_series", "gpu_series"])
    others(tmp_path, batch.set_column(1, "attribute_type", kinds))
    result = load(Recording(), tmp_path)
    assert [(loss.run, loss.reason, loss.count) for loss in result.losses] == [(ODD, "unknown-type", 1)]
    assert "gpu_series" in result.losses[0].message and not result.complete
    assert [loss.reason for loss in load(Recording(), tmp_path, dry_run=True).losses] == ["unknown-type"]


def test_runs_that_were_named_and_are_not_there_are_told(tmp_path: Path) -> None:
    dataset(tmp_path, [run_of("RUN-1"), run_of("RUN-2")])
    chosen = RunSelection(patterns=("RUN-1", "EXP-.*"), ids=frozenset({"RUN-2", "RUN-9"}))
    result = load(Recording(), tmp_path, runs=chosen)
    assert loaded(result) == ["RUN-1", "RUN-2"]
    assert result.not_found == ["-r: no run of the dataset matches EXP-.*, RUN-9"] and not result.complete


def test_a_run_whose_receipt_is_gone_is_not_loaded(tmp_path: Path) -> None:
    dataset(tmp_path, [run_of("a"), run_of("b")])
    (receipt,) = (tmp_path / "data").rglob("a-*.receipt.parquet")
    receipt.unlink()
    result = load(Recording(), tmp_path)
    assert loaded(result) == ["b"] and f"{receipt.name} is missing" in failed(result)["a"]


def test_what_could_not_be_exported_makes_a_load_partial(tmp_path: Path) -> None:
    stored = Dataset(tmp_path / "data", tmp_path / "files")
    writer = stored.writer(GOOD)
    writer.write(a_series())
    writer.fail(AttributeFailure(GOOD, "b", None, "HTTP 500"))
    writer.publish(SourceRun(GOOD), "test 1", [AttributeSelection()])
    result = load(Recording(), tmp_path)
    assert loaded(result) == ["GOOD"] and result.unexported.total() == 1 and not result.complete


@pytest.mark.parametrize("was_damaged", [False, True])
def test_only_what_the_job_knew_excuses_an_incomplete_run(tmp_path: Path, was_damaged: bool) -> None:
    """A worker, which is another process here, finds a run whose only part can no longer be read."""
    (part,) = others(tmp_path, a_series())
    if was_damaged:
        part.write_bytes(part.read_bytes()[:200])
    (run,) = (r for r in Dataset(tmp_path / "data", tmp_path / "files").runs() if r.place.stem in part.name)
    unit = RunUnit(PlacedRun.of(run))
    assert bool(unit.run.problems) is was_damaged
    part.write_bytes(part.read_bytes()[:200])
    if was_damaged:
        assert unit.stored().problems == unit.run.problems
    else:
        with pytest.raises(SinkError, match="its parts have changed since the job began"):
            unit.stored()


def test_a_run_that_was_never_whole_has_not_changed(tmp_path: Path) -> None:
    """`verify` compares it with the target, in this process and in a worker."""
    (part,) = others(tmp_path, a_series())
    part.rename(part.with_name(part.name.replace("_part_0", "_part_1")))
    (run,) = (r for r in Dataset(tmp_path / "data", tmp_path / "files").runs() if r.place.stem in part.name)
    assert not run.complete and not run.problems
    assert RunUnit(PlacedRun.of(run)).stored().key == RunUnit(run).stored().key == run.key
