"""A folder of W&B runs for the journey, and what wandb's own reader says of it."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from counting import ROWS, Numbers

NAME = "W&B"
REHEARSAL = None
"""A folder of runs needs no server."""


@contextmanager
def started(folder: Path) -> Iterator[InWandb]:
    """The environment says where the runs go, and that nothing is sent."""
    os.environ.update(
        WANDB_DIR=str(folder), NEPTUNE_EXPORTER_WANDB_MODE="offline", WANDB_ERROR_REPORTING="false"
    )
    yield InWandb(folder / "wandb")
    print(f"\nTo look at it: wandb leet {folder}/wandb; to send it: wandb sync {folder}/wandb/offline-run-*")


class InWandb:
    """`wandb leet inspect` prints the records of a run, parts of a value as `name.part`.

    Tables and exact histograms are files of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def runs(self, project: str) -> dict[str, Numbers]:
        """By the runs' ids in Neptune."""
        found = {}
        for folder in sorted(self._folder.glob("offline-run-*")):
            records = self._records(folder)
            config: dict[str, Any] = {}
            for record in records:
                config |= (record.get("config") or record.get("run", {}).get("config") or {}).get(
                    "update", {}
                )
            about = config["neptune"]
            assert about["project"] == project
            found[about["run_id"]] = self._numbers(folder, records, config)
        return found

    @staticmethod
    def _records(folder: Path) -> list[dict[str, Any]]:
        command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(folder)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=120)
        return [json.loads(line) for line in done.stdout.splitlines()]

    @staticmethod
    def _numbers(folder: Path, records: list[dict[str, Any]], config: dict[str, Any]) -> Numbers:
        rows = [record["history"]["item"] for record in records if "history" in record]
        drawn = [row for row in rows if any(name.endswith("._type") for name in row)]
        points = [point for row in rows if row not in drawn for point in points_of(row)]
        tables = [v for row in drawn for name, v in row.items() if name.endswith(".nrows")]
        own = own_files(folder / "files")
        about, histograms = config["neptune"], folder / "files/neptune/histograms.jsonl"
        return dict(
            zip(
                ROWS,
                [
                    len(own_names(config)),
                    len(points),
                    math.fsum(value for _, value in points),
                    math.fsum(step for step, _ in points),
                    sum(tables),
                    lines(histograms),
                    len(own),
                    sum(path.stat().st_size for path in own),
                    sorted(about["tags"]),
                    (about["fork"] or {}).get("parent"),
                ],
                strict=True,
            )
        )


def own_names(config: dict[str, Any]) -> list[str]:
    """Without what Neptune, wandb and the loader keep."""
    return [name for name in config if not name.startswith(("sys/", "_wandb", "neptune"))]


def own_files(folder: Path) -> list[Path]:
    """Without what the loader made: tables, exact histograms, the manifest."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if path.relative_to(folder).parts[0] not in ("neptune", "media")]


def points_of(row: dict[str, Any]) -> Iterator[tuple[float, float]]:
    """Step and value of each series in a row."""
    for name, value in row.items():
        if name[0] != "_" and name != "neptune_step":
            yield float(row["neptune_step"]), float(value)


def lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0
