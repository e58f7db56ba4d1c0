"""The explorer: a zoom against reading the same range with pyarrow alone, and the table of many runs.

    python benchmarks/explorer.py [--points 1000000] [--runs 10000]

The ratio comes from one process; seconds are for comparing two versions on one machine.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import _looked_at as made
import httpx
import pyarrow as pa
import pyarrow.dataset as pads
from _memory import peak_megabytes
from starlette.testclient import TestClient

import neptune_exporter
from neptune_exporter_explorer.app import make_app

HOST = "127.0.0.1:8000"
ROUNDS = 5
ASKED = {
    "sort": {"sort": "-config/number-003"},
    "filter": {"q": "config/number-003 > 0.5 and config/text-001 = value 3"},
    "group": {"group": "config/text-001"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=10_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        made.curves(Path(name, "zoom"), 1, 20, arguments.points)
        zoom(Path(name, "zoom"), arguments.points)
        print(f"{peak_megabytes():.0f} MB at most")
        made.parameters(Path(name, "table"), arguments.runs, 200)
        table(Path(name, "table"))


def zoom(folder: Path, points: int) -> None:
    """One of 20 series, each time another tenth of it: the answer is never one that was kept."""
    client = served(folder)
    run = "run:11:acme/curves:run-000"
    path = "train/metric-07"
    client.get("/api/points", params={"run": run, "attribute": path, "high": 10})
    answers, reads = [], []
    for i in range(ROUNDS):
        low, high = points // 10 * i + i, points // 10 * (i + 1)
        asked: dict[str, str | int] = {
            "run": run,
            "attribute": path,
            "low": low,
            "high": high,
            "buckets": 400,
        }
        answers.append(seconds(lambda given=asked: client.get("/api/points", params=given).content))
        reads.append(seconds(lambda low=low, high=high: plain_read(folder, path, low, high)))
    for what, index in (("elapsed", 0), ("processor time", 1)):
        ours, plain = (statistics.median(each[index] for each in taken) for taken in (answers, reads))
        ratio = f"{ours / plain:.2f} times pyarrow alone"
        print(f"zoom, {points // 10:,} of {points:,} points: {ours:.3f} s {what}, {ratio}")


def plain_read(folder: Path, path: str, low: int, high: int) -> pa.Table:
    """The same range with pyarrow alone."""
    step, kind = pads.field("step"), pa.decimal128(18, 6)
    least, most = pa.scalar(Decimal(low), kind), pa.scalar(Decimal(high), kind)
    wanted = (pads.field("attribute_path") == path) & (step >= least) & (step <= most)
    return pads.dataset(folder / "data").to_table(columns=["step", "float_value"], filter=wanted)


def table(folder: Path) -> None:
    """The table of runs as the command serves it, from its start on."""
    command = [Path(sys.executable).with_name("neptune-exporter"), "view", "--no-browser"]
    command += ["-d", folder / "data", "-f", folder / "files"]
    begin = time.perf_counter()
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split(" is at ")[1].split()[0]
        with httpx.Client(base_url=address, timeout=60) as client:
            first = client.get("/api/runs", params={"limit": 100, "sort": "-:begin"}).json()
            print(
                f"{len(first['rows'])} rows, {time.perf_counter() - begin:.2f} s after the command was given"
            )
            while not (state := client.get("/api/dataset").json())["complete"]:
                time.sleep(0.2)
            print(f"all {state['runs']:,} runs read: {time.perf_counter() - begin:.1f} s after it")
            for what, asked in ASKED.items():
                taken, _ = seconds(lambda given=asked: client.get("/api/runs", params=given).content)
                print(f"{what}: {taken:.3f} s")
        memory, times = peak_megabytes(process.pid), os.times()
        process.send_signal(signal.SIGINT)
        process.wait(60)
        used = os.times()
        server = used.children_user + used.children_system - times.children_user - times.children_system
    print(f"the server: {server:.1f} s of processor time, {memory:.0f} MB at most")


def served(folder: Path) -> TestClient:
    app = make_app(neptune_exporter.open_dataset(folder), {HOST})
    app.state.table.wait()
    app.state.table.stop()
    return TestClient(app, base_url=f"http://{HOST}")


def seconds(action: Callable[[], object]) -> tuple[float, float]:
    """Elapsed seconds, and those of processor time in this process."""
    begin, used = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - begin, time.process_time() - used


if __name__ == "__main__":
    main()
