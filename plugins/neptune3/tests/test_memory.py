"""Memory follows from settings, not from what a run holds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from neptune_exporter.testing.commands import clean_environment
from neptune_exporter_neptune3.testing import FakeProject, FakeRun, FloatSeries, Neptune3Server, Value

STATUS = Path("/proc/self/status")

EXPORT = f"""
import sys
from pathlib import Path
from neptune_exporter.cli import main

for run_id in ("short", "long"):
    sys.argv = ["neptune-exporter", "export", "--exporter=neptune3", "-pacme/vision", f"-r{{run_id}}"]
    assert main() == 0
    (line,) = [each for each in Path("{STATUS}").open() if each.startswith("VmHWM")]
    print(int(line.split()[1]) // 1024, file=sys.stderr)
"""


@pytest.mark.skipif(not STATUS.exists(), reason="the system tells no peak of memory")
def test_a_long_run_needs_no_more_than_a_shorter_one(
    serve: Callable[..., Neptune3Server], tmp_path: Path
) -> None:
    """Of 70 MB and 290 MB of points, one after the other in one process: its peak never sinks.

    The longer a run, the more often buffers are freed in one thread and wanted in another.
    """
    metrics, steps = 12, np.arange(1_000_000, dtype=np.float64)
    values = np.random.default_rng(0).standard_normal(len(steps))

    def run(name: str, points: int) -> FakeRun:
        held: dict[str, Value | None] = {
            f"m{n}": FloatSeries(steps[:points], values[:points]) for n in range(metrics)
        }
        return FakeRun(name, held)

    server = serve(FakeProject("acme/vision", [run("short", 250_000), run("long", 1_000_000)]), cache_bytes=0)
    done = subprocess.run(
        [sys.executable, "-c", EXPORT],
        env={**clean_environment(), "NEPTUNE_API_TOKEN": server.api_token},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert "12,000,01" in done.stdout
    less, more = map(int, done.stderr.split())
    assert more < 500
    assert more - less < 150, f"{less} MB for 3 million points, {more} MB for 12 million"
