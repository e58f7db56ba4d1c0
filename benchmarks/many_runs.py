"""Summary and verification of many small runs, ours and another tool's: processor time a run, and memory.

    python benchmarks/many_runs.py [--runs 10000]

Each figure comes from a process of its own, without its start, with all of its child processes. It is
printed against the limit that was set for 10,000 runs, and the script fails if memory grows beyond its limit.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
from _memory import peak_megabytes

from neptune_exporter.contract import AttributeSelection, SourceRun
from neptune_exporter.dataset import Dataset, Finding, record, summarise, verify
from neptune_exporter.dataset.read.probing import probed
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.schema import attribute_batch, step_columns
from neptune_exporter.testing import old_layout

LIMITS = {
    "ours summary": 0.15,
    "theirs summary": 0.5,
    "theirs record": None,
    "theirs recorded-summary": 0.5,
    "ours verify": 1.2,
    "theirs verify": 1.2,
}
"""Milliseconds a run."""
MEGABYTES = 150


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--part", choices=sorted(LIMITS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        run_part(arguments.part, arguments.folder, arguments.runs)
        return
    with tempfile.TemporaryDirectory() as name:
        make(Path(name), arguments.runs)
        for part in LIMITS:
            command = [sys.executable, __file__, "--part", part, "--folder", name]
            subprocess.run([*command, "--runs", str(arguments.runs)], check=True)


def make(folder: Path, runs: int) -> None:
    """The same runs twice."""
    ours = dataset(folder, "ours")
    with ours.lock():
        for number in range(runs):
            key = RunKey("acme/many", f"RUN-{number}")
            writer = ours.writer(key)
            for batch in batches(number):
                writer.write(batch)
            writer.publish(SourceRun(key), "benchmark 1", [AttributeSelection()])
    theirs = dataset(folder, "theirs")
    theirs.files_path.mkdir(parents=True)
    for number in range(runs):
        key = RunKey("acme/many", f"RUN-{number}")
        tables = [old_layout.complete(key, batch) for batch in batches(number)]
        whole = pa.concat_tables(tables).drop_columns(["project_id", "run_id"]).combine_chunks()
        old_layout.write_run(theirs.data_path, key, whole.to_batches())


def dataset(folder: Path, whose: str) -> Dataset:
    return Dataset(folder / whose / "data", folder / whose / "files")


def batches(number: int) -> list[pa.RecordBatch]:
    """Ten metrics of ten points, and twenty parameters."""
    steps = pa.array(range(10), pa.float64())
    values = pa.array([float(number + step) for step in range(10)])
    kind, columns = AttributeType.FLOAT_SERIES, {**step_columns(steps), "float_value": values}
    metrics = [attribute_batch(f"metric/{metric}", kind, columns) for metric in range(10)]
    text = {"string_value": pa.array([f"value {number}"])}
    names = [f"parameter/{each}" for each in range(19)]
    return metrics + [attribute_batch(name, AttributeType.STRING, text) for name in [*names, "sys/name"]]


def run_part(part: str, folder: Path, runs: int) -> None:
    start = time.process_time()
    whose, action = part.split()
    of = dataset(folder, whose)
    if action.endswith("summary"):
        found = sum(len(project.runs) for project in summarise(of).projects)
    elif action == "record":
        found = sum(1 for _ in record(of))
    else:
        found = sum(not isinstance(item, Finding) for item in verify(of))
    assert found == runs, found
    probed(of.data).rest()  # the time of a child process counts once it has ended
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = time.process_time() - start + children.ru_utime + children.ru_stime
    limit = LIMITS[part]
    wanted = "" if limit is None else f" (limit {limit} ms)"
    memory = peak_megabytes()
    print(f"{part}: {seconds:.2f} CPU seconds, {1000 * seconds / runs:.2f} ms a run{wanted}, {memory:.0f} MB")
    if memory > MEGABYTES + 100:
        raise SystemExit(f"more than {MEGABYTES} MB beyond what importing takes (100 MB)")


if __name__ == "__main__":
    main()
