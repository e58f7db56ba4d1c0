"""What the tests of the dataset share."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

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


@pytest.fixture
def their_reader() -> ModuleType:
    """The reader of `their_reader.py`."""
    spec = importlib.util.spec_from_file_location("their_reader", Path(__file__).with_name("their_reader.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
