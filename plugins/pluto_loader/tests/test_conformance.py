"""The kit's own tests: every row of the corpus arrives, or is a counted loss."""

from __future__ import annotations

import pytest
from .conftest import MakeSink
from .reading import read_run

from neptune_exporter.contract import LoadedRun, LoadOptions
from neptune_exporter.model import RunKey
from neptune_exporter.testing import SinkConformance
from neptune_exporter.testing.loaded import LoadedSample
from neptune_exporter.testing.sinks import ReadBack, SinkFactory
from neptune_exporter_pluto.plugin import CAPABILITIES
from neptune_exporter_pluto.rehearsal import RehearsalServer
from neptune_exporter_pluto.session import usable_project_name


class TestPlutoSink(SinkConformance):
    capabilities = CAPABILITIES
    allowed_losses = ("long-text", "long-description", "long-run-name", "file-missing", "file-unsafe")
    signed_zeros = False
    generated_runs = 5

    @pytest.fixture
    def sink_factory(self, make_sink: MakeSink) -> SinkFactory:
        return lambda options: make_sink(options)

    @pytest.fixture
    def read_back(self, server: RehearsalServer) -> ReadBack:
        def read(key: RunKey, loaded: LoadedRun) -> LoadedSample:
            return read_run(server, usable_project_name(key.project_id), int(loaded.target_id))

        return read


def test_options_are_used(make_sink: MakeSink) -> None:
    assert make_sink(LoadOptions(name_prefix="p")).session.options.name_prefix == "p"
