"""The dataset against a plain snappy `ParquetWriter`, its summary, and its memory.

    python benchmarks/dataset.py [--points 50000000]

Ratios come from one process and one set of rows; memory from processes of their own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from _memory import peak_megabytes

from neptune_exporter.contract import AttributeSelection, SourceRun
from neptune_exporter.dataset import Dataset, summarise
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.schema import SCHEMA, attribute_batch, step_columns
from neptune_exporter.testing import old_layout

RUN = RunKey("acme/large", "RUN-1")
SERIES = 50
ROUNDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--points", type=int, default=50_000_000)
    parser.add_argument("--only", choices=["bytes", "summary", "memory"], help="one part of it")
    parser.add_argument("--part", choices=["write", "write-mixed", "read", "summary"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        run_part(arguments.part, arguments.folder, arguments.points)
        return
    chosen = {arguments.only} if arguments.only else {"bytes", "summary", "memory"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "bytes" in chosen:
            compare_writers(
                "standard, all in double precision", old_layout.Shape(single_precision=False), folder
            )
        if chosen & {"bytes", "summary"}:
            compare_writers("standard", old_layout.STANDARD, folder)
        if "summary" in chosen:
            compare_summaries(folder / "old", folder / "new")
        if "memory" in chosen:
            for part in ("write", "read", "write-mixed"):
                in_process(part, folder / "large", arguments.points)


def compare_writers(label: str, shape: old_layout.Shape, folder: Path) -> None:
    keys = [RunKey("acme/standard", f"RUN-{number}") for number in range(1, 5)]
    batches = {key: list(old_layout.run_batches(key, n, shape)) for n, key in enumerate(keys)}
    tables = {key: [old_layout.complete(key, b) for b in of_run] for key, of_run in batches.items()}
    whole = {key: pa.concat_tables(of_run) for key, of_run in tables.items()}
    rows = sum(table.num_rows for table in whole.values())

    def plain(what: dict[RunKey, list[pa.Table]]) -> Callable[[], int]:
        def write() -> int:
            size = 0
            for key, of_run in what.items():
                path = folder / f"{key.run_id}.parquet"
                with pq.ParquetWriter(path, SCHEMA, compression="snappy") as writer:
                    for table in of_run:
                        writer.write_table(table)
                size += path.stat().st_size
            return size

        return write

    def ours() -> int:
        dataset = Dataset(folder / "new" / "data", folder / "new" / "files")
        size = 0
        for key, of_run in batches.items():
            writer = dataset.writer(key)
            for batch in of_run:
                writer.write(batch)
            receipt = writer.publish(SourceRun(key), "benchmark 1", [AttributeSelection()])
            size += sum(part.bytes for part in receipt.parts)
        return size

    size, seconds = best(ours)
    print(f"{label}: {rows:,} rows, {size / rows:.2f} bytes a row, {rows / seconds:,.0f} rows a CPU second")
    for name, other in (
        ("a row group a run", plain({key: [table] for key, table in whole.items()})),
        ("a row group a batch", plain(tables)),
    ):
        plain_size, plain_seconds = best(other)
        print(
            f"  against plain snappy, {name}: {size / plain_size:.1%} of the bytes, "
            f"{seconds / plain_seconds:.2f} times the time"
        )


def best(what: Callable[[], int]) -> tuple[int, float]:
    """The result, and the least processor time of some rounds."""
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        result = what()
        times.append(time.process_time() - start)
    return result, min(times)


def compare_summaries(old: Path, new: Path) -> None:
    old_layout.standard(old / "data", old / "files")
    for label, folder in (("without receipts", old), ("with receipts", new)):
        print(f"summary of the standard dataset {label}: ", end="", flush=True)
        in_process("summary", folder, 0)


def in_process(part: str, folder: Path, points: int) -> None:
    command = [sys.executable, __file__, "--part", part, "--folder", str(folder), "--points", str(points)]
    subprocess.run(command, check=True)


def run_part(part: str, folder: Path, points: int) -> None:
    at_start, start = peak_megabytes(), time.process_time()
    dataset = Dataset(folder / "data", folder / "files")
    if part == "summary":
        summary = summarise(dataset)
        what = f"{sum(len(p.runs) for p in summary.projects)} runs"
    elif part == "read":
        run = dataset.run(RUN)
        assert run is not None
        rows = sum(len(batch) for batch in run.batches())
        assert rows == points // SERIES * SERIES, rows
        what = f"read {rows:,} points"
    else:
        writer = dataset.writer(RUN)
        for batch in series_by_series(points) if part == "write" else step_by_step(points):
            writer.write(batch)
        receipt = writer.publish(SourceRun(RUN), "benchmark 1", [AttributeSelection()])
        size = sum(p.bytes for p in receipt.parts)
        what = f"{part} {points:,} points in {len(receipt.parts)} parts, {size / points:.2f} bytes each"
    seconds = time.process_time() - start
    print(f"{what}: {seconds:.2f} CPU seconds, {peak_megabytes():.0f} MB at most ({at_start:.0f} MB before)")


def series_by_series(points: int) -> Iterator[pa.RecordBatch]:
    """Long series, one after the other, as a source that is at its ease delivers them."""
    length = points // SERIES
    for series in range(SERIES):
        for first in range(0, length, 50_000):
            yield a_stretch(f"metric/{series:03d}", first, min(50_000, length - first))


def step_by_step(points: int) -> Iterator[pa.RecordBatch]:
    """The same points, a stretch of each series in turn."""
    length = points // SERIES
    for first in range(0, length, 10_000):
        for series in range(SERIES):
            yield a_stretch(f"metric/{series:03d}", first, min(10_000, length - first))


def a_stretch(path: str, first: int, count: int) -> pa.RecordBatch:
    steps = pa.array(range(first, first + count), pa.int64())
    times = pc.add(pc.multiply(steps, 700), 1_740_000_000_000).cast(SCHEMA.field("timestamp").type)
    columns = {
        **step_columns(steps.cast(pa.float64())),
        "timestamp": times,
        "float_value": pc.random(count, initializer=first),
    }
    return attribute_batch(path, AttributeType.FLOAT_SERIES, columns)


if __name__ == "__main__":
    main()
