"""The source in memory keeps to the contract, whatever the order in which it delivers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from neptune_exporter.contract import Source
from neptune_exporter.testing.corpus import sample_runs
from neptune_exporter.testing.memory_source import MemorySource
from neptune_exporter.testing.runs import SampleRun
from neptune_exporter.testing.sources import SourceConformance


class TestMemorySource(SourceConformance):
    capabilities = MemorySource.CAPABILITIES

    @pytest.fixture
    def source_runs(self) -> Sequence[SampleRun]:
        return sample_runs()

    @pytest.fixture
    def source(self, source_runs: Sequence[SampleRun]) -> Source:
        self.memory = MemorySource(source_runs)
        return self.memory
