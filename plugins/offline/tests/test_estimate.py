"""What a dry run says of small folders, against what the export then writes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .folders import Logging, work_of
from .test_command import command

EXPORT = ("export", "--exporter", "offline", "--offline-project", "acme/vision")


def rows_in(text: str, end: str) -> int:
    (found,) = re.findall(rf"([\d,]+) rows, .*{end}", text)
    return int(found.replace(",", ""))


def estimated_and_written(work: Path) -> tuple[int, int]:
    planned = command(*EXPORT, "--dry-run", cwd=work).stdout
    written = command(*EXPORT, cwd=work).stdout
    return rows_in(planned, "requests"), rows_in(written, "written")


@pytest.mark.parametrize("points", [2, 60])
def test_a_small_log(neptune2: Logging, tmp_path: Path, points: int) -> None:
    with neptune2() as run:
        run["params"] = {"lr": 0.1, "batch": 32, "optimizer": "adam"}
        for n in range(points):
            run["loss"].append(1 / (n + 1))
    estimated, written = estimated_and_written(work_of(tmp_path))
    assert 0.8 * written <= estimated <= 1.2 * written, (estimated, written)


@pytest.mark.parametrize("steps", [2, 60])
def test_a_small_database_with_several_metrics_a_step(scale: Logging, tmp_path: Path, steps: int) -> None:
    with scale() as run:
        run.log_configs({"lr": 0.1, "batch": 32})
        for n in range(steps):
            run.log_metrics({"loss": 1 / (n + 1), "accuracy": n / 100, "rate": 0.1}, step=n)
    estimated, written = estimated_and_written(work_of(tmp_path))
    assert 0.8 * written <= estimated <= 1.2 * written, (estimated, written)
