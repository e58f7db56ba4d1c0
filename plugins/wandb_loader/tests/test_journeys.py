"""The existing export and the standard export of the benchmarks, made smaller, in run folders."""

from __future__ import annotations

from pathlib import Path

from neptune_exporter.contract import LoadOptions
from neptune_exporter.jobs.load import LoadResult
from neptune_exporter.testing import THEMES, MemoryRun, old_layout, themed_runs
from neptune_exporter.testing.journey import check_every_attribute, check_journey
from neptune_exporter.testing.sink_checks import load_runs
from neptune_exporter_wandb.plugin import neptune_exporter_sinks
from neptune_exporter_wandb.settings import WandbSettings

EXISTING = Path(__file__).parents[3] / "tests/data/existing-export"
(SPEC,) = neptune_exporter_sinks()


SHAPE = old_layout.Shape(metrics=20, steps=1_000, parameters=50, lines=500, histograms=20, files=10)


def _journey(folder: Path, data: Path, files: Path) -> LoadResult:
    def contents() -> object:
        found = folder.rglob("*")
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in found if path.is_file()}

    return check_journey(SPEC, WandbSettings("offline", folder), data, files, contents)


def test_the_existing_export(tmp_path: Path) -> None:
    result = _journey(tmp_path, EXISTING / "data", EXISTING / "files")
    assert {loss.reason for loss in result.losses} == {"file-missing"}


def test_the_standard_export(tmp_path: Path) -> None:
    data, files = tmp_path / "exports/data", tmp_path / "exports/files"
    old_layout.standard(data, files, runs=2, shape=SHAPE)
    result = _journey(tmp_path / "runs", data, files)
    assert not result.losses
    assert result.counts["points"] == 2 * SHAPE.metrics * SHAPE.steps


def test_every_attribute_of_the_hostile_corpus_is_named(tmp_path: Path) -> None:
    """As equal or as a loss; one run of the corpus has no attribute."""
    sink = SPEC.factory(WandbSettings("offline", tmp_path), LoadOptions())
    for theme in THEMES:
        runs = [MemoryRun(run) for run in themed_runs(theme)]
        load_runs(sink, runs)
        for run in runs:
            if any(True for _ in run.rows()):
                check_every_attribute(sink, run)
    sink.close()
