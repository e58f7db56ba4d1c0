"""Servers that send a byte now and then: no wait for a byte is long, and the answer never ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from neptune_exporter.testing.loopback import Fault
from neptune_exporter.toolkit import longest_wait
from neptune_exporter_neptune3_server import (
    EXCHANGE_PATH,
    FLOATS_PATH,
    SEARCH_PATH,
    STORAGE_PATH,
    FakeFile,
    FakeProject,
    FakeRun,
    FloatSeries,
)

from .conftest import PROJECT, Exporting

Exports = Callable[..., Exporting]
SLOW = {"timeout": 1.0, "retry_seconds": 1}


@pytest.mark.parametrize("path", [EXCHANGE_PATH, SEARCH_PATH, FLOATS_PATH, STORAGE_PATH])
@pytest.mark.parametrize("kind", [{}, {"chunked": True}, {"drip_head": True}], ids=str)
def test_a_drip_ends_and_what_failed_of_it_is_there_next_time(
    exporting: Exports, path: str, kind: dict[str, bool]
) -> None:
    attributes = {"m": FloatSeries(range(100), range(100)), "f": FakeFile(bytes(5000)), "lr": 0.5}
    export = exporting(FakeProject(PROJECT, [FakeRun("r", dict(attributes))]))
    export.server.fail(Fault(path, drip=0.1, times=10**6, **kind))
    result = export(settings=SLOW)
    messages = [f.message for f in result.failures] + [p.error for p in result.projects if p.error]
    sender = "the object store" if path == STORAGE_PATH else export.server.url
    assert messages and all(f"{sender}: the server sent only" in message for message in messages)
    assert longest_wait() is None
    export.server.faults.clear()
    assert export(settings=SLOW).complete
    assert len(export.values("r", "m", "float_value")) == 100
    assert export.values("r", "f", "file_size") == [5000]


def test_a_drip_that_ends_costs_nothing(exporting: Exports) -> None:
    export = exporting(FakeProject(PROJECT, [FakeRun("r", {"f": FakeFile(bytes(5000))})]))
    export.server.fail(Fault(STORAGE_PATH, drip=0.1))
    assert export(settings={**SLOW, "retry_seconds": 20}).complete
    assert export.values("r", "f", "file_size") == [5000]
