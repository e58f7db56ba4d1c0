"""Verification of files: what Pluto lists of each, and attributes of whose files none arrived."""

from __future__ import annotations

from typing import Any

import pytest

from neptune_exporter.contract import Verdict
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.runs import SampleFile, SampleRun, file, file_series
from neptune_exporter_pluto_server import RehearsalServer

from .conftest import MakeSink
from .killed_load import KEY

RUN = SampleRun(
    KEY,
    (
        file("model", b"weights", "model.pt"),
        file_series("plots", ((step, SampleFile(b"%d" % step, ".bin")) for step in range(3))),
    ),
)


def lines(sink: Any, run: MemoryRun) -> dict[str, tuple[str, str, str]]:
    return {c.item: (c.verdict.value, c.expected, c.found) for c in sink.verify(run)}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"step": 77}, ("*", "step 2", "step 77 of 'plots_step_2.bin'")),
        ({"time": 5}, ("*", None, "time 5 of 'plots_step_2.bin'")),
        ({"fileSize": 9}, ("*", "1 bytes", "9 bytes of 'plots_step_2.bin'")),
    ],
)
def test_size_step_and_time_of_each_file_are_compared(
    server: RehearsalServer, make_sink: MakeSink, change: dict[str, int], found: tuple[str, str | None, str]
) -> None:
    sink = make_sink(visible_within=0.5)
    loaded = sink.load(MemoryRun(RUN), None)
    assert lines(sink, MemoryRun(RUN))["files of plots"] == ("=", "3", "3")
    key = server.key(int(loaded.target_id))
    rows = server.store.file_rows(key)
    assert sum(row["step"] == 2 for row in rows) == 1
    server.store.files._runs.clear()
    server.store.add_files(key, [row | change if row["step"] == 2 else row for row in rows])
    verdict, expected, shown = lines(sink, MemoryRun(RUN))["files of plots"]
    assert (verdict, shown) == (found[0], found[2])
    assert expected == found[1] or (found[1] is None and expected.startswith("time "))
    assert lines(sink, MemoryRun(RUN))["files of model"] == ("=", "1", "1")


@pytest.mark.parametrize("path", ["gone/model.pt", "../outside"])
def test_an_attribute_that_lost_its_only_file_is_told(make_sink: MakeSink, path: str) -> None:
    run = MemoryRun(RUN, renamed_files={"model": path})
    sink = make_sink()
    sink.load(run, None)
    found = lines(sink, run)
    assert found["files of model"] == (Verdict.LOST.value, "1", "0")
    assert found["files of plots"] == ("=", "3", "3")


def test_an_attribute_that_a_cap_left_nothing_of_is_told(make_sink: MakeSink) -> None:
    sink = make_sink(max_files_per_run=1)
    sink.load(MemoryRun(RUN), None)
    found = lines(sink, MemoryRun(RUN))
    assert (found["files of model"], found["files of plots"]) == (("=", "1", "1"), ("~", "3", "0"))


def test_a_file_that_is_gone_since_the_load_is_no_loss_but_cannot_be_compared(make_sink: MakeSink) -> None:
    sink = make_sink()
    sink.load(MemoryRun(RUN), None)
    found = lines(sink, MemoryRun(RUN, renamed_files={"model": "gone.pt"}))
    assert found["files of model"] == ("?", "0", "1 found, which this dataset lacks")
