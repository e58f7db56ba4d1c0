"""The neptune3 exporter against its limit and against the client's public API, server in its own process.

    python benchmarks/neptune3.py [--only speed|memory]

Five numbers for each shape, in points a second, from one process:
- export: `export_runs` into a dataset, listing, parquet and receipts included
- limit: the same requests made directly, one after the other, the points decoded into Arrow by the
  exporter's own decoder, and the answers thrown away
- library: as `limit`, the points decoded by the protobuf library
- export by library: as `export`, the points decoded by the protobuf library: what all but decoding costs
- public: `neptune_query.runs.fetch_metrics` with times, melted into rows and thrown away
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from _memory import peak_megabytes

SHAPES = {"one run of 20 × 250,000": (1, 20, 250_000), "200 runs of 20 × 1,000": (200, 20, 1_000)}
MEMORY = {"one run of 20 × 1,000,000": (1, 20, 1_000_000), "10,000 runs of 5 × 20": (10_000, 5, 20)}
PROJECT = "acme/synthetic"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--only", choices=["speed", "memory"])
    parser.add_argument("--export-from", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.export_from:
        with tempfile.TemporaryDirectory() as folder:
            export(arguments.export_from, Path(folder), arguments.workers)
        print(f"{peak_megabytes():.0f}")
        return
    if arguments.only != "memory":
        for label, shape in SHAPES.items():
            with serving(*shape) as (token, points):
                compare(label, token, points, shape, arguments.rounds, arguments.workers)
    if arguments.only != "speed":
        for label, shape in MEMORY.items():
            with serving(*shape) as (token, _):
                started = time.perf_counter()
                megabytes = subprocess.run(
                    [sys.executable, __file__, "--export-from", token, "--workers", str(arguments.workers)],
                    check=True,
                    env={**os.environ, "MIMALLOC_PURGE_DELAY": "0"},  # as the command sets it
                    capture_output=True,
                    text=True,
                ).stdout.strip()
                seconds = time.perf_counter() - started
                print(f"{label}: {megabytes} MB at most, {seconds:.1f} s with the start")


@contextmanager
def serving(runs: int, metrics: int, points: int) -> Iterator[tuple[str, int]]:
    """A server process: its API token, and how many points it holds."""
    line = [sys.executable, "-m", "neptune_exporter_neptune3_server"]
    line += ["--runs", str(runs), "--metrics", str(metrics), "--points", str(points)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            ready = json.loads(process.stdout.readline())
            yield ready["api_token"], ready["float_points"]
        finally:
            process.stdin.close()
            process.wait(10)


def compare(
    label: str, token: str, points: int, shape: tuple[int, int, int], rounds: int, workers: int
) -> None:
    from neptune_exporter_neptune3 import points as points_module
    from neptune_exporter_neptune3.points import decode

    library = points_module._with_protobuf

    requests = requests_of(token)
    kept = tempfile.TemporaryDirectory()  # deleting takes time, and makes ext4 search long for new inodes
    folders = (Path(kept.name, str(n)) for n in itertools.count())
    ways: dict[str, Callable[[], None]] = {
        "export": lambda: export(token, next(folders), workers),
        "limit": lambda: replay(token, requests, decode),
        "library": lambda: replay(token, requests, library),
        "export by library": lambda: export_decoding(library, token, next(folders), workers),
        "public": lambda: public(token, shape),
    }
    best: dict[str, float] = {}
    # In turn, but for the last: it leaves memory behind in which what comes next is a fifth slower.
    for group in (list(ways)[:-1], list(ways)[-1:]):
        for number in range(rounds + 1):
            for name in group:
                started = time.perf_counter()
                ways[name]()
                seconds = time.perf_counter() - started
                if number:  # the first round warms up the server
                    best[name] = min(seconds, best.get(name, seconds))
    kept.cleanup()
    speed = {name: points / seconds for name, seconds in best.items()}
    print(f"{label}, {len(requests)} requests:")
    for name, value in speed.items():
        print(f"  {name:17} {value:12,.0f} points/s")
    for name in ("limit", "library", "public"):
        print(f"  export / {name:7} {speed['export'] / speed[name]:.2f}")
    print(f"  export by library / library {speed['export by library'] / speed['library']:.2f}")


def export(token: str, folder: Path, workers: int) -> None:
    from neptune_exporter.contract import Secret
    from neptune_exporter.jobs.export import ExportOptions, export_runs
    from neptune_exporter.jobs.progress import Progress
    from neptune_exporter_neptune3.plugin import neptune_exporter_sources
    from neptune_exporter_neptune3.settings import Neptune3Settings

    (spec,) = neptune_exporter_sources()
    options = ExportOptions((PROJECT,), folder / "data", folder / "files", workers=workers)
    result = export_runs(spec, Neptune3Settings(Secret(token)), options, Progress())
    assert result.complete, result


def export_decoding(decode: Callable[[bytes], Any], token: str, folder: Path, workers: int) -> None:
    from neptune_exporter_neptune3 import metrics

    usual = metrics.decode
    metrics.decode = decode
    try:
        export(token, folder, workers)
    finally:
        metrics.decode = usual


Request = tuple[str, tuple[Any, ...]]
"""A method of the client and what it is called with."""


def requests_of(token: str) -> list[Request]:
    """What an export asks for: runs, attributes and points."""
    from neptune_exporter_neptune3.client import Answer, Client

    requests: list[Request] = []
    methods = {name: getattr(Client, name) for name in ("search", "attributes", "floats")}

    def recording(name: str) -> Callable[..., Answer]:
        def method(self: Client, *arguments: Any) -> Answer:
            requests.append((name, copy.deepcopy(arguments)))
            answer: Answer = methods[name](self, *arguments)
            return answer

        return method

    try:
        for name in methods:
            setattr(Client, name, recording(name))
        with tempfile.TemporaryDirectory() as folder:
            export(token, Path(folder), 1)
    finally:
        for name, method in methods.items():
            setattr(Client, name, method)
    return requests


def replay(token: str, requests: list[Request], decode: Callable[[bytes], Any]) -> None:
    import pyarrow as pa

    from neptune_exporter.contract import Secret
    from neptune_exporter.toolkit import Patience
    from neptune_exporter_neptune3.api import Api
    from neptune_exporter_neptune3.client import Client

    api = Api(Client(Secret(token), 60), Patience(0))
    for name, arguments in requests:
        if name != "floats":
            getattr(api, name)(*arguments)
            continue
        for series in api.floats(*arguments, decode, again=False):
            pa.RecordBatch.from_arrays(
                [
                    pa.array(series.points.times).view(pa.timestamp("ms", "UTC")),
                    pa.array(series.points.steps),
                    pa.array(series.points.values),
                ],
                ["timestamp", "step", "value"],
            )
    api.close()


def public(token: str, shape: tuple[int, int, int]) -> None:
    import neptune_query
    from neptune_query import runs

    neptune_query.set_api_token(token)
    table = runs.fetch_metrics(
        project=PROJECT,
        runs=[f"run-{n:05d}" for n in range(shape[0])],
        attributes=[f"metrics/m{n:03d}" for n in range(shape[1])],
        include_time="absolute",
    )
    rows = table.stack(level=0, future_stack=True).reset_index().dropna(subset=["absolute_time"])
    assert len(rows) == shape[0] * shape[1] * shape[2], len(rows)


if __name__ == "__main__":
    main()
