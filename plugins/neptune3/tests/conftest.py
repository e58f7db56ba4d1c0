"""The source against the local server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from neptune_exporter.contract import AttributeSelection, RunSelection, Secret, Source
from neptune_exporter.dataset import Dataset
from neptune_exporter.jobs.export import ExportOptions, ExportResult, export_runs
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.testing.commands import preload
from neptune_exporter_neptune3.plugin import make_source, neptune_exporter_sources
from neptune_exporter_neptune3.settings import Neptune3Settings
from neptune_exporter_neptune3_server import Neptune3Server

PROJECT = "acme/vision"
(SPEC,) = neptune_exporter_sources()
preload("neptune_exporter_neptune3.source")


def settings_for(server: Neptune3Server, **given: Any) -> Neptune3Settings:
    """Of a source that gives up soon."""
    return Neptune3Settings(
        **{"api_token": Secret(server.api_token), "retry_seconds": 2, "timeout": 20.0, **given}
    )


class Exporting:
    """Whole exports from a server into a dataset."""

    def __init__(self, server: Neptune3Server, folder: Path) -> None:
        self.server = server
        self.folder = folder

    @property
    def dataset(self) -> Dataset:
        return Dataset(self.folder / "data", self.folder / "files")

    def __call__(
        self,
        *projects: str,
        runs: RunSelection | None = None,
        attributes: AttributeSelection | None = None,
        settings: dict[str, Any] | None = None,
        **options: Any,
    ) -> ExportResult:
        chosen = ExportOptions(
            projects or (PROJECT,),
            self.folder / "data",
            self.folder / "files",
            runs or RunSelection(),
            attributes or AttributeSelection(),
            **options,
        )
        return export_runs(SPEC, settings_for(self.server, **(settings or {})), chosen, Progress())

    def rows(self, run_id: str, project_id: str = PROJECT) -> list[dict[str, Any]]:
        """Every row of an exported run, without its null columns."""
        (run,) = (run for run in self.dataset.runs(project_id) if run.key.run_id == run_id)
        found = [row for batch in run.batches() for row in batch.to_pylist()]
        return [{k: v for k, v in row.items() if v is not None} for row in found]

    def values(self, run_id: str, path: str, column: str) -> list[Any]:
        return [row.get(column) for row in self.rows(run_id) if row["attribute_path"] == path]


@pytest.fixture
def serve() -> Iterator[Callable[..., Neptune3Server]]:
    """Starts servers, and stops them in the end."""
    servers: list[Neptune3Server] = []

    def start(*projects: Any, **options: Any) -> Neptune3Server:
        servers.append(Neptune3Server(projects, **options).start())
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def connect() -> Iterator[Callable[..., Source]]:
    """Makes sources, and closes them in the end."""
    sources: list[Source] = []

    def make(server: Neptune3Server, **given: Any) -> Source:
        sources.append(make_source(settings_for(server, **given)))
        return sources[-1]

    yield make
    for source in sources:
        source.close()


@pytest.fixture
def exporting(serve: Callable[..., Neptune3Server], tmp_path: Path) -> Callable[..., Exporting]:
    """Gives exports from a new server that holds the given projects."""
    return lambda *projects, **options: Exporting(serve(*projects, **options), tmp_path)
