"""The kit's own tests: every row of the corpus arrives, or is a counted loss."""

from __future__ import annotations

import httpx
import pytest

from neptune_exporter.contract import LoadedRun
from neptune_exporter.model import RunKey
from neptune_exporter.testing import SinkConformance
from neptune_exporter.testing.loaded import LoadedSample
from neptune_exporter.testing.sinks import ReadBack, SinkFactory
from neptune_exporter_pluto.plugin import CAPABILITIES
from neptune_exporter_pluto.state.session import usable_project_name
from neptune_exporter_pluto_server import RehearsalServer

from .conftest import MakeSink
from .reading import read_run


class TestPlutoSink(SinkConformance):
    capabilities = CAPABILITIES
    allowed_losses = ("long-text", "long-description", "long-run-name", "fork-not-native")
    allowed_losses += ("file-missing", "file-unsafe", "rounded-number", "fractional-step")
    """The last of steps that times any multiplier are not whole below 2**53: see test_steps_beyond.py."""
    generated_runs = 5
    broken_lines = 3  # some wait two seconds until Pluto shows what it has; `nox -s kit` breaks all
    crossed_lines = 1
    target_in_memory = True  # the server runs in this process; test_memory.py measures the loader alone

    @pytest.fixture
    def sink_factory(self, make_sink: MakeSink) -> SinkFactory:
        return lambda options: make_sink(options)

    @pytest.fixture
    def read_back(self, server: RehearsalServer) -> ReadBack:
        def read(key: RunKey, loaded: LoadedRun) -> LoadedSample:
            return read_run(server, usable_project_name(key.project_id), int(loaded.target_id))

        return read

    @pytest.fixture(autouse=True)
    def _server(self, server: RehearsalServer) -> None:
        self._tampered = server

    def tamper(self, key: RunKey, loaded: LoadedRun) -> bool:
        """A newer value at a step that is there."""
        server = self._tampered
        line = b'{"time":4102444800000,"step":99,"data":{"train/sparse":7}}'
        headers = {
            "Authorization": f"Bearer {server.api_key}",
            "X-Run-Id": loaded.target_id,
            "X-Project-Name": key.project_id,
        }
        httpx.post(f"{server.url_ingest}/ingest/metrics", content=line, headers=headers).raise_for_status()
        return True
