"""An MLflow of its own for each test: an SQLite store and a folder of artifacts."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from neptune_exporter.contract import LoadOptions
from neptune_exporter.testing.commands import CommandLine, preload
from neptune_exporter_mlflow.connecting import connected
from neptune_exporter_mlflow.plugin import make_sink as make_loader
from neptune_exporter_mlflow.settings import MlflowSettings

from .cluster import Cluster
from .reading import Store

MakeSink = Callable[..., Any]
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
    return Store(f"sqlite:///{tmp_path / 'mlflow.db'}")


@pytest.fixture
def make_sink(store: Store, tmp_path: Path) -> Iterator[MakeSink]:
    """Makes sinks with changed settings; all of them load into one store."""
    settings = MlflowSettings(store.uri, artifact_location=str(tmp_path / "artifacts"))

    def make(options: LoadOptions | None = None, **changes: Any) -> Any:
        return make_loader(replace(settings, **changes), options or LoadOptions())

    return make


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with Cluster.started() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def new_postgresql(cluster: Cluster) -> str:
    """A database with what MLflow makes of a new one."""
    connected(MlflowSettings(cluster.create("mlflow_new")))
    return "mlflow_new"


@pytest.fixture
def postgresql(cluster: Cluster, new_postgresql: str) -> Iterator[Store]:
    name = f"mlflow_{uuid.uuid4().hex}"
    yield Store(cluster.create(name, new_postgresql))
    cluster.drop(name)


@pytest.fixture
def command_line(store: Store, tmp_path: Path) -> CommandLine:
    """`neptune-exporter` in the folder of the test, which loads into its store."""
    variables = {
        "MLFLOW_TRACKING_URI": store.uri,
        "NEPTUNE_EXPORTER_MLFLOW_ARTIFACT_LOCATION": str(tmp_path / "artifacts"),
    }
    return CommandLine(tmp_path, variables)
