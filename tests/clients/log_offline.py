"""Log three small runs through the real clients, offline, into `./.neptune`. The project is the argument."""

from __future__ import annotations

import sys

import neptune
from neptune.types import File as Neptune2File
from neptune_scale import Run
from neptune_scale.types import File, Histogram


def log_with_neptune2(project: str) -> None:
    run = neptune.init_run(
        mode="offline",
        project=project,
        capture_stdout=False,
        capture_stderr=False,
        capture_hardware_metrics=False,
        git_ref=False,
        source_files=[],
    )
    run["config/lr"] = 0.25
    run["config/name"] = "first"
    run["sys/tags"].add(["a", "b"])
    for step in range(20):
        run["train/loss"].append(1 / (step + 1), step=step / 4)
        run["logs"].append(f"line {step}", step=step)
    run["report"].upload(Neptune2File.from_content(b"report", extension="txt"))
    run.stop()


def log_with_scale(project: str, run_id: str, parent: str | None) -> None:
    run = Run(
        project=project,
        run_id=run_id,
        mode="offline",
        log_directory=".neptune",
        fork_run_id=parent,
        fork_step=9 if parent else None,
        enable_console_log_capture=False,
        source_tracking_config=None,
    )
    run.log_configs({"config/big": 2**53 + 1, "config/lr": 0.5})
    first = 10 if parent else 0
    for step in range(first, first + 10):
        run.log_metrics({"loss": 1 / (step + 1), "nan": float("nan")}, step=step)
        run.log_string_series({"logs": f"line {step}"}, step=step)
        run.log_histograms({"h": Histogram(bin_edges=[0, 1, 2], counts=[step, 1])}, step=step)
    run.assign_files({"weights": File(b"\x00" * 100, mime_type="application/octet-stream")})
    run.log_files({"samples": File(b"text", mime_type="text/plain")}, step=first)
    run.close()


if __name__ == "__main__":
    log_with_neptune2(sys.argv[1])
    log_with_scale(sys.argv[1], "parent", None)
    log_with_scale(sys.argv[1], "child", "parent")
