"""The estimate of `load --dry-run` against the requests that a load makes."""

from __future__ import annotations

from typing import Any

import pytest

from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.runs import SampleAttribute, file, float_series, parameter
from neptune_exporter_pluto.estimate import requests
from neptune_exporter_pluto_server import RehearsalServer

from .conftest import MakeSink
from .samples import sample

SERIES = float_series("loss", [(0, 1.0), (1, 0.5)])


@pytest.mark.parametrize(
    ("attributes", "changes"),
    [
        ([parameter("lr", 0.1)], {}),
        ([SERIES], {"log_every": 1_000}),
        ([float_series(f"metrics/{n}", [(0, 1.0)]) for n in range(1_200)], {}),
        ([file(f"files/{n}", b"content", f"{n}.bin") for n in range(20)], {}),
        ([file(f"files/{n}", b"content", f"{n}.bin") for n in range(20)], {"max_files_per_run": 5}),
    ],
    ids=["tiny", "thinned", "many names", "files", "fewer files"],
)
def test_as_many_requests_as_a_load_makes(
    server: RehearsalServer,
    make_sink: MakeSink,
    attributes: list[SampleAttribute],
    changes: dict[str, Any],
) -> None:
    sink, run = make_sink(**changes), MemoryRun(sample(*attributes))
    before = len(server.requests)
    sink.load(run, None)
    # Where making the run takes seconds, its details are asked for once more than at the end.
    made = [request for request in server.requests[before:] if "/details/" not in request.path]
    assert requests(sink.session.settings, run) == len(made) + 1
