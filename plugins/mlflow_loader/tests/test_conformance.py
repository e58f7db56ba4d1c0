"""The kit's own tests, judged by what sqlite3 and the folder of artifacts show."""

from __future__ import annotations

import pytest

from neptune_exporter.contract import LoadedRun
from neptune_exporter.model import RunKey
from neptune_exporter.testing import SinkConformance
from neptune_exporter.testing.sinks import ReadBack, SinkFactory
from neptune_exporter_mlflow.settings import CAPABILITIES

from .conftest import MakeSink
from .reading import Store, read_run


class TestMlflowLoader(SinkConformance):
    capabilities = CAPABILITIES
    allowed_losses = ("file-missing", "file-unsafe", "fork-not-native", "no-step")
    generated_runs = 5

    @pytest.fixture
    def sink_factory(self, make_sink: MakeSink) -> SinkFactory:
        return make_sink

    @pytest.fixture
    def read_back(self, store: Store) -> ReadBack:
        return lambda key, loaded: read_run(store, loaded.target_id)

    @pytest.fixture(autouse=True)
    def _store(self, store: Store) -> None:
        self._target = store

    def tamper(self, key: RunKey, loaded: LoadedRun) -> bool:
        query = "update metrics set value = 0.26 where value = 0.25 and run_uuid = ?"
        return self._target.write(query, loaded.target_id) > 0

    def held_ids(self, key: RunKey) -> list[str]:
        query = """select runs.run_uuid from runs join tags on tags.run_uuid = runs.run_uuid
            where lifecycle_stage = 'active' and tags.key = 'neptune.run_id' and tags.value = ?"""
        return [run_id for (run_id,) in self._target.rows(query, key.run_id)]
