"""The Pluto loader against the limit: the same bytes, encoded beforehand, posted over as many connections.

    python benchmarks/load.py [--rounds 3] [--longest 10000000] [--memory]

The server is a strict local Pluto that counts, in a process of its own. Limit and
loader take turns, so that other work on the machine meets both alike, and the median
of each is told. Beside the time on the clock stands the processor time of the client
and of the server: on a busy machine only that says what a change is worth. `--longest 100000000` extends the
table of growth, `--memory` loads 50 M points, 5 M lines, 100,000 files and 5 GB.
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
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.compute as pc

from neptune_exporter.contract import LoadOptions, Secret
from neptune_exporter.jobs.load import LoadJobOptions, LoadResult, load_runs
from neptune_exporter.jobs.progress import NoProgress
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.schema import FILE_TYPE, TIME_TYPE, step_columns
from neptune_exporter.testing import old_layout
from neptune_exporter_pluto.api import PlutoApi
from neptune_exporter_pluto.plugin import neptune_exporter_sinks
from neptune_exporter_pluto.settings import PlutoSettings

(SPEC,) = neptune_exporter_sinks()
CONNECTIONS = 4
PROJECT = "acme/standard"
_START = 1_700_000_000_000
_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Server:
    url: str
    key: str
    pid: int = 0

    def processor_seconds(self) -> float:
        """What the server has used so far; 0 where the system does not tell."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stats(self) -> dict[str, int]:
        return dict(httpx.get(f"{self.url}/rehearsal/stats", trust_env=False, timeout=60).json())

    def set(self, **settings: float) -> None:
        httpx.post(f"{self.url}/rehearsal/settings", json=settings, trust_env=False).raise_for_status()


@contextmanager
def counting_server() -> Iterator[Server]:
    options = ["--count-only", "--until-stdin-closes"]
    command = [sys.executable, "-m", "neptune_exporter_pluto.rehearsal", *options]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        ready = json.loads(process.stdout.readline())
        yield Server(ready["url_api"], ready["api_key"], process.pid)
        process.stdin.close()


def load(server: Server, folder: Path, workers: int = 2) -> tuple[float, LoadResult]:
    """Seconds and result of a whole load, from making the sink to closing it.

    Each goes into a project of its own: in one where the runs are, the loader would find
    them by their external ids and send nothing. That all was sent is checked.
    """
    before = server.stats()["points"]
    with tempfile.TemporaryDirectory() as state:
        settings = PlutoSettings(
            api_key=Secret(server.key),
            url_app=server.url,
            url_api=server.url,
            url_ingest=server.url,
            project_name=f"benchmark/{next(_NUMBERS)}",
            base_dir=Path(state),
            connections=CONNECTIONS,
        )
        options = LoadJobOptions(
            folder / "data", folder / "files", load=LoadOptions(), workers=workers, verify=False
        )
        started = time.perf_counter()
        result = load_runs(SPEC, settings, options, NoProgress())
        took = time.perf_counter() - started
    if result.failed:
        raise SystemExit(f"not loaded: {result.failed[0]}")
    arrived, sent = server.stats()["points"] - before, result.counts.get("points", 0)
    if result.already_loaded or arrived != sent:
        raise SystemExit(f"{len(result.already_loaded)} runs were there; {arrived} of {sent} points arrived")
    return took, result


@contextmanager
def recorded() -> Iterator[list[tuple[str, str, int, bytes]]]:
    """What is posted to the ingest while the block runs: route, project, run, body."""
    bodies: list[tuple[str, str, int, bytes]] = []
    original = PlutoApi.ingest

    def ingest(
        self: PlutoApi, kind: str, project: str, run_id: int, lines: bytes, *, repeatable: bool
    ) -> None:
        bodies.append((kind, project, run_id, lines))
        original(self, kind, project, run_id, lines, repeatable=repeatable)

    PlutoApi.ingest = ingest  # type: ignore[method-assign]
    try:
        yield bodies
    finally:
        PlutoApi.ingest = original  # type: ignore[method-assign]


def post_all(server: Server, bodies: list[tuple[str, str, int, bytes]]) -> float:
    """Seconds that posting takes when there is nothing else to do."""
    headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/x-ndjson"}
    limits = httpx.Limits(max_connections=CONNECTIONS)
    with httpx.Client(timeout=300, trust_env=False, limits=limits) as client:

        def post(item: tuple[str, str, int, bytes]) -> None:
            kind, project, run_id, body = item
            own = headers | {"X-Run-Id": str(run_id), "X-Project-Name": project}
            client.post(f"{server.url}/ingest/{kind}", content=body, headers=own).raise_for_status()

        started = time.perf_counter()
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(post, bodies))
        return time.perf_counter() - started


@dataclass(frozen=True)
class Cost:
    """Seconds on the clock, and of the processor on both sides."""

    wall: float
    client: float
    server: float


def cost_of(server: Server, work: Callable[[], object]) -> Cost:
    wall, client, of_server = time.perf_counter(), time.process_time(), server.processor_seconds()
    work()
    return Cost(
        time.perf_counter() - wall, time.process_time() - client, server.processor_seconds() - of_server
    )


def median(costs: Sequence[Cost]) -> Cost:
    return Cost(
        *(statistics.median(getattr(c, name) for c in costs) for name in ("wall", "client", "server"))
    )


