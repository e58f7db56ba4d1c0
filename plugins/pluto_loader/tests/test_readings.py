"""Runs that an earlier version of the loader read in another way: what it passed over arrives."""

from __future__ import annotations

from dataclasses import replace

import pytest

from neptune_exporter.contract import AuthenticationError
from neptune_exporter.model import RunKey
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.loopback import Fault
from neptune_exporter.testing.runs import SampleRun, float_series, parameter
from neptune_exporter_pluto import progress
from neptune_exporter_pluto_server import RehearsalServer

from .conftest import MakeSink

KEY = RunKey("acme/vision", "RUN-1")
MANY = 100_001
"""More points than one request takes."""


class Passed(MemoryRun):
    """A run as the earlier version read it, with the fingerprint of the whole."""

    fingerprint = "of the bytes of its parts"


def run_of(points: int) -> tuple[Passed, Passed]:
    """As it was read, without every other point and a parameter; and as it is."""
    series = float_series("loss", [(step, 1.0) for step in range(points)])
    less = replace(series, entries=series.entries[::2])
    return Passed(SampleRun(KEY, (less,))), Passed(SampleRun(KEY, (series, parameter("lr", 0.1))))


def read_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("progress", "journal_events", "open_run"):
        monkeypatch.setattr(f"neptune_exporter_pluto.{module}.READING", progress.READING - 1)


def test_what_was_proven_of_rows_read_otherwise_is_read_back_once_more(
    server: RehearsalServer, make_sink: MakeSink
) -> None:
    before, now = run_of(3)
    with pytest.MonkeyPatch.context() as patch:
        read_as_before(patch)
        sink = make_sink()
        first = sink.load(before, None)
        assert all(line.verdict.value in "=?" for line in sink.verify(before))
        assert sink.load(now, None).already_loaded
    again = make_sink().load(now, None)
    assert (again.target_id, again.already_loaded) == (first.target_id, False)
    assert all(line.verdict.value in "=?" for line in make_sink().verify(now))
    server.requests.clear()
    assert make_sink().load(now, None).already_loaded
    assert not [request for request in server.requests if "details" in request.path]


def test_an_interrupted_load_of_rows_read_otherwise_sends_all_of_them(
    server: RehearsalServer, make_sink: MakeSink
) -> None:
    before, now = run_of(MANY)
    with pytest.MonkeyPatch.context() as patch:
        read_as_before(patch)
        server.fail(Fault("/ingest/metrics", status=401, skip=1))
        with pytest.raises(AuthenticationError):
            make_sink(connections=1).load(before, None)
    sink = make_sink()
    loaded = sink.load(now, None)
    assert all(line.verdict.value in "=?" for line in sink.verify(now, full=True))
    assert server.runs.by_id[int(loaded.target_id)].config["lr"] == 0.1
    assert len(server.runs.by_id) == 1
