"""Memory follows from settings, not from what a run holds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.schema import FILE_TYPE
from neptune_exporter.testing import old_layout
from neptune_exporter.testing.commands import clean_environment
from neptune_exporter_pluto_server import RehearsalServer

STATUS = Path("/proc/self/status")
KEY = RunKey("acme/vision", "RUN-1")
MOST = 400
"""MB that a load of any run may take."""

LOADS = f"""
import os, sys
from pathlib import Path
from neptune_exporter.cli import main

for folder in ("less", "more"):
    os.chdir(folder)
    sys.argv = ["neptune-exporter", "load", "--loader=pluto", "--no-verify"]
    assert main() == 0
    (line,) = [each for each in Path("{STATUS}").open() if each.startswith("VmHWM")]
    print(int(line.split()[1]) // 1024, file=sys.stderr)
    os.chdir("..")
"""


def points(files: Path, count: int) -> Iterator[pa.RecordBatch]:
    shape = old_layout.Shape(metrics=10, steps=count // 10, parameters=5, lines=0, histograms=0, files=0)
    yield from old_layout.run_batches(KEY, shape=shape)


def lines(files: Path, count: int) -> Iterator[pa.RecordBatch]:
    for start in range(0, count, 50_000):
        number = pa.array(range(start, start + 50_000), pa.int64())
        path = "monitoring/4f2a/stdout" if start % 100_000 else "notes/text"
        yield pa.RecordBatch.from_pydict(
            {
                "attribute_path": pa.repeat(path, len(number)),
                "attribute_type": pa.repeat(AttributeType.STRING_SERIES.value, len(number)),
                "step": number.cast(pa.float64()),
                "string_value": pc.binary_join_element_wise("line", number.cast(pa.string()), "x" * 80, " "),
            }
        )


def one_file(files: Path, count: int) -> Iterator[pa.RecordBatch]:
    files.mkdir(parents=True)
    with (files / "model.bin").open("wb") as file:
        file.truncate(count)
    yield pa.RecordBatch.from_pydict(
        {
            "attribute_path": ["model"],
            "attribute_type": [AttributeType.FILE.value],
            "file_value": pa.array([{"path": "model.bin"}], FILE_TYPE),
        }
    )


def many_files(files: Path, count: int) -> Iterator[pa.RecordBatch]:
    files.mkdir(parents=True)
    for number in range(count):
        (files / f"{number}.bin").write_bytes(b"%d" % number)
    yield pa.RecordBatch.from_pydict(
        {
            "attribute_path": pa.repeat("samples", count),
            "attribute_type": pa.repeat(AttributeType.FILE_SERIES.value, count),
            "step": pa.array(range(count), pa.float64()),
            "file_value": pa.array([{"path": f"{number}.bin"} for number in range(count)], FILE_TYPE),
        }
    )


def peaks(folder: Path, loads: str) -> list[int]:
    """The peaks of memory after the two loads, in MB."""
    with RehearsalServer(reaper_interval=None, count_only=True) as server:
        quick = {"NEPTUNE_EXPORTER_PLUTO_FILE_CHUNK_SLEEP": "0", "NEPTUNE_EXPORTER_PLUTO_VISIBLE_WITHIN": "0"}
        done = subprocess.run(
            [sys.executable, "-c", loads],
            env={**clean_environment(), **server.environment(), **quick},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=240,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    return [int(line) for line in done.stderr.splitlines() if line.isdigit()]


@pytest.mark.skipif(not STATUS.exists(), reason="the system tells no peak of memory")
@pytest.mark.parametrize(
    ("write", "less", "more"),
    [
        (points, 3_000_000, 12_000_000),
        (lines, 200_000, 1_000_000),
        (one_file, 10**7, 10**9),
        (many_files, 1_000, 5_000),
    ],
)
def test_a_large_run_needs_no_more_than_a_smaller_one(
    write: Callable[[Path, int], Iterator[pa.RecordBatch]], less: int, more: int, tmp_path: Path
) -> None:
    """One after the other in one process: its peak never sinks."""
    for folder, count in (("less", less), ("more", more)):
        exports = tmp_path / folder / "exports"
        files = exports / "files" / old_layout.san(KEY.project_id)
        (exports / "files").mkdir(parents=True)
        key = RunKey(KEY.project_id, folder)
        old_layout.write_run(exports / "data", key, write(files, count))
    small, large = peaks(tmp_path, LOADS)
    assert large < MOST
    assert large - small < 100, f"{small} MB for {less:,}, {large} MB for {more:,}"


@pytest.mark.skipif(not STATUS.exists(), reason="the system tells no peak of memory")
def test_memory_does_not_grow_with_the_number_of_runs(tmp_path: Path) -> None:
    """Each has a megabyte of parameters, which a load has no use for once the run is loaded and checked."""
    for folder, count in (("less", 10), ("more", 60)):
        (tmp_path / folder / "exports" / "files").mkdir(parents=True)
        for number in range(count):
            key = RunKey(KEY.project_id, f"{folder}-{number}")
            old_layout.write_run(tmp_path / folder / "exports" / "data", key, parameters(1_000))
    small, large = peaks(tmp_path, LOADS.replace(', "--no-verify"', ""))
    assert large - small < 25, f"{small} MB for 10 runs, {large} MB for 60"


def parameters(count: int) -> Iterator[pa.RecordBatch]:
    yield pa.RecordBatch.from_pydict(
        {
            "attribute_path": [f"notes/{number}" for number in range(count)],
            "attribute_type": pa.repeat(AttributeType.STRING.value, count),
            "string_value": [f"{number} " * 200 for number in range(count)],
        }
    )
