"""The kit's corpus as wandb's SDK writes it and wandb's own reader reads it back.

Each load starts wandb's service, so this takes some ten minutes: `nox -s wandb_sdk`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from neptune_exporter.testing.sinks import SinkFactory
from neptune_exporter_wandb import formats
from neptune_exporter_wandb.plugin import make_sink
from neptune_exporter_wandb.sdk_loader import SdkLoader
from neptune_exporter_wandb.settings import WandbSettings

from . import test_conformance


class TestSdkLoader(test_conformance.TestWandbLoader):
    capabilities = SdkLoader.capabilities
    allowed_losses = (
        *test_conformance.TestWandbLoader.allowed_losses,
        *("console-page", "start-time", "step-axis"),
    )
    generated_runs = 5

    @pytest.fixture
    def sink_factory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SinkFactory:
        monkeypatch.setattr(formats, "version", "99.0.0")
        self.path = tmp_path / "wandb"
        return lambda options: make_sink(WandbSettings("offline", tmp_path), options)
