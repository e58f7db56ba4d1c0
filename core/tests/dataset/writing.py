"""Runs of a few rows, written and read back."""

from __future__ import annotations

import pyarrow as pa

from neptune_exporter.contract import AttributeSelection, Point, SourceRun
from neptune_exporter.dataset import Dataset, Receipt, RunChecked, RunWriter, verify
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.schema import attribute_batch, step_columns

KEY = RunKey("org/project", "RUN-1")
ALL = [AttributeSelection()]


def series(path: str, values: list[float], first: int = 0) -> pa.RecordBatch:
    steps = pa.array([float(first + i) for i in range(len(values))])
    columns = {**step_columns(steps), "float_value": pa.array(values)}
    return attribute_batch(path, AttributeType.FLOAT_SERIES, columns)


def write(dataset: Dataset, *batches: pa.RecordBatch, **options: object) -> Receipt:
    writer = dataset.writer(KEY)
    for batch in batches:
        writer.write(batch)
    return publish(writer, **options)


def publish(writer: RunWriter, **options: object) -> Receipt:
    run = options.pop("run", SourceRun(KEY))
    return writer.publish(run, "test 1", ALL, **options)  # type: ignore[arg-type]


def points(dataset: Dataset, path: str | None = None) -> list[tuple[str, float, float]]:
    run = dataset.run(KEY)
    assert run is not None
    found = [row for row in run.rows([AttributeType.FLOAT_SERIES]) if isinstance(row, Point)]
    return sorted((p.path, float(p.step or 0), p.value) for p in found if path in (None, p.path))


def problems(dataset: Dataset) -> list[str]:
    return [f"{f.item} {f.message}" for f in verify(dataset) if not isinstance(f, RunChecked)]
