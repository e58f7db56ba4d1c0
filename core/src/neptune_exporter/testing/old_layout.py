"""Datasets as the public neptune-exporter writes them, for tests and benchmarks.

Written from the layout alone and sharing no code with `neptune_exporter.dataset`,
so that each proves the other: snappy, one row group per batch, parts of about
50 MiB, points of metrics step by step across all metrics, no receipts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from neptune_exporter.model import AttributeType, RunKey, RunKind
from neptune_exporter.schema import SCHEMA, VALUE_COLUMN, step_columns

PART_BYTES = 50 * 1024 * 1024
_KIND_FOLDERS = {RunKind.RUN: "", RunKind.MODEL: "models", RunKind.MODEL_VERSION: "model_versions"}
_START = int(datetime(2025, 3, 1, tzinfo=timezone.utc).timestamp() * 1000)


def san(name: str) -> str:
    """How that tool turns a project or run id into the name of a folder or file."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).hexdigest()
    return "".join(c if c.isalnum() or c in "_-" else "_" for c in name) + "-" + digest


def write_run(
    data_path: Path, key: RunKey, batches: Iterable[pa.RecordBatch], *, part_bytes: int = PART_BYTES
) -> list[Path]:
    """Write the parts of one run; a batch becomes a row group.

    Args:
        data_path: The folder of the dataset.
        key: Whose rows they are; `project_id` and `run_id` are filled in.
        batches: Any of the other 12 columns; missing ones are null.
        part_bytes: Size at which the next part begins.
    """
    folder = data_path / san(key.project_id) / _KIND_FOLDERS[key.kind]
    folder.mkdir(parents=True, exist_ok=True)
    parts: list[Path] = []
    writer: pq.ParquetWriter | None = None
    for batch in batches:
        if writer is None:
            parts.append(folder / f"{san(key.run_id)}_part_{len(parts)}.parquet")
            writer = pq.ParquetWriter(parts[-1], SCHEMA, compression="snappy")
        writer.write_table(complete(key, batch), row_group_size=max(1, batch.num_rows))
        if parts[-1].stat().st_size >= part_bytes:
            writer.close()
            writer = None
    if writer is not None:
        writer.close()
    return parts


def complete(key: RunKey, batch: pa.RecordBatch) -> pa.Table:
    """All 14 columns of a batch that has some of them, plainly encoded."""
    given = {name: batch.column(name) for name in batch.schema.names}
    rows = batch.num_rows
    given["project_id"] = pa.repeat(key.project_id, rows)
    given["run_id"] = pa.repeat(key.run_id, rows)
    columns = [
        given[field.name].cast(field.type) if field.name in given else pa.nulls(rows, field.type)
        for field in SCHEMA
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


@dataclass(frozen=True)
class Shape:
    """How much a generated run holds. The defaults are the standard run of the benchmarks."""

    metrics: int = 20
    steps: int = 20_000
    parameters: int = 200
    lines: int = 2_000
    histograms: int = 100
    files: int = 50
    file_bytes: int = 2_000
    single_precision: bool = True
    """Every second metric holds single-precision numbers, as frameworks hand them out."""
    batch_rows: int = 40_000


STANDARD = Shape()


def standard(
    data_path: Path,
    files_path: Path,
    *,
    runs: int = 4,
    project_id: str = "acme/standard",
    shape: Shape = STANDARD,
    part_bytes: int = PART_BYTES,
) -> list[RunKey]:
    """Write the standard dataset: `runs` runs of `shape` and their files."""
    keys = [RunKey(project_id, f"RUN-{number}") for number in range(1, runs + 1)]
    for number, key in enumerate(keys):
        write_run(data_path, key, run_batches(key, number, shape), part_bytes=part_bytes)
        for step in range(shape.files):
            path = files_path / san(project_id) / file_path(key, step)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(hashlib.sha256(str(path.name).encode()).digest() * (shape.file_bytes // 32))
    return keys


def run_batches(key: RunKey, number: int = 0, shape: Shape = STANDARD) -> Iterator[pa.RecordBatch]:
    """The rows of one generated run in that tool's order; equal arguments give equal rows."""
    yield _parameters(key, shape.parameters)
    yield from _metrics(number, shape)
    yield _lines(number, shape)
    if shape.histograms:
        yield _histograms(number, shape)
    if shape.files:
        yield _files(key, shape)


def file_path(key: RunKey, step: int) -> str:
    return f"{key.run_id}/samples/image/step_{step}_000000.png"


def _batch(attribute_type: AttributeType, paths: pa.Array, **columns: pa.Array) -> pa.RecordBatch:
    arrays = {
        "attribute_path": paths,
        "attribute_type": pa.repeat(attribute_type.value, len(paths)),
        **columns,
    }
    return pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays))


def _parameters(key: RunKey, count: int) -> pa.RecordBatch:
    values: list[tuple[str, AttributeType, object]] = [
        ("sys/custom_run_id", AttributeType.STRING, key.run_id),
        ("sys/name", AttributeType.STRING, f"experiment {key.run_id}"),
        ("sys/creation_time", AttributeType.DATETIME, datetime(2025, 3, 1, tzinfo=timezone.utc)),
        ("sys/tags", AttributeType.STRING_SET, ["baseline", key.run_id]),
        ("sys/failed", AttributeType.BOOL, False),
    ]
    kinds: list[tuple[AttributeType, object]] = [
        (AttributeType.FLOAT, 0.1),
        (AttributeType.INT, 2**53 + 1),
        (AttributeType.STRING, "value ü"),
        (AttributeType.BOOL, True),
    ]
    for index in range(len(values), count):
        attribute_type, value = kinds[index % len(kinds)]
        values.append((f"config/group_{index % 7}/parameter_{index:04d}", attribute_type, value))
    columns: dict[str, list[object]] = {}
    for row, (_, attribute_type, value) in enumerate(values):
        columns.setdefault(VALUE_COLUMN[attribute_type], [None] * len(values))[row] = value
    arrays = {
        "attribute_path": pa.array([path for path, _, _ in values]),
        "attribute_type": pa.array([attribute_type.value for _, attribute_type, _ in values]),
        **{name: pa.array(cells, SCHEMA.field(name).type) for name, cells in columns.items()},
    }
    return pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays))


