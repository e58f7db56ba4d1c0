"""The sink in memory is as perfect as it is taken for."""

from __future__ import annotations

import pytest

from neptune_exporter.contract import LoadedRun
from neptune_exporter.model import RunKey
from neptune_exporter.testing.memory_sink import MemorySink, MemoryTarget
from neptune_exporter.testing.sinks import ReadBack, SinkConformance, SinkFactory


class TestMemorySink(SinkConformance):
    capabilities = MemorySink.CAPABILITIES
    target_in_memory = True

    @pytest.fixture
    def target(self) -> MemoryTarget:
        self.held = MemoryTarget()
        return self.held

    @pytest.fixture
    def sink_factory(self, target: MemoryTarget) -> SinkFactory:
        return lambda options: MemorySink(options, target)

    @pytest.fixture
    def read_back(self, target: MemoryTarget) -> ReadBack:
        return MemorySink(target=target).read_back

    def tamper(self, key: RunKey, loaded: LoadedRun) -> bool:
        self.held.runs[key].rows.pop()
        return True
