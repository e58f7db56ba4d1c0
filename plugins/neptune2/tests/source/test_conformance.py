"""The conformance kit: all that a Neptune 2 server can hold of the corpus arrives exactly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from neptune_exporter.contract import Source
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.testing import SampleRun, SourceConformance, sample_runs
from neptune_exporter_neptune2.plugin import make_source, neptune_exporter_sources
from neptune_exporter_neptune2_server import Fault, Neptune2Server, on_attribute
from neptune_exporter_neptune2_server.samples import held, projects_of

from .conftest import settings_for

(SPEC,) = neptune_exporter_sources()
_HELD = [held(sample) for sample in sample_runs()]


@pytest.fixture(scope="module")
def server() -> Iterator[Neptune2Server]:
    with pytest.MonkeyPatch.context() as patch, Neptune2Server(projects_of(_HELD)) as started:
        for name, value in started.environment.items():
            patch.setenv(name, value)
        yield started


class TestNeptune2(SourceConformance):
    capabilities = SPEC.capabilities
    # The list of what is in a file set is added beside it.
    ignored_attributes = frozenset(
        f"{a.path}/files_list.json" for s in _HELD for a in s.attributes if a.type is AttributeType.FILE_SET
    )

    @pytest.fixture
    def source_runs(self) -> Sequence[SampleRun]:
        return _HELD

    @pytest.fixture
    def source(self, server: Neptune2Server) -> Iterator[Source]:
        self.server = server
        source = make_source(settings_for(server, retry_seconds=1))
        yield source
        source.close()
        server.faults.clear()

    def break_attribute(self, key: RunKey, path: str) -> bool:
        fault = Fault("/series/float", status=503, times=10**9, where=on_attribute(path))
        self.server.fail(fault)
        return True