def _metrics(number: int, shape: Shape) -> Iterator[pa.RecordBatch]:
    names = pa.array([f"train/metric_{metric:02d}" for metric in range(shape.metrics)])
    steps_per_batch = max(1, shape.batch_rows // max(1, shape.metrics))
    times = _times(shape.steps, number)
    for first in range(0, shape.steps, steps_per_batch):
        steps = pa.array(range(first, min(first + steps_per_batch, shape.steps)), pa.int64())
        rows = len(steps) * shape.metrics
        row = pa.array(range(rows), pa.int64())
        metric = pc.subtract(row, pc.multiply(pc.divide(row, shape.metrics), shape.metrics))
        step = pc.take(steps, pc.divide(row, shape.metrics))
        noise = pc.random(rows, initializer=number * 1_000_003 + first)
        decay = pc.exp(pc.divide(step.cast(pa.float64()), -0.3 * shape.steps))
        value = pc.add(pc.multiply(decay, pc.add(metric.cast(pa.float64()), 1.0)), pc.multiply(noise, 0.05))
        if shape.single_precision:
            single = value.cast(pa.float32(), safe=False).cast(pa.float64())
            even = pc.equal(pc.multiply(pc.divide(metric, 2), 2), metric)
            value = pc.if_else(even, single, value)
        yield _batch(
            AttributeType.FLOAT_SERIES,
            pc.take(names, metric),
            **step_columns(step.cast(pa.float64())),
            timestamp=pc.take(times.slice(first, len(steps)), pc.divide(row, shape.metrics)),
            float_value=value,
        )


def _times(count: int, number: int) -> pa.Array:
    """When each step ended: a step takes 0.7 s, more or less."""
    durations = pc.add(pc.multiply(pc.random(count, initializer=number * 7_919), 90.0), 655.0)
    return pc.add(pc.cumulative_sum(durations).cast(pa.int64(), safe=False), _START).cast(
        SCHEMA.field("timestamp").type
    )


def _lines(number: int, shape: Shape) -> pa.RecordBatch:
    text = [
        f"epoch {i // 100} batch {i % 100}: loss {1 / (i + 1):.6f} seed {number}" for i in range(shape.lines)
    ]
    return _batch(
        AttributeType.STRING_SERIES,
        pa.repeat("logs/stdout", shape.lines),
        **step_columns(pa.array(range(shape.lines), pa.float64())),
        timestamp=_times(shape.lines, number),
        string_value=pa.array(text, pa.string()),
    )


def _histograms(number: int, shape: Shape) -> pa.RecordBatch:
    edges = [edge / 8 - 4 for edge in range(65)]
    cells = [
        {
            "type": "COUNTING",
            "edges": edges,
            "values": [float((i * 37 + b * b + number) % 101) for b in range(64)],
        }
        for i in range(shape.histograms)
    ]
    return _batch(
        AttributeType.HISTOGRAM_SERIES,
        pa.repeat("weights/layer_0", shape.histograms),
        **step_columns(pa.array(range(shape.histograms), pa.float64())),
        timestamp=_times(shape.histograms, number),
        histogram_value=pa.array(cells, SCHEMA.field("histogram_value").type),
    )


def _files(key: RunKey, shape: Shape) -> pa.RecordBatch:
    cells = [{"path": file_path(key, step)} for step in range(shape.files)]
    return _batch(
        AttributeType.FILE_SERIES,
        pa.repeat("samples/image", shape.files),
        **step_columns(pa.array(range(shape.files), pa.float64())),
        timestamp=_times(shape.files, 0),
        file_value=pa.array(cells, SCHEMA.field("file_value").type),
    )
