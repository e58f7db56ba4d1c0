"""The conformance kit, on its corpus in the local server."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from neptune_exporter.contract import Source
from neptune_exporter.model import AttributeType, RunKey, SysAttribute
from neptune_exporter.testing import SampleRun, SourceConformance, float_series, sample_runs
from neptune_exporter.testing.corpus import PROJECT
from neptune_exporter.testing.loopback import Request, Response
from neptune_exporter.testing.runs import SampleAttribute
from neptune_exporter_neptune3.plugin import neptune_exporter_sources
from neptune_exporter_neptune3_server import FLOATS_PATH, Neptune3Server
from neptune_exporter_neptune3_server.samples import held_by_neptune3, projects_of

(SPEC,) = neptune_exporter_sources()


def _previews() -> SampleRun:
    metric = float_series("metric", enumerate([0.5, 0.25, 0.125]))
    last = replace(metric.entries[-1], preview=True)
    mixed = replace(metric, entries=(*metric.entries[:-1], last))
    only = SampleAttribute("only-previews", AttributeType.FLOAT_SERIES, (last,))
    return SampleRun(RunKey(PROJECT, "previews"), (mixed, only))


HELD = held_by_neptune3([*sample_runs(), _previews()])


class TestNeptune3(SourceConformance):
    capabilities = SPEC.capabilities
    server: Neptune3Server

    @pytest.fixture
    def source_runs(self) -> Sequence[SampleRun]:
        return HELD

    @pytest.fixture
    def source(
        self,
        source_runs: Sequence[SampleRun],
        serve: Callable[..., Neptune3Server],
        connect: Callable[..., Source],
    ) -> Iterator[Source]:
        self.server = serve(*projects_of(source_runs))
        yield connect(self.server)

    def break_attribute(self, key: RunKey, path: str) -> bool:
        """Every request that asks for this metric is refused."""
        (run,) = (run for run in HELD if run.key == key)
        holder = f"{key.project_id}/{run.parameter(SysAttribute.ID)}"
        handle = self.server.handle

        def refusing(request: Request) -> Response:
            if request.path != FLOATS_PATH:
                return handle(request)
            body = request.body()
            for each in json.loads(body)["requests"]:
                if (each["series"]["attribute"], each["series"]["holder"]["identifier"]) == (path, holder):
                    return Response.of_json({"message": "no such thing"}, 400)
            return handle(replace(request, stream=io.BytesIO(body), _consumed=False))

        self.server.handle = refusing  # type: ignore[method-assign]
        return True
