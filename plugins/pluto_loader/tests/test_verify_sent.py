"""The comparison at the end of a load: the load of a small run says what it sent, so it is not read again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from neptune_exporter.contract import LoadedRun, Parameter
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.runs import (
    SampleRun,
    file,
    float_series,
    parameter,
    string_series,
)
from neptune_exporter_pluto_server import RehearsalServer

from .conftest import MakeSink
from .killed_load import KEY, everything
from .posting import post

SMALL = SampleRun(
    KEY,
    (
        parameter("lr", 0.1),
        parameter("sys/name", "small"),
        parameter("rounded", 0.12345678901234567),
        float_series("loss", enumerate([0.5, 0.25, float("nan")])),
        float_series("accuracy " + "x" * 300, [(0, 1.0)]),  # a name that Pluto does not take
    ),
)


class Unread(MemoryRun):
    """A run that says what its receipt says, and whose rows must not be read."""

    def batches(self, types: Any = None, **kwargs: Any) -> Iterator[Any]:
        if self.counts().keys().isdisjoint(types):  # known without reading
            return iter(())
        raise AssertionError("the rows are read")

    def parameters(self) -> Mapping[str, Parameter]:
        raise AssertionError("the parameters are read")


def after(loaded: LoadedRun, run: MemoryRun) -> MemoryRun:
    """The run as the comparison at the end of the load gets it."""
    assert isinstance(loaded.sent, bytes)
    run.found = loaded.sent
    return run


def lines(sink: Any, run: MemoryRun, full: bool = False) -> list[tuple[str, str, str, str]]:
    return [(c.item, c.verdict.value, c.expected, c.found) for c in sink.verify(run, full=full)]


def test_it_says_the_same_without_reading_the_run(make_sink: MakeSink) -> None:
    sink = make_sink()
    loaded = sink.load(MemoryRun(SMALL), None)
    found = lines(sink, after(loaded, Unread(SMALL)))
    assert found == lines(sink, MemoryRun(SMALL))
    assert ("points of loss", "=", "3", "3") in found and ("parameters", "=", "3", "3") in found
    with pytest.raises(AssertionError, match="are read"):
        lines(sink, after(loaded, Unread(SMALL)), full=True)


def extra_point(server: RehearsalServer, run_id: int) -> None:
    post(server, run_id, "metrics", time=1, step=10**9, data={"loss": 7.0})


def missing_points(server: RehearsalServer, run_id: int) -> None:
    server.store.points._runs.pop(server.key(run_id))


def changed_parameter(server: RehearsalServer, run_id: int) -> None:
    server.runs.by_id[run_id].config["lr"] = 0.2


def missing_parameter(server: RehearsalServer, run_id: int) -> None:
    del server.runs.by_id[run_id].config["lr"]


def extra_log_line(server: RehearsalServer, run_id: int) -> None:
    post(server, run_id, "logs", time=1, message="x", lineNumber=1, logType="INFO")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (extra_point, ("points of loss", "+", "3", "4")),
        (missing_points, ("points of loss", "-", "3", "0")),
        (changed_parameter, ("parameter lr", "*", "0.1", "0.2")),
        (missing_parameter, ("parameter lr", "-", "0.1", "")),
        (extra_log_line, ("log lines", "+", "0", "1")),
    ],
)
def test_what_did_not_arrive_is_found(
    server: RehearsalServer,
    make_sink: MakeSink,
    change: Callable[[RehearsalServer, int], None],
    line: tuple[str, str, str, str],
) -> None:
    sink = make_sink(visible_within=0.5)
    loaded = sink.load(MemoryRun(SMALL), None)
    change(server, int(loaded.target_id))
    found = lines(sink, after(loaded, MemoryRun(SMALL)))
    assert line in found
    assert found == lines(sink, MemoryRun(SMALL))


def test_what_another_load_has_sent_is_not_taken_for_it(make_sink: MakeSink) -> None:
    """The run was begun again meanwhile, into another run of Pluto."""
    sink = make_sink()
    earlier = sink.load(MemoryRun(SMALL), None)
    changed = replace(SMALL, attributes=SMALL.attributes[1:])
    sink.load(MemoryRun(changed), None)
    assert lines(sink, after(earlier, MemoryRun(changed))) == lines(sink, MemoryRun(changed))


@pytest.mark.parametrize(
    "more",
    [
        float_series("m", [(-1, 1.0), (0, 1.0)]),  # one is lost
        float_series("m", [(0, 1.0), (0, 2.0)]),  # Pluto shows one of both
        float_series("m", [(0.1, 1.0), (1 / 3, 1.0)]),  # another step
        string_series("m", [(0, "text")]),
        file("m", b"2", "out.txt"),
        parameter("m", "long" * 1_024),
    ],
)
def test_a_run_that_may_be_another_in_pluto_is_read(make_sink: MakeSink, more: Any) -> None:
    run = SampleRun(KEY, (*SMALL.attributes, more))
    assert make_sink().load(MemoryRun(run), None).sent is None


def test_a_run_with_everything_is_read(make_sink: MakeSink) -> None:
    assert make_sink().load(MemoryRun(everything()), None).sent is None