def compare(label: str, folder: Path, rounds: int, latency: float = 0.0) -> None:
    with counting_server() as server:
        with recorded() as bodies:
            _, result = load(server, folder)
        points = result.counts["points"]
        server.set(latency=latency)
        limits, loads = [], []
        for _ in range(rounds):
            limits.append(cost_of(server, lambda: post_all(server, bodies)))
            loads.append(cost_of(server, lambda: load(server, folder)))
    limit, loader = median(limits), median(loads)
    print(f"{label}: {points:,} points, {sum(len(b) for *_, b in bodies) / points:.1f} bytes each")
    for name, cost in (("limit", limit), ("loader", loader)):
        print(
            f"  {name:7} {cost.wall:7.2f} s {points / cost.wall:>11,.0f} points/s   "
            f"processor: client {cost.client:.2f} s, server {cost.server:.2f} s"
        )
    print(f"  ratio   {limit.wall / loader.wall:7.2f}")


def growth(longest: int) -> None:
    """One run of 20 metrics, ten times as long each time."""
    print("\ngrowth, one run of 20 metrics:")
    points = 100_000
    while points <= longest:
        with tempfile.TemporaryDirectory() as name, counting_server() as server:
            shape = old_layout.Shape(steps=points // 20, parameters=10, lines=0, histograms=0, files=0)
            old_layout.standard(Path(name, "data"), Path(name, "files"), runs=1, shape=shape)
            took, _ = load(server, Path(name))
        print(f"{points:>13,} points {took:8.2f} s {points / took:>11,.0f}/s")
        points *= 10


def memory() -> None:
    """Each load in a process of its own, which tells its peak."""
    print("\nmemory:")
    for part in ("points", "lines", "files", "large-file"):
        with tempfile.TemporaryDirectory() as name, counting_server() as server:
            write_large(part, Path(name))
            command = [sys.executable, __file__, "--part", name, server.url, server.key]
            subprocess.run(command, check=True, env=None)
        sys.stdout.flush()


def write_large(part: str, folder: Path) -> None:
    key = RunKey(PROJECT, part)
    (folder / "files").mkdir()
    writers = {"points": _many_points, "lines": _many_lines, "files": _many_files, "large-file": _large_file}
    old_layout.write_run(folder / "data", key, writers[part](folder / "files" / old_layout.san(PROJECT)))


def _many_points(files: Path) -> Iterator[pa.RecordBatch]:
    yield from old_layout.run_batches(
        RunKey(PROJECT, "points"),
        shape=old_layout.Shape(steps=2_500_000, parameters=5, lines=0, histograms=0, files=0),
    )


def _many_lines(files: Path) -> Iterator[pa.RecordBatch]:
    for start in range(0, 5_000_000, 50_000):
        number = pa.array(range(start, start + 50_000), pa.int64())
        text = pc.binary_join_element_wise("line", number.cast(pa.string()), "x" * 80, " ")
        path = "monitoring/4f2a/stdout" if start % 100_000 else "notes/text"
        yield _rows(AttributeType.STRING_SERIES, path, number, string_value=text)


def _many_files(files: Path) -> Iterator[pa.RecordBatch]:
    files.mkdir(parents=True)
    for start in range(0, 100_000, 10_000):
        paths = [f"{n // 1000}/{n}.bin" for n in range(start, start + 10_000)]
        for path in paths:
            (files / path).parent.mkdir(exist_ok=True)
            (files / path).write_bytes(path.encode())
        cells = pa.array([{"path": path} for path in paths], FILE_TYPE)
        number = pa.array(range(start, start + 10_000), pa.int64())
        yield _rows(AttributeType.FILE_SERIES, "samples/file", number, file_value=cells)


def _large_file(files: Path) -> Iterator[pa.RecordBatch]:
    files.mkdir(parents=True)
    with (files / "model.bin").open("wb") as file:
        file.truncate(5_000_000_000)
    cells = pa.array([{"path": "model.bin"}], FILE_TYPE)
    yield _rows(AttributeType.FILE, "model", pa.array([0]), file_value=cells)


def _rows(kind: AttributeType, path: str, number: pa.Array, **columns: pa.Array) -> pa.RecordBatch:
    times = pc.add(number, _START).cast(TIME_TYPE)
    arrays = {
        "attribute_path": pa.repeat(path, len(number)),
        "attribute_type": pa.repeat(kind.value, len(number)),
        "timestamp": times,
        **step_columns(number.cast(pa.float64())),
        **columns,
    }
    return pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays))


def run_part(folder: str, url: str, key: str) -> None:
    took, result = load(Server(url, key), Path(folder))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    what = ", ".join(f"{count:,} {name}" for name, count in result.counts.items() if count)
    print(f"{peak:7.0f} MB peak {took:8.1f} s: {what}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--longest", type=int, default=10_000_000)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--part", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        run_part(*arguments.part)
        return
    small = old_layout.Shape(metrics=20, steps=80, parameters=20, lines=10, histograms=2, files=1)
    with tempfile.TemporaryDirectory() as name:
        standard, one, many = (Path(name, part) for part in ("standard", "one", "many"))
        old_layout.standard(standard / "data", standard / "files")
        longer = old_layout.Shape(steps=80_000, lines=8_000, histograms=400, files=200)
        old_layout.standard(one / "data", one / "files", runs=1, shape=longer)
        old_layout.standard(many / "data", many / "files", runs=1_000, shape=small)
        compare("standard, 4 runs", standard, arguments.rounds)
        compare("standard, 50 ms latency", standard, arguments.rounds, latency=0.05)
        compare("as much in one run", one, arguments.rounds)
        compare("as much in 1,000 runs", many, 1)
    growth(arguments.longest)
    if arguments.memory:
        memory()


if __name__ == "__main__":
    main()
