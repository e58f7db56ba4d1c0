"""What a local Pluto leaves in its folder: open formats that anything reads.

runs.jsonl       one run a line: its details, notes and log names
points.parquet   projectName, runId, logName, step, time (ms), value
data.parquet     histograms, tables, string series as they were sent
logs.parquet     log lines
files.parquet    one row for every announced file
stored.parquet   key, size, md5 and the name below files/ of every stored file
files/           the bytes
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from neptune_exporter_pluto_server.points import Key, PointTable
from neptune_exporter_pluto_server.rows import RowTable
from neptune_exporter_pluto_server.store import Store

_POINTS = pa.schema(
    [
        ("projectName", pa.string()),
        ("runId", pa.uint64()),
        ("logName", pa.dictionary(pa.int32(), pa.string())),
        ("step", pa.uint64()),
        ("time", pa.uint64()),
        ("value", pa.float64()),
    ]
)
_STORED = pa.schema(
    [("key", pa.string()), ("size", pa.uint64()), ("md5", pa.string()), ("name", pa.string())]
)


def keep(store: Store, folder: Path, runs: list[dict[str, Any]]) -> None:
    with (folder / "runs.jsonl").open("wb") as out:
        for run in runs:
            out.write(json.dumps(run).encode() + b"\n")
    _write(folder / "points.parquet", _POINTS, _points(store.points))
    for name, table in (("data", store.data), ("logs", store.logs), ("files", store.files)):
        schema = pa.schema([_POINTS.field("projectName"), _POINTS.field("runId"), *table.schema])
        _write(folder / f"{name}.parquet", schema, _rows(table, schema))
    stored = [
        {"key": blob.key, "size": blob.size, "md5": blob.md5, "name": blob.path.name}
        for blob in store.blobs.all()
    ]
    pq.write_table(pa.Table.from_pylist(stored, _STORED), folder / "stored.parquet")


def _write(path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)


def _owner(key: Key, rows: int) -> list[pa.Array]:
    return [pa.repeat(key[0], rows), pa.repeat(pa.scalar(key[1], pa.uint64()), rows)]


def _points(table: PointTable) -> Iterator[pa.RecordBatch]:
    names = pa.array(table.names, pa.string())
    for key in table.owners():
        for part in table.all_parts(key):
            columns = [
                *_owner(key, len(part)),
                pa.DictionaryArray.from_arrays(pa.array(part["name"].astype("i4")), names),
                *(pa.array(part[name].copy()) for name in ("step", "time", "value")),
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=_POINTS)


def _rows(table: RowTable, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for key in table.owners():
        for batch in table.all_batches(key):
            yield pa.RecordBatch.from_arrays([*_owner(key, batch.num_rows), *batch.columns], schema=schema)
