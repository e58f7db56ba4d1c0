"""A server and the source that reads it through the unmodified client."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from neptune_exporter.contract import Secret, Source
from neptune_exporter.dataset import Dataset
from neptune_exporter.jobs.export import ExportOptions, ExportResult, export_runs
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.model import RunKey
from neptune_exporter.testing.commands import preload
from neptune_exporter_neptune2.plugin import make_source, neptune_exporter_sources
from neptune_exporter_neptune2.settings import Neptune2Settings
from neptune_exporter_neptune2_server import FakeProject, Neptune2Server, Options

Serve = Callable[..., Neptune2Server]
(SPEC,) = neptune_exporter_sources()
preload("neptune_exporter_neptune2.source", "neptune.internal.backends.hosted_neptune_backend")


def settings_for(server: Neptune2Server, **changes: object) -> Neptune2Settings:
    """Settings by which the source reaches a server; impatient, so that what fails for good fails soon."""
    chosen: dict[str, object] = {"connections": 4, "retry_seconds": 5, **changes}
    return Neptune2Settings(api_token=Secret(server.tokens.api_token), **chosen)  # type: ignore[arg-type]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Starts a server in whose environment the client works."""
    started: list[Neptune2Server] = []

    def start(*projects: FakeProject, options: Options | None = None) -> Neptune2Server:
        server = Neptune2Server(projects, options).start()
        started.append(server)
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def connect() -> Iterator[Callable[..., Source]]:
    """The source for a server."""
    made: list[Source] = []

    def source(server: Neptune2Server, **changes: object) -> Source:
        made.append(make_source(settings_for(server, **changes)))
        return made[-1]

    yield source
    for each in made:
        each.close()


class Exporter:
    """Exports from a server into one folder, as the command does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def dataset(self) -> Dataset:
        return Dataset(self.folder / "data", self.folder / "files")

    def rows(
        self, run_id: str, path: str | None = None, project_id: str = "team/cats"
    ) -> list[dict[str, Any]]:
        """Rows of an exported run without their null columns; of one attribute if a path is given."""
        (run,) = (run for run in self.dataset.runs(project_id) if run.key.run_id == run_id)
        found = [row for batch in run.batches() for row in batch.to_pylist()]
        taken = [row for row in found if path in (None, row["attribute_path"])]
        return [{name: cell for name, cell in row.items() if cell is not None} for row in taken]

    def value(self, run_id: str, path: str, column: str) -> Any:
        (row,) = self.rows(run_id, path)
        return row.get(column)

    def content(self, run_id: str, row: dict[str, Any]) -> bytes:
        """The file that a row names."""
        run = self.dataset.run(RunKey("team/cats", run_id))
        assert run is not None
        with run.open_file(row["file_value"]["path"]) as stream:
            return stream.read()

    def notes(self, run_id: str) -> tuple[str, ...]:
        run = self.dataset.run(RunKey("team/cats", run_id))
        assert run is not None
        return run.notes

    def __call__(
        self,
        server: Neptune2Server,
        projects: Sequence[str] = ("team/cats",),
        *,
        settings: dict[str, object] | None = None,
        **options: object,
    ) -> ExportResult:
        chosen = {"workers": 2, **options}
        job = ExportOptions(tuple(projects), self.folder / "data", self.folder / "files", **chosen)  # type: ignore[arg-type]
        return export_runs(SPEC, settings_for(server, **(settings or {})), job, Progress())


@pytest.fixture
def export(tmp_path: Path) -> Exporter:
    return Exporter(tmp_path / "exports")
