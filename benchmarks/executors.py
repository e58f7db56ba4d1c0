"""Two worker processes against one, for export and for load: processes of this machine, and Dask.

    python benchmarks/executors.py [--runs 1000] [--rounds 2] [--executors processes dask]
        [--only export|offline|offline-large|load|write]

`export` exports from a server of Neptune 3.x, `load` loads into a local Pluto. In the others no server takes
part of the two cores: `offline` exports `.neptune` folders of Neptune 2.x with 10 series of 100 points each,
`offline-large` a tenth as many with 100 series of 1,000 points, and `write` loads into folders of W&B.
One and two workers take turns. Printed are the median times, with the start of the workers, and the processor
time that everything took with two workers: the workers and the command together, the command alone, and the
server, which has a process of its own on the same cores. The bound is what the processor times allow on two
idle cores, where the one worker computes or waits for the server all the time. The goal is 1.7.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from uuid import UUID

from _processes import processor_seconds

from neptune_exporter.contract import AttributeSelection, Secret, SinkSpec, SourceRun, SourceSpec
from neptune_exporter.dataset import Dataset
from neptune_exporter.jobs.export import ExportOptions, export_runs
from neptune_exporter.jobs.load import LoadJobOptions, load_runs
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.location import Location
from neptune_exporter.model import RunKey
from neptune_exporter.testing import old_layout
from neptune_exporter_neptune3 import plugin as neptune3
from neptune_exporter_neptune3.settings import Neptune3Settings
from neptune_exporter_offline import plugin as offline
from neptune_exporter_offline.settings import OfflineSettings
from neptune_exporter_pluto import plugin as pluto
from neptune_exporter_pluto.settings import PlutoSettings
from neptune_exporter_wandb import plugin as wandb
from neptune_exporter_wandb.settings import WandbSettings

GOAL = 1.7
_METRICS, _POINTS = 10, 1_000
_SHAPE = old_layout.Shape(metrics=_METRICS, steps=_POINTS, parameters=20, lines=10, histograms=2, files=0)
_BEGAN = 1_700_000_000
"""When the offline runs began, in seconds since 1970."""
_NUMBERS = itertools.count()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", choices=JOBS)
    parser.add_argument("--executors", nargs="+", default=["processes", "dask"])
    arguments = parser.parse_args()
    for what, prepared in JOBS.items():
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
    used: dict[int, list[tuple[float, float, float]]] = {1: [], 2: []}
    job(executor, 1)  # starts what the processes of later jobs are forked from
    for _, workers in itertools.product(range(rounds), elapsed):
        began, before, of_server = time.perf_counter(), processor_seconds(), seconds_of(server)
        mine = time.process_time()
        job(executor, workers)
        elapsed[workers].append(time.perf_counter() - began)
        of_command, serving = time.process_time() - mine, seconds_of(server) - of_server
        used[workers].append((processor_seconds() - before - serving, of_command, serving))
    one, two = (statistics.median(elapsed[workers]) for workers in (1, 2))
    of_one, of_two = ([statistics.median(each) for each in zip(*used[n], strict=True)] for n in (1, 2))
    all_of_ours, of_command, serving = of_two
    bound = 2 * (of_one[0] - of_one[1] + of_one[2]) / (all_of_ours + serving)
    print(
        f"{what}, {executor}: one worker {one:.1f} s, two {two:.1f} s, {one / two:.2f} times as fast "
        f"(goal {GOAL}, bound {bound:.2f}); processor {all_of_ours:.1f} s, of it "
        f"the command {of_command:.1f} s, server {serving:.1f} s; load average {os.getloadavg()[0]:.1f}",
        flush=True,
    )


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
    (spec,) = neptune3.neptune_exporter_sources()
    with serving("neptune_exporter_neptune3_server", *shape) as (ready, process):
        settings = Neptune3Settings(api_token=Secret(ready["api_token"]))
        yield exporter(spec, settings, (ready["project"],), folder, ready["float_points"]), process


@contextmanager
def exporting_offline(
    folder: Path, runs: int, series: int = 10, points: int = 100
) -> Iterator[tuple[Job, None]]:
    for number in range(runs):
        write_offline_run(
            folder / ".neptune" / "offline" / f"run__{UUID(int=number + 1)}__1__bench", series, points
        )
    (spec,) = offline.neptune_exporter_sources()
    settings = OfflineSettings(path=(str(folder / ".neptune"),), project="acme/offline")
    yield exporter(spec, settings, (), folder, runs * series * points), None


def write_offline_run(folder: Path, series: int, points: int) -> None:
    """As the client of Neptune 2.x writes it: an operation a line, of series up to 100 points."""
    folder.mkdir(parents=True)
    uuid = folder.name.split("__")[1]
    created = datetime.fromtimestamp(_BEGAN, timezone.utc).isoformat()
    metadata = {"mode": "offline", "containerId": uuid, "containerType": "run", "createdAt": created}
    (folder / "metadata.json").write_text(json.dumps(metadata))
    operations: list[dict[str, Any]] = [
        {"type": "AssignFloat", "path": ["parameters", f"p{number}"], "value": number / 7}
        for number in range(20)
    ]
    for first, number in itertools.product(range(0, points, 100), range(series)):
        steps = range(first, min(first + 100, points))
        values = [{"value": (step + number) / 7, "step": step, "ts": _BEGAN + step} for step in steps]
        operations.append({"type": "LogFloats", "path": ["metrics", f"m{number}"], "values": values})
    with (folder / "data-1.log").open("w") as log:
        for version, operation in enumerate(operations, 1):
            log.write(json.dumps({"obj": operation, "version": version, "at": _BEGAN}) + "\n")
    (folder / "last_put_version").write_text(str(len(operations)))
    (folder / "last_ack_version").write_text("")


def exporter(spec: SourceSpec, settings: object, projects: tuple[str, ...], folder: Path, points: int) -> Job:
    def job(executor: str, workers: int) -> None:
        data, files = (Location.of(folder / f"{next(_NUMBERS)}-{name}") for name in ("data", "files"))
        options = ExportOptions(projects, data, files, executor=executor, workers=workers)
        result = export_runs(spec, settings, options, Progress())
        assert result.complete and result.rows >= points

    return job


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


JOBS = {
    "export": exporting,
    "offline": exporting_offline,
    "offline-large": lambda folder, runs: exporting_offline(folder, max(1, runs // 10), 100, 1_000),
    "load": loading,
    "write": writing,
}

if __name__ == "__main__":
    main()
