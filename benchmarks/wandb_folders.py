"""The W&B loader against the earlier tool's way and against the limit, and its memory.

    python benchmarks/wandb_folders.py [--rounds 3] [--points 50000000] [--memory]

The earlier tool's way is `run.log` a row of an export, offline, written here as a plain loop; of the standard
export it gets the points of one run. The limit is to encode and frame the records of the same load alone,
from rows that are in memory and in order. They take turns; what counts is processor time, with that of the
processes that wandb starts.

(Not called `wandb.py`: that would be what the scripts in this folder import as `wandb`.)
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from _memory import peak_megabytes

from neptune_exporter.contract import LoadOptions
from neptune_exporter.jobs.load import LoadJobOptions, load_runs
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.location import Location
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.schema import attribute_batch, step_columns
from neptune_exporter.testing import old_layout
from neptune_exporter_wandb.plugin import neptune_exporter_sinks
from neptune_exporter_wandb.record_output import RecordOutput
from neptune_exporter_wandb.settings import WandbSettings

(SPEC,) = neptune_exporter_sinks()
LOOP_ROWS = 100_000
"""So many points are logged one by one, which takes the same time for each."""
os.environ |= {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--points", type=int, default=50_000_000, help="of the run that memory is measured with"
    )
    parser.add_argument("--memory", action="store_true", help="only measure memory")
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--loop", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.loop:
        log_rows(arguments.loop)
        return
    if arguments.load:
        load(arguments.load, arguments.load / "out")
        print(f"memory: {peak_megabytes():.0f} MB at most")
        return
    with tempfile.TemporaryDirectory() as name:
        if not arguments.memory:
            compare(Path(name), arguments.rounds)
        in_process("--load", write_long(Path(name) / "long", arguments.points), show=True)


def load(folder: Path, out: Path) -> int:
    """Load a dataset; gives the number of points."""
    options = LoadJobOptions(
        Location.of(folder / "data"),
        Location.of(folder / "files"),
        load=LoadOptions(),
        workers=1,
        verify=False,
    )
    result = load_runs(SPEC, WandbSettings("offline", out), options, Progress())
    if result.failed or result.already_loaded:
        raise SystemExit(f"not loaded: {result.failed} {result.already_loaded}")
    return result.counts["points"]


def compare(folder: Path, rounds: int) -> None:
    old_layout.standard(folder / "data", folder / "files")
    points = load(folder, folder / "first")
    with recorded() as calls:
        load(folder, folder / "recorded")
    rows = folder / "rows.parquet"
    write_rows(folder / "data", rows)
    took: dict[str, list[float]] = {"run.log a row": [], "the loader": [], "encoding and framing alone": []}
    for number in range(rounds):
        took["run.log a row"].append(in_process("--loop", rows) / LOOP_ROWS * points)
        took["the loader"].append(processor_seconds(lambda n=number: load(folder, folder / f"out-{n}")))
        again = folder / f"again-{number}"
        took["encoding and framing alone"].append(processor_seconds(lambda to=again: replay(calls, to)))
    seconds = {label: statistics.median(each) for label, each in took.items()}
    for label, each in seconds.items():
        print(f"{label:27} {each:8.2f} s of the processor, {points / each:10,.0f} points/s")
    ours = seconds["the loader"]
    print(f"{seconds['run.log a row'] / ours:.1f} times as fast as run.log a row")
    print(f"{seconds['encoding and framing alone'] / ours:.2f} of encoding and framing alone")


def processor_seconds(do: Callable[[], object]) -> float:
    before = time.process_time()
    do()
    return time.process_time() - before


def in_process(what: str, path: Path, *, show: bool = False) -> float:
    """Run a part in a process of its own; gives the processor time of it and of what it started."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, __file__, what, str(path)], check=True, stdout=subprocess.PIPE)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if show:
        print(done.stdout.decode().strip())
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


Call = tuple[int, str, tuple[Any, ...]]


@contextmanager
def recorded() -> Iterator[list[Call]]:
    """What is handed to the writers of runs in the block: writer, method, arguments."""
    calls: list[Call] = []
    methods = ("__init__", "parameters", "points", "texts", "histograms", "file", "finish")
    originals = {name: getattr(RecordOutput, name) for name in methods}

    def recording(name: str) -> Callable[..., Any]:
        def call(self: RecordOutput, *args: Any) -> Any:
            calls.append((id(self), name, args))
            return originals[name](self, *args)

        return call

    for name in methods:
        setattr(RecordOutput, name, recording(name))
    try:
        yield calls
    finally:
        for name, original in originals.items():
            setattr(RecordOutput, name, original)


def replay(calls: list[Call], folder: Path) -> None:
    """Write the same runs again."""
    writers: dict[int, RecordOutput] = {}
    for key, name, args in calls:
        if name == "__init__":
            here = folder / str(len(writers))
            here.mkdir(parents=True)
            writers[key] = RecordOutput(here, *args[1:])
        else:
            getattr(writers[key], name)(*args)


def write_rows(data: Path, path: Path) -> None:
    """Points of one run as they stand in an export."""
    part = next(data.rglob("*_part_0.parquet"))
    table = pq.read_table(
        part, columns=["attribute_path", "attribute_type", "step", "timestamp", "float_value"]
    )
    is_point = pc.equal(table["attribute_type"].cast(pa.string()), AttributeType.FLOAT_SERIES.value)
    pq.write_table(table.filter(is_point).slice(0, LOOP_ROWS), path)


def log_rows(path: Path) -> None:
    """The earlier tool's way: a call of `run.log` for each row of a data frame."""
    import wandb

    frame = pq.read_table(path).to_pydict()
    assert len(frame["step"]) == LOOP_ROWS
    with tempfile.TemporaryDirectory() as folder:
        run = wandb.init(project="benchmark", dir=folder)
        for name, step, value in zip(
            frame["attribute_path"], frame["step"], frame["float_value"], strict=True
        ):
            run.log({name: value}, step=int(step))
        run.finish()
        wandb.teardown()


def write_long(folder: Path, points: int) -> Path:
    """An export of one run with 50 series."""
    key, series = RunKey("acme/long", "RUN-1"), 50
    each = points // series

    def batches() -> Iterator[pa.RecordBatch]:
        for number in range(series):
            for start in range(0, each, 500_000):
                steps = range(start, min(each, start + 500_000))
                times = pa.array([1_700_000_000_000 + 100 * s for s in steps], pa.timestamp("ms", "UTC"))
                columns = {
                    **step_columns(pa.array(steps, pa.int64())),
                    "timestamp": times,
                    "float_value": pa.array([s * 0.001 + number for s in steps], pa.float64()),
                }
                yield attribute_batch(f"metrics/{number}", AttributeType.FLOAT_SERIES, columns)

    old_layout.write_run(folder / "data", key, batches())
    return folder


if __name__ == "__main__":
    main()
