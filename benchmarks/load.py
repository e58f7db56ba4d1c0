"""The Pluto loader against the limit: the same bytes, encoded beforehand, sent over as many connections.

    python benchmarks/load.py [--rounds 3] [--longest 10000000] [--only PIECE …] [--memory [PART …]]

There are two limits: posting only the points and rows, and sending every request of
the load (runs, config, names, uploads). For few large runs they are much the same.

The server is a strict local Pluto that counts, in a process of its own. Limit and
loader take turns, so that other work on the machine meets both alike, and the median
of each is told. Beside the time on the clock stands the processor time of the client
and of the server: on a busy machine only that says what a change is worth. `--longest 100000000` extends the
table of growth, `--memory` loads 50 M points, 5 M lines, 100,000 files and one file of 5 GB.
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.compute as pc
from _memory import peak_megabytes

from neptune_exporter.contract import LoadOptions, Secret
from neptune_exporter.jobs.load import LoadJobOptions, LoadResult, load_runs
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.schema import FILE_TYPE, TIME_TYPE, step_columns
from neptune_exporter.testing import old_layout
from neptune_exporter_pluto.plugin import neptune_exporter_sinks
from neptune_exporter_pluto.service.transport import Transport
from neptune_exporter_pluto.settings import PlutoSettings

(SPEC,) = neptune_exporter_sinks()
CONNECTIONS, UPLOADS = 4, 8
"""Requests and uploads under way at once: the loader's defaults, and the limits'."""
PROJECT = "acme/standard"
_START = 1_700_000_000_000
_NUMBERS = itertools.count(1)
PARTS = ("points", "lines", "files", "large-file")
_ASKING = httpx.Client(trust_env=False, timeout=60, verify=False)
"""Asks servers on loopback how far they are. `httpx.get` would read all certificates each time, for 0.1 s."""


@dataclass(frozen=True)
class Compared:
    """A dataset that is loaded beside its limits."""

    label: str
    runs: int = 4
    shape: old_layout.Shape = old_layout.STANDARD
    latency: float = 0.0
    """Seconds that the server waits with every answer."""
    processes: Sequence[int | None] = (None,)
    """How many the loader is run with, in turn; None: as many as it takes by itself. Together they use as
    many connections as one."""


_LONG = old_layout.Shape(steps=80_000, lines=8_000, histograms=400, files=200)
_SMALL = old_layout.Shape(metrics=20, steps=80, parameters=20, lines=10, histograms=2, files=1)
COMPARED = {
    "standard": Compared("standard, 4 runs"),
    "latency": Compared("standard, 50 ms latency", latency=0.05),
    "one": Compared("as much in one run", 1, _LONG),
    "many": Compared("as much in 1,000 runs", 1_000, _SMALL, processes=(None, 1)),
}


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
        return dict(_ASKING.get(f"{self.url}/rehearsal/stats").json())

    def set(self, **settings: float) -> None:
        _ASKING.post(f"{self.url}/rehearsal/settings", json=settings).raise_for_status()


@contextmanager
def counting_server() -> Iterator[Server]:
    options = ["--count-only", "--until-stdin-closes"]
    command = [sys.executable, "-m", "neptune_exporter_pluto_server", *options]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        ready = json.loads(process.stdout.readline())
        yield Server(ready["url_api"], ready["api_key"], process.pid)
        process.stdin.close()


def load(server: Server, folder: Path, processes: int | None = None) -> tuple[float, LoadResult]:
    """Seconds and result of a whole load, from making the sink to closing it.

    Each goes into a project of its own: in one where the runs are, the loader would find
    them by their external ids and send nothing. That all was sent is checked.
    """
    before = server.stats()["points"]
    with tempfile.TemporaryDirectory() as state:
        settings = PlutoSettings(
            api_key=Secret(server.key),
            url_api=server.url,
            url_ingest=server.url,
            project_name=f"benchmark/{next(_NUMBERS)}",
            base_dir=Path(state),
            connections=CONNECTIONS,
            file_connections=UPLOADS,
            file_chunk_sleep=0.0,
        )
        options = LoadJobOptions(
            folder / "data",
            folder / "files",
            load=LoadOptions(),
            executor=None if processes is None else "threads",
            verify=False,
        )
        started = time.perf_counter()
        result = load_runs(SPEC, settings, options, Progress())
        took = time.perf_counter() - started
    if result.failed:
        raise SystemExit(f"not loaded: {result.failed[0]}")
    arrived, sent = server.stats()["points"] - before, result.counts.get("points", 0)
    if result.already_loaded or arrived != sent:
        raise SystemExit(f"{len(result.already_loaded)} runs were there; {arrived} of {sent} points arrived")
    return took, result


@dataclass(frozen=True)
class Sent:
    """A request as it went over the wire."""

    method: str
    url: str
    content: bytes
    headers: Mapping[str, str]
    params: Mapping[str, str | int]

    @property
    def is_ingest(self) -> bool:
        return "/ingest/" in self.url


@contextmanager
def recorded() -> Iterator[list[Sent]]:
    """All requests of what is done in the block, uploads included."""
    sent: list[Sent] = []
    once, put = Transport._once, Transport.put

    def record_once(self: Transport, method: str, url: str, *args: Any, **request: Any) -> bytes:
        headers = {"Authorization": self._authorization, **request.get("headers", {})}
        sent.append(Sent(method, url, request.get("content", b""), headers, request.get("params", {})))
        return once(self, method, url, *args, **request)

    def record_put(
        self: Transport, url: str, what: str, content: Any, headers: Mapping[str, str]
    ) -> httpx.Response:
        data = content if isinstance(content, bytes) else b"".join(content)
        sent.append(Sent("PUT", url, data, headers, {}))
        return put(self, url, what, data, headers)

    Transport._once, Transport.put = record_once, record_put  # type: ignore[method-assign, assignment]
    try:
        yield sent
    finally:
        Transport._once, Transport.put = once, put  # type: ignore[method-assign]


def send_all(sent: Sequence[Sent]) -> None:
    """The requests, when there is nothing else to do, over as many connections as the loader uses.

    Like the loader, uploads have connections of their own and go beside the others.
    """
    uploads = [each for each in sent if each.method == "PUT"]
    others = [each for each in sent if each.method != "PUT"]
    limits = httpx.Limits(max_connections=CONNECTIONS + UPLOADS)
    with httpx.Client(timeout=300, trust_env=False, limits=limits) as client:

        def send(each: Sent) -> None:
            options = {
                "content": each.content,
                "headers": dict(each.headers),
                "params": dict(each.params) or None,
            }
            client.request(each.method, each.url, **options).raise_for_status()  # type: ignore[arg-type]

        with ThreadPoolExecutor(CONNECTIONS) as pool, ThreadPoolExecutor(UPLOADS) as beside:
            for done in (beside.map(send, uploads), pool.map(send, others)):
                list(done)


@dataclass(frozen=True)
class Cost:
    """Seconds on the clock, and of the processor on both sides."""

    wall: float
    client: float
    server: float


def cost_of(server: Server, work: Callable[[], object]) -> Cost:
    wall, client, of_server = time.perf_counter(), sum(os.times()[:4]), server.processor_seconds()
    work()
    return Cost(
        time.perf_counter() - wall, sum(os.times()[:4]) - client, server.processor_seconds() - of_server
    )


def median(costs: Sequence[Cost]) -> Cost:
    return Cost(
        *(statistics.median(getattr(c, name) for c in costs) for name in ("wall", "client", "server"))
    )


def compare(compared: Compared, folder: Path, rounds: int) -> None:
    with counting_server() as server:
        with recorded() as sent:
            _, result = load(server, folder, processes=1)
        points = result.counts["points"]
        ingest = [each for each in sent if each.is_ingest]
        server.set(latency=compared.latency)
        work: dict[str, Callable[[], object]] = {
            "ingest": lambda: send_all(ingest),
            "all": lambda: send_all(sent),
        }
        loaders = {"loader" if n is None else f"loader, {n} process": n for n in compared.processes}
        for name, processes in loaders.items():
            work[name] = partial(load, server, folder, processes)
        costs: dict[str, list[Cost]] = {name: [] for name in work}
        for _ in range(rounds):
            for name, each in work.items():
                costs[name].append(cost_of(server, each))
    median_of = {name: median(of_name) for name, of_name in costs.items()}
    size = sum(len(each.content) for each in ingest)
    print(f"{compared.label}: {points:,} points, {size / points:.1f} bytes each, {len(sent):,} requests")
    labels = {"ingest": "limit, points and rows only", "all": "limit, every request"}
    for name, cost in median_of.items():
        print(
            f"  {labels.get(name, name):28} {cost.wall:7.2f} s {points / cost.wall:>11,.0f} points/s   "
            f"processor: client {cost.client:6.2f} s, server {cost.server:6.2f} s"
        )
    for loader in loaders:
        ratios = [
            f"{median_of[name].wall / median_of[loader].wall:.2f} of {limit}"
            for name, limit in labels.items()
        ]
        print(f"  the {loader}: {', '.join(ratios)}")


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


def memory(parts: Sequence[str]) -> None:
    """Each load in a process of its own, which tells its peak."""
    print("\nmemory:")
    for part in parts:
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
    peak = peak_megabytes()
    what = ", ".join(f"{count:,} {name}" for name, count in result.counts.items() if count)
    print(f"{peak:7.0f} MB peak {took:8.1f} s: {what}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--longest", type=int, default=10_000_000)
    parser.add_argument("--only", nargs="+", choices=(*COMPARED, "growth"), help="the default: all of them")
    parser.add_argument("--memory", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; none: all")
    parser.add_argument("--part", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        run_part(*arguments.part)
        return
    if arguments.memory is not None:
        memory(arguments.memory or PARTS)
        return
    wanted = arguments.only or [*COMPARED, "growth"]
    for piece, compared in COMPARED.items():
        if piece in wanted:
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                old_layout.standard(
                    folder / "data", folder / "files", runs=compared.runs, shape=compared.shape
                )
                compare(compared, folder, arguments.rounds)
    if "growth" in wanted:
        growth(arguments.longest)


if __name__ == "__main__":
    main()
