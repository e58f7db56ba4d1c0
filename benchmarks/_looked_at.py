"""Datasets for the benchmark of the explorer, made by the writer of the dataset itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from neptune_exporter.contract import AttributeSelection, SourceRun
from neptune_exporter.dataset import Dataset
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.schema import attribute_batch, parameter_batch, step_columns

BEGIN = 1_700_000_000_000


@contextlib.contextmanager
def written(folder: Path) -> Iterator[Dataset]:
    """A dataset that is written as an export writes it: locked, and with an index of its receipts."""
    dataset = Dataset(folder / "data", folder / "files")
    with dataset.lock():
        yield dataset
        dataset.index_receipts()


def curves(folder: Path, runs: int, metrics: int, points: int) -> None:
    """Runs with random walks, a point a second."""
    generator = np.random.default_rng(1)
    steps = step_columns(pa.array(np.arange(points, dtype=float)))
    times = pa.array(BEGIN + 1000 * np.arange(points)).cast(pa.timestamp("ms", "UTC"))
    with written(folder) as dataset:
        for run in range(runs):
            key = RunKey("acme/curves", f"run-{run:03}")
            writer = dataset.writer(key)
            writer.write(parameter_batch([("config/lr", AttributeType.FLOAT, 0.1 / (run + 1))]))
            for metric in range(metrics):
                values = pa.array(np.cumsum(generator.normal(size=points)))
                columns = {**steps, "timestamp": times, "float_value": values}
                batch = attribute_batch(f"train/metric-{metric:02}", AttributeType.FLOAT_SERIES, columns)
                for first in range(0, points, 50_000):
                    writer.write(batch.slice(first, 50_000))
            writer.publish(SourceRun(key), "benchmark 1", [AttributeSelection()])


def parameters(folder: Path, runs: int, number: int) -> None:
    """Runs with parameters only: numbers, texts and flags."""
    with written(folder) as dataset:
        for run in range(runs):
            one_of_many(dataset, run, number)


def one_of_many(dataset: Dataset, run: int, number: int) -> None:
    key = RunKey("acme/table", f"run-{run:05}")
    values: list[tuple[str, AttributeType, object]] = [("sys/name", AttributeType.STRING, f"trial {run}")]
    for i in range(number - 1):
        if i % 3 == 0:
            values.append((f"config/number-{i:03}", AttributeType.FLOAT, (run * 7919 + i) % 1000 / 1000))
        elif i % 3 == 1:
            values.append((f"config/text-{i:03}", AttributeType.STRING, f"value {(run + i) % 17}"))
        else:
            values.append((f"config/count-{i:03}", AttributeType.INT, run * i))
    writer = dataset.writer(key)
    writer.write(parameter_batch(values))
    writer.publish(SourceRun(key), "benchmark 1", [AttributeSelection()])
