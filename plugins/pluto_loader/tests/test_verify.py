"""Verification: `=` for what is there, and something else for whatever is changed."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neptune_exporter.contract import LoadOptions, SinkError, Verdict
from neptune_exporter.model import RunKey
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.runs import (
    SampleFile,
    SampleHistogram,
    SampleRun,
    file,
    file_series,
    float_series,
    histogram_series,
    parameter,
    string_series,
)
from neptune_exporter_pluto.service import api
from neptune_exporter_pluto.verify import points
from neptune_exporter_pluto_server import RehearsalServer, faults
from neptune_exporter_pluto_server.files import object_key

from .conftest import MakeSink
from .killed_load import KEY, everything
from .posting import post

BAD = {Verdict.MISSING, Verdict.EXTRA, Verdict.DIFFERENT}


def verdicts(sink: Any, run: SampleRun, full: bool = True) -> dict[str, str]:
    return {c.item: c.verdict.value for c in sink.verify(MemoryRun(run), full=full)}


def test_everything_is_equal(make_sink: MakeSink) -> None:
    sink = make_sink()
    sink.load(MemoryRun(everything()), None)
    for full in (False, True):
        found = verdicts(sink, everything(), full)
        assert set(found.values()) <= {"=", "~", "?"}
        for item in ("status", "tags", "parameters", "points of loss", "points of accuracy", "log lines"):
            assert found[item] == "=", item
        assert found["files of images"] == "=" and found["files of logs/stdout"] == "="
        # What Pluto gives no way to read is not called equal.
        assert found["histograms"] == found["string series entries"] == found["notes"] == "?"
    assert found["files of model: bytes"] == found["text of the log lines"] == "="


@pytest.fixture
def read_in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs of the tests count as large: each series is read by itself."""
    monkeypatch.setattr(points, "_FEW_POINTS", 0)


@pytest.mark.parametrize("full", [False, True])
def test_the_series_of_a_small_run_are_read_with_one_request(
    make_sink: MakeSink, server: RehearsalServer, full: bool
) -> None:
    sink = make_sink()
    odd = float_series("odd", [(0, float("nan")), (1, float("inf")), (2, float("-inf")), (3, -0.0)])
    series = (float_series(f"m/{i}", enumerate([0.5, i, 1e300])) for i in range(10))
    run = SampleRun(KEY, (*series, odd))
    sink.load(MemoryRun(run), None)
    answered = len(server.requests)
    found = verdicts(sink, run, full)
    assert [found[f"points of m/{i}"] for i in range(10)] == ["="] * 10 and found["points of odd"] == "="
    asked = [r.path.rpartition("/")[2] for r in server.requests[answered:]]
    assert asked.pop(0).isdigit() and sorted(asked) == ["files", "logs", "metrics"]


