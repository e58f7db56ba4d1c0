"""The estimate of `load --dry-run` against the requests that a load makes."""

from __future__ import annotations

from typing import Any

import pytest

from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.runs import SampleAttribute, file, float_series, parameter
from neptune_exporter_pluto.estimate import requests

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
    make_sink: MakeSink, attributes: list[SampleAttribute], changes: dict[str, Any]
) -> None:
    sink, run = make_sink(visible_within=60.0, **changes), MemoryRun(sample(*attributes))
    before = sink.session.api.transport.requests
    sink.load(run, None)
    made = sink.session.api.transport.requests - before
    # One more where making the run takes seconds: it asks whether another machine has taken it.
    assert made - 1 <= requests(sink.session.settings, run) <= made
