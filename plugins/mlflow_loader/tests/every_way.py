"""The hostile corpus, the existing export and the standard export by every way into MLflow, verified in full.

Minutes: `nox -s every_way`. Every attribute must be named as equal or as a loss.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from neptune_exporter.contract import LoadOptions, Secret
from neptune_exporter.testing import THEMES, MemoryRun, old_layout, themed_runs
from neptune_exporter.testing.journey import check_every_attribute, check_journey
from neptune_exporter.testing.sink_checks import load_runs
from neptune_exporter_mlflow.plugin import make_sink, neptune_exporter_sinks
from neptune_exporter_mlflow.settings import MlflowSettings

from .reading import Store
from .test_journeys import EXISTING
from .test_server import address as address
from .test_server import contents as contents_of_server

(SPEC,) = neptune_exporter_sinks()
SHAPE = old_layout.Shape(metrics=20, steps=2_000, parameters=50, lines=500, histograms=50, files=10)
WAYS = ("client sqlite", "client postgresql", "direct sqlite", "direct postgresql", "server")


@pytest.fixture(params=WAYS)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> MlflowSettings:
    if request.param == "server":
        return MlflowSettings(request.getfixturevalue("address"))
    way, database = request.param.split()
    store: Store = request.getfixturevalue("store" if database == "sqlite" else "postgresql")
    direct = Secret(store.uri) if way == "direct" else None
    return MlflowSettings(store.uri, artifact_location=str(tmp_path / "artifacts"), direct_database=direct)


def _contents(settings: MlflowSettings) -> Callable[[], object]:
    uri = settings.tracking_uri or ""
    return lambda: contents_of_server(uri)


@pytest.mark.parametrize("theme", THEMES)
def test_the_hostile_corpus(settings: MlflowSettings, theme: str) -> None:
    sink = make_sink(settings, LoadOptions())
    runs = [MemoryRun(run) for run in themed_runs(theme)]
    try:
        loaded = load_runs(sink, runs)
        for run in runs:
            if any(True for _ in run.rows()):  # one of the corpus has nothing
                check_every_attribute(sink, run)
        again = load_runs(sink, runs)
    finally:
        sink.close()
    assert all(
        again[key].already_loaded and again[key].target_id == each.target_id for key, each in loaded.items()
    )


def test_the_existing_export(settings: MlflowSettings) -> None:
    check_journey(SPEC, settings, EXISTING / "data", EXISTING / "files", _contents(settings))


def test_the_standard_export(settings: MlflowSettings, tmp_path: Path) -> None:
    old_layout.standard(tmp_path / "data", tmp_path / "exported", runs=2, shape=SHAPE)
    result = check_journey(SPEC, settings, tmp_path / "data", tmp_path / "exported", _contents(settings))
    assert not result.losses
    assert result.counts["points"] == 2 * SHAPE.metrics * SHAPE.steps
