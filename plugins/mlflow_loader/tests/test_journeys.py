"""The existing export, with all that is in it, by every way into MLflow."""

from __future__ import annotations

from pathlib import Path

import pytest

from neptune_exporter.contract import Secret
from neptune_exporter.testing.journey import check_journey
from neptune_exporter_mlflow.plugin import neptune_exporter_sinks
from neptune_exporter_mlflow.settings import MlflowSettings

from .reading import Store

EXISTING = Path(__file__).parents[3] / "tests/data/existing-export"
(SPEC,) = neptune_exporter_sinks()
TABLES = ("experiments", "runs", "tags", "params", "metrics", "latest_metrics")


def contents(store: Store) -> list[object]:
    return [sorted(store.rows(f"select * from {table}"), key=repr) for table in TABLES]


@pytest.mark.parametrize("way", ["client", "direct"])
def test_the_existing_export(store: Store, tmp_path: Path, way: str) -> None:
    artifacts = str(tmp_path / "artifacts")
    direct = Secret(store.uri) if way == "direct" else None
    settings = MlflowSettings(store.uri, artifact_location=artifacts, direct_database=direct)
    result = check_journey(SPEC, settings, EXISTING / "data", EXISTING / "files", lambda: contents(store))
    assert {loss.reason for loss in result.losses} == {"file-missing"}
