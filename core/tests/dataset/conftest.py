"""What the tests of the dataset share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from neptune_exporter.dataset import Dataset

EXISTING = Path(__file__).parents[3] / "tests" / "data" / "existing-export"


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """An empty dataset."""
    return Dataset(tmp_path / "data", tmp_path / "files")


@pytest.fixture
def existing(tmp_path: Path) -> Dataset:
    """A copy of what the public tool wrote."""
    shutil.copytree(EXISTING, tmp_path / "existing")
    return Dataset(tmp_path / "existing" / "data", tmp_path / "existing" / "files")