def test_a_series_that_pluto_thins_is_read_whole(
    make_sink: MakeSink, server: RehearsalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thinned, it may have as many points as are expected."""
    monkeypatch.setattr(api, "MAX_SHOWN_POINTS", 10)
    monkeypatch.setattr(points, "_FEW_POINTS", 5)
    sink = make_sink()
    for count in (4, 6):
        run = SampleRun(RunKey("acme/vision", f"R-{count}"), (float_series("l", enumerate([1.0] * count)),))
        loaded = sink.load(MemoryRun(run), None)
        for step in range(count, 11):  # of 11 points, Pluto sends 6
            post(server, int(loaded.target_id), "metrics", time=step, step=step, data={"l": 1.0})
        (line,) = [c for c in sink.verify(MemoryRun(run)) if c.item == "points of l"]
        assert (line.verdict, line.expected, line.found) == (Verdict.EXTRA, str(count), "11")


@pytest.mark.parametrize("flag", ["0", 0, "1", 1, None])
def test_flags_of_raw_rows_are_numbers_also_as_text(flag: object) -> None:
    row = {"step": 0, "time": "2023-11-14 22:13:20.000", "value": 1.5, "nonFiniteFlags": flag}
    assert points._points([row]).value.tolist() == pytest.approx(
        [float("nan") if flag in ("1", 1) else 1.5], nan_ok=True
    )


@pytest.mark.usefixtures("read_in_pages")
def test_several_series_are_read_at_once(make_sink: MakeSink, server: RehearsalServer) -> None:
    """While Pluto takes its time for one, others have been answered."""
    sink = make_sink(connections=2)
    sink.load(MemoryRun(everything()), None)
    answered = len(server.requests)
    server.fail(faults.stalled(1.0, "/metrics/raw", times=1))
    assert verdicts(sink, everything())["points of loss"] == "="
    reads = [r for r in server.requests[answered:] if r.path.endswith("/metrics/raw")]
    assert len(reads) == 2 and reads[1].at - reads[0].at > 0.5


def test_losses_are_no_mismatch(make_sink: MakeSink) -> None:
    run = SampleRun(KEY, (float_series("loss", [(-1, 1.0), (0, 2.0), (0, 3.0), (1, 4.0)]),))
    sink = make_sink()
    sink.load(MemoryRun(run), None)
    (line,) = [c for c in sink.verify(MemoryRun(run), full=True) if c.item == "points of loss"]
    assert (line.verdict, line.expected, line.found) == (Verdict.LOST, "4", "2")


def test_what_arrived_at_another_step_is_not_counted_as_dropped(make_sink: MakeSink) -> None:
    run = SampleRun(
        KEY,
        (
            float_series("loss", [(-1, 1.0), (1 / 3, 2.0), (1, 3.0)]),
            float_series("whole", [(0, 1.0)]),
            file_series("plots", [(-1, SampleFile(b"a", ".bin")), (1 / 3, SampleFile(b"b", ".bin"))]),
        ),
    )
    sink = make_sink(LoadOptions(step_multiplier=Decimal(1)))
    loaded = sink.load(MemoryRun(run), None)
    assert {(loss.reason, loss.attribute_path, loss.count) for loss in loaded.losses} == {
        ("negative-step", "loss", 1),
        ("fractional-step", "loss", 1),
        ("file-step", "plots", 1),
        ("fractional-step", "plots", 1),
    }
    lines = {c.item: (c.verdict.value, c.expected, c.found) for c in sink.verify(MemoryRun(run), full=True)}
    assert lines["points of loss"] == ("~", "3", "2")
    assert lines["points of whole"] == ("=", "1", "1")
    assert lines["files of plots"] == ("~", "2", "2")
    assert lines["files of plots: bytes"] == ("=", "2", "2")


def changed_point(server: RehearsalServer, run_id: int) -> None:
    post(server, run_id, "metrics", time=4_102_444_800_000, step=5, data={"loss": 7.0})


def extra_point(server: RehearsalServer, run_id: int) -> None:
    post(server, run_id, "metrics", time=1, step=10**9, data={"loss": 7.0})


def changed_time(server: RehearsalServer, run_id: int) -> None:
    rows = server.store.points.series(server.key(run_id), "loss", 5, 5)
    post(
        server,
        run_id,
        "metrics",
        time=int(rows["time"][0]) + 1,
        step=5,
        data={"loss": float(rows["value"][0])},
    )


def missing_points(server: RehearsalServer, run_id: int) -> None:
    server.store.points._runs.pop(server.key(run_id))


def extra_log_line(server: RehearsalServer, run_id: int) -> None:
    post(server, run_id, "logs", time=1, message="x", lineNumber=1, logType="INFO")


def changed_parameter(server: RehearsalServer, run_id: int) -> None:
    server.runs.by_id[run_id].config["lr"] = 0.2


def missing_parameter(server: RehearsalServer, run_id: int) -> None:
    del server.runs.by_id[run_id].config["lr"]


def wrong_status(server: RehearsalServer, run_id: int) -> None:
    server.runs.by_id[run_id].status = "FAILED"


def blob(server: RehearsalServer, run_id: int, log_name: str) -> Path:
    rows = [r for r in server.store.file_rows(server.key(run_id)) if r["logName"] == log_name]
    found = server.store.blobs.get(object_key(server.key(run_id), log_name, rows[0]["fileName"]))
    assert found is not None
    return found.path


def changed_bytes(server: RehearsalServer, run_id: int) -> None:
    path = blob(server, run_id, "model")
    path.write_bytes(path.read_bytes()[:-1] + b"?")


def missing_bytes(server: RehearsalServer, run_id: int) -> None:
    blob(server, run_id, "model").unlink()


def missing_files(server: RehearsalServer, run_id: int) -> None:
    server.store.files._runs.pop(server.key(run_id))


@pytest.mark.parametrize(
    ("change", "item", "verdict", "only_full"),
    [
        (changed_point, "points of loss", "*", True),
        (changed_time, "points of loss", "*", True),
        (extra_point, "points of loss", "+", False),
        (missing_points, "points of accuracy", "-", False),
        (extra_log_line, "log lines", "+", False),
        (changed_parameter, "parameter lr", "*", False),
        (missing_parameter, "parameter lr", "-", False),
        (wrong_status, "status", "*", False),
        (changed_bytes, "files of model: model.bin", "*", True),
        (missing_bytes, "files of model: model.bin", "*", True),
        (missing_files, "files of images", "-", False),
    ],
)
def test_a_change_is_found(
    server: RehearsalServer,
    make_sink: MakeSink,
    change: Callable[[RehearsalServer, int], None],
    item: str,
    verdict: str,
    only_full: bool,
) -> None:
    sink = make_sink(visible_within=0.5)
    loaded = sink.load(MemoryRun(everything()), None)
    change(server, int(loaded.target_id))
    assert verdicts(sink, everything()).get(item) == verdict
    quick = verdicts(sink, everything(), full=False)
    assert (quick.get(item) == verdict) is not only_full
    values = {c.verdict for c in sink.verify(MemoryRun(everything()), full=True)}
    assert values & BAD


def test_what_becomes_visible_later_is_waited_for(server: RehearsalServer, make_sink: MakeSink) -> None:
    server.settings.visibility_delay = 1.5
    sink = make_sink(visible_within=10.0)
    sink.load(MemoryRun(everything()), None)
    assert set(verdicts(sink, everything(), full=False).values()) <= {"=", "~", "?"}


def test_a_run_that_was_never_loaded(make_sink: MakeSink) -> None:
    assert verdicts(make_sink(), everything()) == {"run": "-"}


def test_from_another_machine(server: RehearsalServer, make_sink: MakeSink, tmp_path: Path) -> None:
    make_sink().load(MemoryRun(everything()), None)
    found = verdicts(make_sink(base_dir=tmp_path / "other machine"), everything())
    assert set(found.values()) <= {"=", "~", "?"}
    assert [run.status for run in server.runs.by_id.values()] == ["COMPLETED"]


@pytest.mark.usefixtures("read_in_pages")
def test_series_longer_than_a_page(
    server: RehearsalServer, make_sink: MakeSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(points, "_PAGE_POINTS", 100)
    values = np.sin(np.arange(1_050)).tolist()
    run = MemoryRun(SampleRun(RunKey("acme/vision", "long"), (float_series("long", enumerate(values)),)))
    sink = make_sink()
    loaded = sink.load(run, None)
    assert {c.item: c.verdict.value for c in sink.verify(run, full=True)}["points of long"] == "="
    post(server, int(loaded.target_id), "metrics", time=4_102_444_800_000, step=1_049, data={"long": 1e9})
    assert {c.item: c.verdict.value for c in sink.verify(run, full=True)}["points of long"] == "*"


@pytest.mark.parametrize("count", [99, 100, 101, 200])
@pytest.mark.usefixtures("read_in_pages")
def test_a_page_that_is_just_full_is_not_the_end(
    make_sink: MakeSink, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Pluto calls it truncated, also where nothing is left."""
    monkeypatch.setattr(points, "_PAGE_POINTS", 100)
    run = MemoryRun(SampleRun(KEY, (float_series("l", ((i, float(i)) for i in range(count))),)))
    sink = make_sink()
    sink.load(run, None)
    (line,) = [c for c in sink.verify(run, full=True) if c.item == "points of l"]
    assert (line.verdict, line.found) == (Verdict.EQUAL, str(count))


@pytest.mark.usefixtures("read_in_pages")
def test_more_points_at_a_step_than_a_page_holds(
    make_sink: MakeSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(points, "_PAGE_POINTS", 5)
    steps = [0, *[1] * 20, 2, 3]
    run = MemoryRun(SampleRun(KEY, (float_series("l", zip(steps, map(float, range(23)), strict=True)),)))
    sink = make_sink()
    sink.load(run, None)
    (line,) = [c for c in sink.verify(run, full=True) if c.item == "points of l"]
    assert (line.verdict, line.expected, line.found) == (Verdict.LOST, "23", "4")
    monkeypatch.setattr(api, "MAX_RAW_POINTS", 5)
    with pytest.raises(SinkError, match="5 rows or more of 'l' at step 1"):
        list(sink.verify(run))


def clashing() -> SampleRun:
    """Names that the loader makes itself are names of attributes too."""
    uneven = SampleHistogram((0.0, 0.1, 1.0), (0.5, 2.0))
    return SampleRun(
        KEY,
        (
            histogram_series("a", [(0, uneven)]),
            float_series("a/exact", [(0, 1.0), (1, 2.0)]),
            float_series("logs/stdout", [(0, 1.0)]),
            file("logs/stderr", b"2", "out.txt"),
            string_series("error", [(0, "z")]),
            string_series("b", [(0, "y")]),
        ),
    )


@pytest.mark.parametrize("batch_rows", [1_000, 1])
def test_names_that_several_want_are_found_again(make_sink: MakeSink, batch_rows: int) -> None:
    """Uploads and metrics go side by side, and rows are cut otherwise: names must not depend on it."""
    make_sink().load(MemoryRun(clashing()), None)
    sink = make_sink()
    object.__setattr__(sink.session.settings, "batch_rows", batch_rows)  # less than a person may ask for
    found = verdicts(sink, clashing())
    assert set(found.values()) <= {"=", "?"}, found
    assert {"points of a/exact", "points of logs/stdout", "files of logs/stderr"} <= set(found)


def test_what_cannot_be_read_is_named_on_another_machine_too(make_sink: MakeSink, tmp_path: Path) -> None:
    make_sink().load(MemoryRun(everything()), None)
    sink = make_sink(base_dir=tmp_path / "other machine")
    lines = {c.item: c for c in sink.verify(MemoryRun(everything()))}
    for item, count in (("histograms", "10"), ("string series entries", "300")):
        assert (lines[item].verdict, lines[item].expected) == (Verdict.UNKNOWN, count)


def test_what_was_asked_of_the_load_is_remembered(make_sink: MakeSink) -> None:
    """`verify` takes neither a prefix nor, without the same environment, the other options of the load."""
    make_sink(LoadOptions(name_prefix='old "'), log_every=50, max_files_per_run=3).load(
        MemoryRun(everything()), None
    )
    found = verdicts(make_sink(), everything())
    assert set(found.values()) <= {"=", "~", "?"}, found
    assert (found["name"], found["points of loss"], found["files of images"]) == ("=", "~", "~")


NUMBERS = [0.1 + 0.2, 1.0, -0.0, 1e20, 2.0**60, 1e22, 5e-324, 1.7976931348623157e308, -(2**53), 1e-7]


def test_numbers_are_equal_to_the_last_digit(server: RehearsalServer, make_sink: MakeSink) -> None:
    """As Pluto keeps them: 1.0 is 1 there, 2.0**60 has other digits, and 0.30000000000000004 only 16."""
    run = SampleRun(KEY, tuple(parameter(f"p{i}", number) for i, number in enumerate(NUMBERS)))
    sink = make_sink()
    loaded = sink.load(MemoryRun(run), None)
    assert set(verdicts(sink, run).values()) <= {"=", "?", "~"}
    server.runs.by_id[int(loaded.target_id)].config["p0"] = 0.25
    found = {c.item: (c.verdict.value, c.expected, c.found) for c in sink.verify(MemoryRun(run))}
    assert found["parameter p0"] == ("*", "0.3", "0.25")
