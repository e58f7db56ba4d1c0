"""Train the model while the real Neptune clients log it, offline, and keep an account of what was logged.

    python train.py FOLDER

writes `FOLDER/.neptune/…` (the clients' own doing) and `FOLDER/truth.json`.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import neptune
import numpy as np
from moons import Network, png, two_moons
from neptune.types import File as Neptune2File
from neptune_scale import Run as ScaleRun
from neptune_scale.types import File as ScaleFile
from neptune_scale.types import Histogram

PROJECT = "demo/moons"
HIDDEN, BATCHES, EPOCHS = 12, 8, 25


@dataclass
class Account:
    """What was logged to one run, kept beside the client and independently of it."""

    parameters: int = 0
    points: int = 0
    sum_of_values: float = 0.0
    sum_of_steps: float = 0.0
    log_lines: int = 0
    histograms: int = 0
    files: int = 0
    file_bytes: int = 0
    tags: list[str] = field(default_factory=list)
    parent: str | None = None

    def point(self, value: float, step: float) -> None:
        self.points += 1
        self.sum_of_values += value
        self.sum_of_steps += step

    def file(self, data: bytes) -> None:
        self.files += 1
        self.file_bytes += len(data)


def train_with_neptune2(folder: Path) -> Account:
    """One run through the 2.x client in offline mode."""
    account = Account(tags=["baseline", "moons"])
    run = neptune.init_run(
        mode="offline",
        project=PROJECT,
        capture_stdout=False,
        capture_stderr=False,
        capture_hardware_metrics=False,
        capture_traceback=False,
        git_ref=False,
        source_files=[],
    )
    run["sys/tags"].add(account.tags)
    config: dict[str, Any] = {"rate": 0.5, "hidden": HIDDEN, "optimizer": "sgd", "shuffle": False}
    for name, value in config.items():
        run[f"config/{name}"] = value
    run["config/started"] = datetime(2025, 3, 1, 12, 0, tzinfo=timezone.utc)
    account.parameters = len(config) + 2  # the client adds source_code/entrypoint by itself

    x, y = two_moons(400, noise=0.15, seed=1)
    network = Network(HIDDEN, seed=2)
    for progress in network.train(x, y, rate=0.5, batches=BATCHES, epochs=EPOCHS):
        run["train/loss"].append(progress.loss, step=progress.epoch)
        run["train/accuracy"].append(progress.accuracy, step=progress.epoch)
        account.point(progress.loss, progress.epoch)
        account.point(progress.accuracy, progress.epoch)
        if progress.end_of_epoch:
            run["logs/training"].append(
                f"epoch {progress.epoch:.0f}: loss {progress.loss:.4f}", step=progress.epoch
            )
            account.log_lines += 1

    report = f"final loss {progress.loss!r}\n".encode()
    run["report"].upload(Neptune2File.from_content(report, extension="txt"))
    account.file(report)
    picture = png(network.decision_map())
    run["decision"].upload(Neptune2File.from_content(picture, extension="png"))
    account.file(picture)
    weights = network.weights()
    path = folder / "weights.bin"
    path.write_bytes(weights)
    run["model/weights"].upload(str(path))
    account.file(weights)
    run.stop()
    return account


def train_with_scale(
    folder: Path, run_id: str, network: Network, parent: tuple[str, float] | None
) -> Account:
    """A run through neptune-scale in offline mode; a fork goes on where its parent was."""
    account = Account(tags=["scale"], parent=parent[0] if parent else None)
    run = ScaleRun(
        project=PROJECT,
        run_id=run_id,
        experiment_name=f"moons {run_id}",
        mode="offline",
        log_directory=folder / ".neptune",
        fork_run_id=parent[0] if parent else None,
        fork_step=parent[1] if parent else None,
        enable_console_log_capture=False,
        source_tracking_config=None,
    )
    run.add_tags(account.tags)
    config: dict[str, Any] = {
        "config/rate": 0.1 if parent else 0.5,
        "config/hidden": HIDDEN,
        "config/seed": 2**53 + 1,
        "config/optimizer": "sgd",
        "config/forked": parent is not None,
        "config/started": datetime(2025, 3, 2, 12, 0, tzinfo=timezone.utc),
    }
    run.log_configs(config)
    account.parameters = len(config)

    x, y = two_moons(400, noise=0.15, seed=1)
    first = int(parent[1]) if parent else 0
    for progress in network.train(x, y, rate=0.5, batches=BATCHES, epochs=EPOCHS, first_epoch=first):
        metrics = {"train/loss": progress.loss, "train/accuracy": progress.accuracy}
        run.log_metrics(metrics, step=progress.epoch)
        for value in metrics.values():
            account.point(value, progress.epoch)
        if not progress.end_of_epoch:
            continue
        epoch = progress.epoch
        run.log_string_series({"logs/training": f"epoch {epoch:.0f}: {progress.loss:.4f}"}, step=epoch)
        account.log_lines += 1
        counts, edges = np.histogram(network.w1, bins=10, range=(-4, 4))
        run.log_histograms({"weights/w1": Histogram(bin_edges=edges, counts=counts)}, step=epoch)
        account.histograms += 1
        if epoch % 5 == 0:
            picture = png(network.decision_map())
            run.log_files({"decision": ScaleFile(picture, mime_type="image/png")}, step=epoch)
            account.file(picture)
    weights = network.weights()
    run.assign_files({"model/weights": ScaleFile(weights, mime_type="application/octet-stream")})
    account.file(weights)
    run.close()
    return account


def main(folder: Path) -> None:
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)  # the 2.x client writes to ./.neptune
    network = Network(HIDDEN, seed=2)
    truth = {
        "moons-2x": train_with_neptune2(folder),
        "moons-1": train_with_scale(folder, "moons-1", network, None),
        "moons-2": train_with_scale(folder, "moons-2", network, ("moons-1", float(EPOCHS))),
    }
    (folder / "truth.json").write_text(json.dumps({k: asdict(v) for k, v in truth.items()}, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp()))
