"""Two worker processes against one, for export and for load: processes of this machine, and Dask.

    python benchmarks/executors.py [--runs 1000] [--rounds 2] [--only export|load|write] [--executors ...]

`load` loads into a local Pluto. `write` loads into folders of W&B: no server takes part of the two cores.
One and two workers take turns. Printed are the median times, with the start of the workers, and the processor
time that everything took with two workers: the workers and the command together, the command alone, and the
server, which has a process of its own on the same cores. On two cores that time allows no more than the
printed bound. The goal is 1.7.
"""

from __future__ import annotations

import argparse
import itertools
import json
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

from neptune_exporter.contract import AttributeSelection, Secret, SinkSpec, SourceRun
from neptune_exporter.dataset import Dataset
from neptune_exporter.jobs.export import ExportOptions, export_runs
from neptune_exporter.jobs.load import LoadJobOptions, load_runs
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.location import Location
from neptune_exporter.model import RunKey
from neptune_exporter.testing import old_layout
from neptune_exporter_neptune3.plugin import neptune_exporter_sources
from neptune_exporter_neptune3.settings import Neptune3Settings
from neptune_exporter_pluto import plugin as pluto
from neptune_exporter_pluto.settings import PlutoSettings
from neptune_exporter_wandb import plugin as wandb
from neptune_exporter_wandb.settings import WandbSettings

GOAL = 1.7
_METRICS, _POINTS = 10, 1_000
_SHAPE = old_layout.Shape(metrics=_METRICS, steps=_POINTS, parameters=20, lines=10, histograms=2, files=0)
_NUMBERS = itertools.count()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", choices=["export", "load", "write"])
    parser.add_argument("--executors", nargs="+", default=["processes", "dask"])
    arguments = parser.parse_args()
    for what, prepared in (("export", exporting), ("load", loading), ("write", writing)):
        if arguments.only in (None, what):
            with (
                tempfile.TemporaryDirectory() as folder,
                prepared(Path(folder), arguments.runs) as (job, server),
            ):
                for executor in arguments.executors:
                    compare(what, executor, job, server, arguments.rounds)


def write_runs(dataset: Dataset, runs: int) -> None:
    """As an export writes them, with receipts."""
    for number in range(runs):
        key = RunKey("acme/standard", f"RUN-{number}")
        writer = dataset.writer(key)
        for batch in old_layout.run_batches(key, number, _SHAPE):
            writer.write(batch)
        writer.publish(SourceRun(key), "benchmark", [AttributeSelection()])


Job = Callable[[str, int], None]


def compare(what: str, executor: str, job: Job, server: int | None, rounds: int) -> None:
    elapsed: dict[int, list[float]] = {1: [], 2: []}
    used: list[tuple[float, float, float]] = []
    for _, workers in itertools.product(range(rounds), elapsed):
        began, before, of_server = time.perf_counter(), processor_seconds(), seconds_of(server)
        mine = time.process_time()
        job(executor, workers)
        elapsed[workers].append(time.perf_counter() - began)
        if workers == 2:
            of_command, serving = time.process_time() - mine, seconds_of(server) - of_server
            used.append((processor_seconds() - before, of_command, serving))
    one, two = (statistics.median(elapsed[workers]) for workers in (1, 2))
    all_of_ours, of_command, serving = map(statistics.median, zip(*used, strict=True))
    print(
        f"{what}, {executor}: one worker {one:.1f} s, two {two:.1f} s, {one / two:.2f} times as fast "
        f"(goal {GOAL}, bound {one / (all_of_ours + serving) * 2:.2f}); processor {all_of_ours:.1f} s, of it "
        f"the command {of_command:.1f} s, server {serving:.1f} s; load average {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def processor_seconds() -> float:
    """Of this process and of all of its children that have ended."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in both)


def seconds_of(process: int | None) -> float:
    """Of a server, if there is one."""
    if process is None:
        return 0.0
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(*command: str) -> Iterator[tuple[dict[str, Any], int]]:
    """A server that ends when its input does: what it says of itself, and its process."""
    line = [sys.executable, "-m", *command]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            yield json.loads(process.stdout.readline()), process.pid
        finally:
            process.stdin.close()
            process.wait(10)


@contextmanager
def exporting(folder: Path, runs: int) -> Iterator[tuple[Job, int]]:
    shape = ["--runs", str(runs), "--metrics", str(_METRICS), "--points", str(_POINTS)]
    (spec,) = neptune_exporter_sources()
    with serving("neptune_exporter_neptune3_server", *shape) as (ready, process):
        settings = Neptune3Settings(api_token=Secret(ready["api_token"]))

        def job(executor: str, workers: int) -> None:
            data, files = (Location.of(folder / f"{next(_NUMBERS)}-{name}") for name in ("data", "files"))
            options = ExportOptions((ready["project"],), data, files, executor=executor, workers=workers)
            result = export_runs(spec, settings, options, Progress())
            assert result.complete and result.rows >= ready["float_points"]

        yield job, process


@contextmanager
def loading(folder: Path, runs: int) -> Iterator[tuple[Job, int]]:
    (spec,) = pluto.neptune_exporter_sinks()
    server = ("neptune_exporter_pluto_server", "--count-only", "--until-stdin-closes")
    with serving(*server) as (ready, process):

        def job(executor: str, workers: int) -> None:
            number = next(_NUMBERS)
            settings = PlutoSettings(
                api_key=Secret(ready["api_key"]),
                **dict.fromkeys(("url_api", "url_ingest"), ready["url_api"]),
                project_name=f"benchmark/{number}",
                base_dir=folder / f"state-{number}",
            )
            load(spec, settings, executor, workers)

        load = loader(folder, runs)
        yield job, process


@contextmanager
def writing(folder: Path, runs: int) -> Iterator[tuple[Job, None]]:
    (spec,) = wandb.neptune_exporter_sinks()
    load = loader(folder, runs)

    def job(executor: str, workers: int) -> None:
        settings = WandbSettings(mode="offline", path=folder / f"wandb-{next(_NUMBERS)}")
        load(spec, settings, executor, workers)

    yield job, None


def loader(folder: Path, runs: int) -> Callable[[SinkSpec, object, str, int], None]:
    """Writes a dataset. Returns what loads it."""
    places = Location.of(folder / "data"), Location.of(folder / "files")
    write_runs(Dataset(*places), runs)

    def load(spec: SinkSpec, settings: object, executor: str, workers: int) -> None:
        options = LoadJobOptions(*places, executor=executor, workers=workers, verify=False)
        result = load_runs(spec, settings, options, Progress())
        assert len(result.loaded) == runs, result.failed[:1]

    return load


if __name__ == "__main__":
    main()
