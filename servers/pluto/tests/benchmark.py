"""Points a second that the rehearsal server takes, in a process of its own on one core.

    python plugins/pluto_loader/tests/rehearsal/benchmark.py [points]

Not a test: it prints. "cpu" divides by the processor time of the server alone,
"wall" by the time on the clock, which other work on the machine makes longer.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

CLOCK_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def bodies(points: int, width: int, size: int = 4 << 20) -> list[bytes]:
    """Lines of `width` metrics, full precision, in bodies of about `size` bytes."""
    numbers = random.Random(7)
    names = [f"metrics/train/series_{i:02d}" for i in range(width)]
    found: list[bytes] = []
    lines: list[str] = []
    held = 0
    for step in range(points // width):
        data = {name: numbers.random() for name in names}
        line = json.dumps(
            {"time": 1_700_000_000_000 + step * 137, "step": step, "data": data}, separators=(",", ":")
        )
        lines.append(line)
        held += len(line) + 1
        if held >= size:
            found.append("\n".join(lines).encode() + b"\n")
            lines, held = [], 0
    if lines:
        found.append("\n".join(lines).encode() + b"\n")
    return found


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def measure(width: int, points: int, options: list[str]) -> str:
    load = bodies(points, width)
    pin = ["taskset", "-c", "0"] if shutil.which("taskset") else []
    command = [
        *pin,
        sys.executable,
        "-m",
        "neptune_exporter_pluto_server",
        "--until-stdin-closes",
        *options,
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        ready = json.loads(server.stdout.readline())
        host = ready["url_ingest"].rpartition("/")[2]
        connection = http.client.HTTPConnection(host, timeout=120)
        headers = {
            "Authorization": f"Bearer {ready['api_key']}",
            "X-Run-Id": "1",
            "X-Project-Name": "benchmark",
        }

        def send(body: bytes) -> None:
            connection.request("POST", "/ingest/metrics", body, headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                raise SystemExit(f"refused: {text!r}")

        send(load[0])  # what is imported at first use is not measured
        cpu, clock = processor_seconds(server.pid), time.perf_counter()
        for body in load:
            send(body)
        clock, cpu = time.perf_counter() - clock, processor_seconds(server.pid) - cpu
        connection.close()
    sent = points // width * width
    size = sum(map(len, load))
    return f"{sent / cpu:>12,.0f} points/s cpu {sent / clock:>12,.0f} wall {size / cpu / 1e6:>7.0f} MB/s"


def main() -> None:
    points = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
    for name, options in (("storing", []), ("counting", ["--count-only"])):
        for width in (1, 5, 20):
            sys.stdout.write(f"{name:9} {width:3} metrics a line {measure(width, points, options)}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
