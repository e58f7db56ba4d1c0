"""Memory follows from settings, not from what a run holds."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from neptune_exporter.dataset import Dataset
from neptune_exporter.testing.commands import clean_environment
from neptune_exporter_neptune3_server import FakeProject, FakeRun, FloatSeries, Neptune3Server, Value

STATUS = Path("/proc/self/status")

EXPORT = f"""
import sys
from pathlib import Path
from neptune_exporter.cli import main

for runs in ("less", "more"):
    sys.argv = ["neptune-exporter", "export", "--exporter=neptune3", "-pacme/vision", f"-r{{runs}}.*"]
    assert main() == 0
    (line,) = [each for each in Path("{STATUS}").open() if each.startswith("VmHWM")]
    print("peak", int(line.split()[1]) // 1024, file=sys.stderr)
"""


needs_status = pytest.mark.skipif(not STATUS.exists(), reason="the system reports no peak of memory")


def peaks(server: Neptune3Server, folder: Path) -> tuple[int, int]:
    """MB after the export of the runs whose ids begin with "less", and then of those with "more": in one
    process, whose peak never sinks."""
    done = subprocess.run(
        [sys.executable, "-c", EXPORT],
        env={**clean_environment(), "NEPTUNE_API_TOKEN": server.api_token},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    # Progress of a slow export stands between the two.
    less, more = map(int, re.findall(r"^peak (\d+)$", done.stderr, re.MULTILINE))
    return less, more


@needs_status
def test_a_long_run_needs_no_more_than_a_shorter_one(
    serve: Callable[..., Neptune3Server], tmp_path: Path
) -> None:
    """Of 70 MB and 290 MB of points. The longer a run, the more often buffers are freed in one thread and
    wanted in another."""
    metrics, steps = 12, np.arange(1_000_000, dtype=np.float64)
    values = np.random.default_rng(0).standard_normal(len(steps))

    def run(name: str, points: int) -> FakeRun:
        held: dict[str, Value | None] = {
            f"m{n}": FloatSeries(steps[:points], values[:points]) for n in range(metrics)
        }
        return FakeRun(name, held)

    project = FakeProject("acme/vision", [run("less", 250_000), run("more", 1_000_000)])
    less, more = peaks(serve(project, cache_bytes=0), tmp_path)
    (exported,) = (
        run
        for run in Dataset(tmp_path / "exports/data", tmp_path / "exports/files").runs()
        if run.key.run_id == "more"
    )
    assert sum(batch.num_rows for batch in exported.batches()) > 12_000_000
    assert more < 500
    assert more - less < 150, f"{less} MB for 3 million points, {more} MB for 12 million"


@needs_status
def test_many_small_runs_need_no_more_than_fewer(
    serve: Callable[..., Neptune3Server], tmp_path: Path
) -> None:
    steps = np.arange(100, dtype=np.float64)

    def runs(name: str, count: int) -> list[FakeRun]:
        return [
            FakeRun(
                f"{name}-{n}",
                {"lr": n / 7, "loss": FloatSeries(steps, steps), "m": FloatSeries(steps, steps)},
            )
            for n in range(count)
        ]

    project = FakeProject("acme/vision", [*runs("less", 300), *runs("more", 1_500)])
    less, more = peaks(serve(project), tmp_path)
    assert len(list((tmp_path / "exports/data").rglob("more*_part_*.parquet"))) == 1_500
    assert more < 300
    assert more - less < 60, f"{less} MB for 300 runs, {more} MB for 1,500"
