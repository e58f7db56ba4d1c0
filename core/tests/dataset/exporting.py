"""Exports of known rows into a dataset, called here or in a process that dies at a failpoint."""

from __future__ import annotations

import runpy
import signal
import threading
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from neptune_exporter.contract import AttributeRequest, AttributeSelection, SourceRun
from neptune_exporter.dataset import Dataset, RunWriter, Stays, WriteBudget
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.schema import attribute_batch, step_columns
from neptune_exporter.testing.commands import fork
from neptune_exporter.toolkit.failpoints import arm

KEY = RunKey("org/project", "RUN-1")
ALL = [AttributeSelection()]
STREAMED = 4
"""Series of a long run that come in order, together more than is held back."""
LENGTH = 180_000


def export(folder: Path, value: float, count: int, keep: bool = False) -> None:
    """Export a run of some parameters, each in a part of its own, and a file."""
    dataset = Dataset(folder / "data", folder / "files", budget=WriteBudget(0))
    with dataset.lock():
        dataset.recover()
        writer = dataset.writer(KEY)
        write(dataset, writer, value, count)
        writer.publish(
            SourceRun(KEY), "test 1", ALL, stays=Stays.NOT_DELIVERED if keep else AttributeRequest()
        )


def write(dataset: Dataset, writer: RunWriter, value: float, count: int) -> None:
    for number in reversed(range(count)):
        values = {"float_value": pa.array([value])}
        writer.write(attribute_batch(f"p/{number}", AttributeType.FLOAT, values))
    with dataset.files().create(writer.key, "f", name=".txt") as file:
        file.write(str(value).encode())
    named = {
        "file_value": pa.array([{"path": file.stored.path}]),
        "file_size": pa.array([file.stored.size]),
        "file_sha256": pa.array([file.stored.sha256]),
    }
    writer.write(attribute_batch("f", AttributeType.FILE, named))


def export_together(folder: Path, value: float, counts: Mapping[str, int]) -> None:
    """Export several runs, so many parts each, that are all ready before any is published."""
    dataset = Dataset(folder / "data", folder / "files", budget=WriteBudget(0))
    with dataset.lock():
        dataset.recover()
        ready = threading.Event()
        dataset._publisher._executor.submit(ready.wait)
        waiting = []
        for run_id, count in counts.items():
            writer = dataset.writer(RunKey(KEY.project_id, run_id))
            write(dataset, writer, value, count)
            prepare = partial(writer.prepare, SourceRun(writer.key), "test 1", ALL)
            waiting.append((writer, dataset.publish(prepare)))
        while len(dataset._publisher._waiting) < len(counts):
            time.sleep(0.001)
        ready.set()
        try:
            for _, visible in waiting:
                visible.result()
        finally:
            for writer, _ in waiting:
                writer.abandon()


def export_long(folder: Path, seed: int) -> None:
    """Export a run whose first part is written while its rows come, and a series that belongs before it."""
    dataset = Dataset(folder / "data", folder / "files")
    with dataset.lock():
        dataset.recover()
        writer = dataset.writer(KEY)
        for number in range(STREAMED):
            writer.write(long_series(f"m/{number}", seed))
        written = [path.stat().st_size for path in folder.rglob("*.parquet.tmp")]
        assert sum(written) > 1 << 20, "all is held back"
        writer.write(long_series("a", seed))
        writer.publish(SourceRun(KEY), "test 1", ALL)


def long_series(path: str, seed: int) -> pa.RecordBatch:
    columns = {
        **step_columns(pc.cast(pa.array(range(LENGTH)), pa.float64())),
        "float_value": pc.random(LENGTH, initializer=seed),
    }
    return attribute_batch(path, AttributeType.FLOAT_SERIES, columns)


def killed(failpoint: str, function: str, *arguments: Any) -> bool:
    """Call a function of this module in a process that dies at a failpoint, if it comes there."""
    given = {"CALL": (failpoint, function, arguments)}
    process = fork(runpy.run_path, __file__, given, "killed")
    process.join(120)
    assert process.exitcode in (0, -signal.SIGKILL), f"{function} ended with {process.exitcode}"
    return process.exitcode != 0


if __name__ == "killed":
    _failpoint, _function, _arguments = globals()["CALL"]
    arm(_failpoint)
    globals()[_function](*_arguments)
