"""The kit's corpus in run folders, read back with nothing of the loader."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from neptune_exporter.contract import LoadedRun
from neptune_exporter.model import RunKey
from neptune_exporter.sinks.metadata import RunMetadata
from neptune_exporter.testing import SinkConformance
from neptune_exporter.testing.sinks import ReadBack, SinkFactory
from neptune_exporter_wandb.plugin import make_sink
from neptune_exporter_wandb.settings import CAPABILITIES, WandbSettings

from .reading import change_records, folder_of, sample_of


class TestWandbLoader(SinkConformance):
    capabilities = CAPABILITIES
    allowed_losses = ("file-missing", "file-unsafe", "fork-not-native", "no-step")

    @pytest.fixture
    def sink_factory(self, tmp_path: Path) -> SinkFactory:
        self.path = tmp_path / "wandb"
        return lambda options: make_sink(WandbSettings("offline", tmp_path), options)

    @pytest.fixture
    def read_back(self, tmp_path: Path) -> ReadBack:
        return lambda key, loaded: sample_of(tmp_path / "wandb", loaded.target_id)

    def held_ids(self, key: RunKey) -> list[str]:
        folders = self.path.glob(f"offline-run-*-{RunMetadata.mark_of(key)}*")
        marks = [json.loads((folder / "neptune-exporter.json").read_text()) for folder in folders]
        assert not list(self.path.glob("unfinished-*")), "something half was left"
        return [mark["target_id"] for mark in marks]

    def tamper(self, key: RunKey, loaded: LoadedRun) -> bool:
        folder = folder_of(self.path, loaded.target_id)
        (path,) = folder.glob("*.wandb")
        assert change_records(path, b"0.25", b"0.26")
        return True
