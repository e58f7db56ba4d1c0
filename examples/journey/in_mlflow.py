"""A local MLflow for the journey: an SQLite file, and what MLflow's own client reads of it."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from counting import ROWS, Numbers

NAME = "MLflow"
REHEARSAL = None
"""A new SQLite file is one by itself."""


@contextmanager
def started(folder: Path) -> Iterator[InMlflow]:
    """The environment says where the file is; `mlflow server` shows it afterwards."""
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    os.environ.update(MLFLOW_TRACKING_URI=uri, MLFLOW_DISABLE_TELEMETRY="true")
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    yield InMlflow(uri, folder / "read")
    print(f"\nTo look at it: cd {folder} && mlflow server --backend-store-uri {uri}")


class InMlflow:
    """MLflow's client reads all of it. Steps are whole: they are divided by the multiplier on record."""

    def __init__(self, uri: str, downloads: Path) -> None:
        self._uri = uri
        self._downloads = downloads

    def runs(self, project: str) -> dict[str, Numbers]:
        """By the runs' ids in Neptune."""
        from mlflow import MlflowClient

        client = MlflowClient(self._uri)
        experiment = client.get_experiment_by_name(project)
        runs = client.search_runs([experiment.experiment_id])
        names = {run.info.run_id: run.data.tags["neptune.run_id"] for run in runs}
        return {names[run.info.run_id]: self._numbers(client, run, names) for run in runs}

    def _numbers(self, client: Any, run: Any, names: dict[str, str]) -> Numbers:
        run_id, tags = run.info.run_id, run.data.tags
        points = [p for name in run.data.metrics for p in client.get_metric_history(run_id, name)]
        target = self._downloads / run_id
        target.mkdir(parents=True)
        folder = Path(client.download_artifacts(run_id, "", str(target)))
        manifest = json.loads((folder / "neptune/manifest.json").read_text())
        files = [path for path in folder.rglob("*") if path.is_file()]
        tables = {folder / name for name in manifest["tables"]}
        own = [path for path in files if path.relative_to(folder).parts[0] != "neptune"]
        # Of an image MLflow's page shows a smaller copy first, which lies beside it.
        own = [path for path in own if path not in tables and "+compressed." not in path.name]
        return dict(
            zip(
                ROWS,
                [
                    sum(not name.startswith("sys/") for name in run.data.params),
                    len(points),
                    sum(point.value for point in points),
                    sum(point.step for point in points) / float(manifest["step_multiplier"]),
                    sum(rows(path) for path in tables if path.suffix == ".csv"),
                    lines(folder / "neptune/histograms.jsonl"),
                    len(own),
                    sum(path.stat().st_size for path in own),
                    sorted(json.loads(tags.get("neptune.tags", "[]"))),
                    names.get(tags.get("mlflow.parentRunId", "")),
                ],
                strict=True,
            )
        )


def rows(path: Path) -> int:
    with path.open(newline="") as file:
        return sum(1 for _ in csv.DictReader(file))


def lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0
