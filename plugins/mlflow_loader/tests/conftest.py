"""An MLflow of its own for each test: an SQLite store and a folder of artifacts."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from neptune_exporter.contract import LoadOptions
from neptune_exporter.testing.commands import CommandLine, preload
from neptune_exporter_mlflow.connecting import connected
from neptune_exporter_mlflow.loader import MlflowLoader
from neptune_exporter_mlflow.settings import MlflowSettings

from .reading import Store

MakeSink = Callable[..., MlflowLoader]
preload("neptune_exporter_mlflow.loader")


@pytest.fixture(scope="session")
def new_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What MLflow makes of a new SQLite file, which takes seconds of migrations."""
    path = tmp_path_factory.mktemp("mlflow") / "new.db"
    connected(MlflowSettings(f"sqlite:///{path}"))
    return path


@pytest.fixture
def store(new_database: Path, tmp_path: Path) -> Store:
    shutil.copy(new_database, tmp_path / "mlflow.db")
    return Store(tmp_path / "mlflow.db")


@pytest.fixture
def make_sink(store: Store, tmp_path: Path) -> Iterator[MakeSink]:
    """Makes sinks with changed settings; all of them load into one store."""
    settings = MlflowSettings(store.uri, artifact_location=str(tmp_path / "artifacts"))

    def make(options: LoadOptions | None = None, **changes: Any) -> MlflowLoader:
        changed = replace(settings, **changes)
        return MlflowLoader(connected(changed), changed, options or LoadOptions())

    return make


@pytest.fixture
def command_line(store: Store, tmp_path: Path) -> CommandLine:
    """`neptune-exporter` in the folder of the test, which loads into its store."""
    variables = {
        "MLFLOW_TRACKING_URI": store.uri,
        "NEPTUNE_EXPORTER_MLFLOW_ARTIFACT_LOCATION": str(tmp_path / "artifacts"),
    }
    return CommandLine(tmp_path, variables)
