"""Fixtures for everything of core."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


class FakeDistributions:
    """Installs distributions that consist of a module and an entry point, for the time of a test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.modules: list[str] = []

    def add(
        self,
        distribution: str,
        code: str,
        *,
        version: str = "1.0",
        name: str | None = None,
        entry_points: str | None = None,
        metadata: bool = True,
    ) -> str:
        """Install `code` as a module that the entry point `name` names; returns the module's name."""
        module = distribution.replace("-", "_")
        info = self.folder / f"{module}-{version}.dist-info"
        info.mkdir(parents=True)
        if metadata:
            text = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
            (info / "METADATA").write_text(text)
        points = entry_points or f"[neptune_exporter]\n{name or module} = {module}\n"
        (info / "entry_points.txt").write_text(points)
        (self.folder / f"{module}.py").write_text(code)
        self.modules.append(module)
        return module


@pytest.fixture
def distributions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDistributions]:
    """An empty place on `sys.path` for fake distributions; those of the workspace are disabled."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv(
        "NEPTUNE_EXPORTER_DISABLE_PLUGINS", "neptune2,neptune3,offline,pluto,mlflow,wandb,explorer"
    )
    fakes = FakeDistributions(folder)
    yield fakes
    for module in fakes.modules:
        sys.modules.pop(module, None)
