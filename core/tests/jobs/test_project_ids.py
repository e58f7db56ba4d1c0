"""Workspace and project of an id: who chooses by them and who names by them divide it at one place."""

from __future__ import annotations

from pathlib import Path

import pytest

from neptune_exporter.model import RunKey
from neptune_exporter.sinks.metadata import RunMetadata
from neptune_exporter.sinks.templates import filled
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.memory_source import MemorySource
from neptune_exporter.testing.runs import SampleRun, parameter

from .test_export import export


@pytest.mark.parametrize(
    ("project_id", "workspace", "project"),
    [
        ("acme/vision", "acme", "vision"),
        ("vision", "", "vision"),
        ("acme/", "", "acme/"),
        ("acme/vision/old", "acme", "vision/old"),
    ],
)
def test_exports_and_loads_divide_an_id_alike(
    project_id: str, workspace: str, project: str, tmp_path: Path
) -> None:
    run = SampleRun(RunKey(project_id, "RUN-1"), (parameter("a", 1.0),))
    result = export(MemorySource([run]), tmp_path, workspace=workspace, project_pattern=f"^{project}$")
    assert [found.project_id for found in result.projects] == [project_id]
    assert filled("{workspace}:{project}", RunMetadata.of(MemoryRun(run))) == f"{workspace}:{project}"
