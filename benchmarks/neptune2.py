"""The neptune2 exporter against its limit and against the client's public API, server in its own process.

    python benchmarks/neptune2.py [--only speed|memory]

Four numbers for each shape and number of workers, in points a second, from one process:
- export: `export_runs` into a dataset, listing, parquet and receipts included; as many connections as workers
- read: the same pages as the exporter reads and decodes them, by as many threads, thrown away
- direct: the same pages through the client's session by as many threads, the JSON decoded straight into
  Arrow and thrown away
- public: `fetch_values` of the client for every series, by as many threads
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from _memory import peak_megabytes

SHAPES = {"one run of 20 × 50,000": (1, 20, 50_000), "100 runs of 10 × 1,000": (100, 10, 1_000)}
MEMORY = {"one run of 20 × 1,000,000": (1, 20, 1_000_000), "10,000 runs of 2 × 20": (10_000, 2, 20)}
PROJECT = "synthetic/benchmark"
PAGE = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--only", choices=["speed", "memory"])
    parser.add_argument("--export-from", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    os.environ |= {"OAUTHLIB_INSECURE_TRANSPORT": "1", "NO_PROXY": "127.0.0.1"}
    if arguments.export_from:
        with tempfile.TemporaryDirectory() as folder:
            export(arguments.export_from, Path(folder), 4)
        print(f"{peak_megabytes():.0f}")
        return
    if arguments.only != "memory":
        for label, shape in SHAPES.items():
            with serving(*shape) as token:
                for workers in arguments.workers:
                    compare(f"{label}, {workers} workers", token, shape, arguments.rounds, workers)
    if arguments.only != "speed":
        for label, shape in MEMORY.items():
            with serving(*shape) as token:
                started = time.perf_counter()
                line = [sys.executable, __file__, "--export-from", token]
                done = subprocess.run(line, check=True, capture_output=True, text=True)
                seconds = time.perf_counter() - started
                print(
                    f"{label}: {done.stdout.strip()} MB at most, {seconds:.1f} s with the start", flush=True
                )


@contextmanager
def serving(runs: int, series: int, points: int) -> Iterator[str]:
    """A server process: its API token."""
    line = [sys.executable, "-m", "neptune_exporter_neptune2_server"]
    line += ["--runs", str(runs), "--series", str(series), "--points", str(points)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["api_token"]
        finally:
            process.stdin.close()
            process.wait(10)


def compare(label: str, token: str, shape: tuple[int, int, int], rounds: int, workers: int) -> None:
    points = shape[0] * shape[1] * shape[2]

    def exported() -> None:
        with tempfile.TemporaryDirectory() as folder:
            export(token, Path(folder), workers)

    ways: dict[str, Callable[[], None]] = {
        "export": exported,
        "read": partial(read_only, token, points, workers),
        "direct": partial(direct, token, points, workers),
        "public": partial(public, token, points, workers),
    }
    best: dict[str, float] = {}
    for number in range(rounds + 1):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            seconds = time.perf_counter() - started
            if number:  # the first round warms up
                best[name] = min(seconds, best.get(name, seconds))
    speed = {name: points / seconds for name, seconds in best.items()}
    print(f"{label}:")
    for name, value in speed.items():
        print(f"  {name:6} {value:12,.0f} points/s")
    for name in list(ways)[1:]:
        print(f"  export / {name:6} {speed['export'] / speed[name]:.2f}", flush=True)


def export(token: str, folder: Path, workers: int) -> None:
    from neptune_exporter.contract import Secret
    from neptune_exporter.jobs.export import ExportOptions, export_runs
    from neptune_exporter.jobs.progress import Progress
    from neptune_exporter_neptune2.plugin import neptune_exporter_sources
    from neptune_exporter_neptune2.settings import Neptune2Settings

    (spec,) = neptune_exporter_sources()
    options = ExportOptions((PROJECT,), folder / "data", folder / "files", workers=workers)
    settings = Neptune2Settings(Secret(token), connections=workers)
    result = export_runs(spec, settings, options, Progress())
    assert result.complete, result


def read_only(token: str, points: int, workers: int) -> None:
    from neptune_exporter.contract import Secret
    from neptune_exporter.model import AttributeType
    from neptune_exporter.toolkit import Patience
    from neptune_exporter_neptune2 import series
    from neptune_exporter_neptune2.api import Api
    from neptune_exporter_neptune2.client import Connection
    from neptune_exporter_neptune2.values import Attribute

    api = Api(Connection(Secret(token), workers, 60.0), Patience(0))

    def read(found: tuple[str, str]) -> int:
        run, attribute = found[0], Attribute(found[1], AttributeType.FLOAT_SERIES, "floatSeries", {})
        offset, total = 0, 1
        while offset < total:
            page = series.fetch(api, run, attribute, offset)
            offset, total = offset + len(page), page.total
        return offset

    with ThreadPoolExecutor(workers) as pool:
        assert sum(pool.map(read, all_series(backend_of(token)))) == points


def backend_of(token: str) -> Any:
    from neptune.internal.backends.hosted_neptune_backend import HostedNeptuneBackend
    from neptune.internal.credentials import Credentials

    return HostedNeptuneBackend(Credentials.from_token(token))


def all_series(backend: Any) -> list[tuple[str, str]]:
    """Every float series of the project: the id of its run, and its path."""
    found = []
    entries = answer_of(
        backend,
        "POST",
        "leaderboard/entries/search",
        {"projectIdentifier": PROJECT, "type": "run"},
        {"pagination": {"limit": 1000, "offset": 0}, "attributeFilters": [{"path": "sys/id"}]},
    )["entries"]
    for entry in entries:
        listed = answer_of(backend, "GET", "attributes", {"experimentId": entry["experimentId"]})
        found += [
            (entry["experimentId"], a["name"]) for a in listed["attributes"] if a["type"] == "floatSeries"
        ]
    return found


def answer_of(backend: Any, method: str, path: str, params: dict[str, Any], body: Any = None) -> Any:
    import orjson
    import requests

    http = backend._http_client
    url = f"{backend._client_config.api_url}/api/leaderboard/v1/{path}"
    request = http.authenticator.apply(requests.Request(method, url, params=params, json=body))
    answer = http.session.send(http.session.prepare_request(request), timeout=60)
    answer.raise_for_status()
    return orjson.loads(answer.content)


def direct(token: str, points: int, workers: int) -> None:
    import pyarrow as pa

    backend = backend_of(token)

    def read(series: tuple[str, str]) -> int:
        offset, total = 0, 1
        while offset < total:
            params = {"experimentId": series[0], "attribute": series[1], "limit": PAGE, "offset": offset}
            page = answer_of(backend, "GET", "attributes/series/float", params)
            values, total = page["values"], page["totalItemCount"]
            pa.RecordBatch.from_arrays(
                [
                    pa.array([v["timestampMillis"] for v in values], pa.int64()),
                    pa.array([v["step"] for v in values], pa.float64()),
                    pa.array([v["value"] for v in values], pa.float64()),
                ],
                ["timestamp", "step", "value"],
            )
            offset += len(values)
        return offset

    with ThreadPoolExecutor(workers) as pool:
        assert sum(pool.map(read, all_series(backend))) == points


def public(token: str, points: int, workers: int) -> None:
    import neptune

    runs: dict[str, list[str]] = {}
    for run_id, path in all_series(backend_of(token)):
        runs.setdefault(run_id, []).append(path)
    with neptune.init_project(PROJECT, api_token=token, mode="read-only") as project:
        ids = list(project.fetch_runs_table(columns=[], progress_bar=False).to_pandas()["sys/id"])

    with ThreadPoolExecutor(workers) as pool:

        def read(run: Any, path: str) -> int:
            return len(run[path].fetch_values(progress_bar=False))

        total = 0
        paths = next(iter(runs.values()))
        for start in range(0, len(ids), workers):
            opened = [
                neptune.init_run(with_id=each, project=PROJECT, api_token=token, mode="read-only")
                for each in ids[start : start + workers]
            ]
            total += sum(
                future.result() for future in [pool.submit(read, r, p) for r in opened for p in paths]
            )
            for run in opened:
                run.stop()
        assert total == points, total


if __name__ == "__main__":
    main()
