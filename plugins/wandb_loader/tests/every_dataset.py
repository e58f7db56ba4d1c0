"""The hostile corpus and a small standard export of the benchmarks in run folders, verified in full.

Every attribute must be named as equal or as a loss: `nox -s every_way`.
"""

from __future__ import annotations

from pathlib import Path

from neptune_exporter.contract import LoadOptions
from neptune_exporter.testing import THEMES, MemoryRun, old_layout, themed_runs
from neptune_exporter.testing.journey import check_every_attribute
from neptune_exporter.testing.sink_checks import load_runs
from neptune_exporter_wandb.settings import WandbSettings

from .test_journeys import SPEC, journey

SHAPE = old_layout.Shape(metrics=20, steps=2_000, parameters=50, lines=500, histograms=50, files=10)


def test_the_standard_export(tmp_path: Path) -> None:
    data, files = tmp_path / "exports/data", tmp_path / "exports/files"
    old_layout.standard(data, files, runs=2, shape=SHAPE)
    result = journey(tmp_path / "runs", data, files)
    assert not result.losses
    assert result.counts["points"] == 2 * SHAPE.metrics * SHAPE.steps


def test_the_hostile_corpus(tmp_path: Path) -> None:
    sink = SPEC.factory(WandbSettings("offline", tmp_path), LoadOptions())
    for theme in THEMES:
        runs = [MemoryRun(run) for run in themed_runs(theme)]
        load_runs(sink, runs)
        for run in runs:
            if any(True for _ in run.rows()):  # one of the corpus has nothing
                check_every_attribute(sink, run)
    sink.close()
