"""Forks, steps and texts of a run: where its points and lines are in Pluto."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pluto.query import Client

from neptune_exporter.contract import LoadOptions
from neptune_exporter.model import SysAttribute
from neptune_exporter.sinks.losses import CommonLoss
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.runs import (
    SampleFile,
    SampleHistogram,
    SampleRun,
    file_series,
    float_series,
    histogram_series,
    parameter,
    string_series,
)
from neptune_exporter_pluto.form.config import SECTION
from neptune_exporter_pluto_server import RehearsalServer

from .conftest import MakeSink
from .reading import read_run
from .samples import CREATED, KEY, losses_of, sample
from .test_journal import files_no_longer_than

# Forks.


def forked() -> tuple[SampleRun, SampleRun]:
    parent = sample(float_series("loss", ((s / 2, 1.0) for s in range(10))))
    child = sample(
        parameter(SysAttribute.FORK_PARENT, "RUN-1"),
        parameter(SysAttribute.FORK_STEP, 2.5),
        float_series("loss", [(3, 1.0)]),
        key=replace(KEY, run_id="RUN-2"),
    )
    return parent, child


def test_forks_are_native(server: RehearsalServer, make_sink: MakeSink) -> None:
    """Also where the parent's points are visible only a while after they were sent."""
    server.settings.visibility_delay = 1.0
    parent, child = map(MemoryRun, forked())
    sink = make_sink(visible_within=10.0)
    sink.prepare(KEY.project_id, [parent, child])
    loaded = sink.load(child, sink.load(parent, None))
    run = server.runs.by_id[int(loaded.target_id)]
    assert run.parent is not None and run.parent.config[SECTION]["run_id"] == "RUN-1"
    assert run.fork_step == 25
    assert run.config[SECTION]["fork"] == {"parent": "RUN-1", "step": 2.5}
    assert not loaded.losses


def test_the_parent_of_an_earlier_load_is_found(server: RehearsalServer, make_sink: MakeSink) -> None:
    parent, child = map(MemoryRun, forked())
    make_sink().load(parent, None)
    loaded = make_sink().load(child, None)
    assert server.runs.by_id[int(loaded.target_id)].parent is not None


def test_a_fork_step_beyond_the_parent_is_no_refusal(server: RehearsalServer, make_sink: MakeSink) -> None:
    parent, child = forked()
    far = child.plus(parameter(SysAttribute.FORK_STEP, 1e6))
    sink = make_sink()
    loaded = sink.load(MemoryRun(far), sink.load(MemoryRun(parent), None))
    run = server.runs.by_id[int(loaded.target_id)]
    assert run.parent is not None and run.config[SECTION]["fork"]["step"] == 1_000_000
    assert losses_of(loaded) == {("fork-step", "sys/forking/step"): 1}
    (line,) = [c for c in sink.verify(MemoryRun(far), full=True) if c.item == "fork"]
    assert line.verdict.value == "~"


def test_a_missing_parent_is_told(stored: Any) -> None:
    run, loaded = stored(forked()[1])
    assert run.parent is None
    assert losses_of(loaded) == {("fork-not-native", "sys/forking/parent"): 1}


# Steps.


def test_one_power_of_ten_for_the_project(server: RehearsalServer, make_sink: MakeSink) -> None:
    fine = sample(float_series("a", [(0.1, 1.0), (0.2, 2.0), (0.9, 3.0)]))
    coarse = sample(float_series("a", [(0, 1.0), (2, 2.0)]), key=replace(KEY, run_id="RUN-2"))
    runs = [MemoryRun(fine), MemoryRun(coarse)]
    sink = make_sink()
    sink.prepare(KEY.project_id, runs)
    ids = [int(sink.load(run, None).target_id) for run in runs]
    steps = [[int(p["step"]) for p in server.store.points.series(server.key(i), "a", 0, None)] for i in ids]
    assert steps == [[1, 2, 9], [0, 20]]
    assert {server.runs.by_id[i].config[SECTION]["step_multiplier"] for i in ids} == {"10"}
    later = MemoryRun(sample(float_series("a", [(7, 1.0)]), key=replace(KEY, run_id="RUN-3")))
    other = make_sink()
    other.prepare(KEY.project_id, [later])
    assert (
        server.runs.by_id[int(other.load(later, None).target_id)].config[SECTION]["step_multiplier"] == "10"
    )


def test_a_step_that_no_multiplier_makes_room_for_does_not_cost_the_others_theirs(
    server: RehearsalServer, make_sink: MakeSink
) -> None:
    run = sample(float_series("a", [(0.1, 1.0), (0.2, 2.0)]), float_series("huge", [(1e20, 3.0)]))
    other = sample(float_series("a", [(0.25, 1.0)]), key=replace(KEY, run_id="RUN-2"))
    sink = make_sink()
    sink.prepare(KEY.project_id, [MemoryRun(run), MemoryRun(other)])
    loaded = [sink.load(MemoryRun(each), None) for each in (run, other)]
    assert [losses_of(each) for each in loaded] == [{("large-step", "huge"): 1}, {}]
    series = [server.store.points.series(server.key(int(each.target_id)), "a", 0, None) for each in loaded]
    assert [[int(point["step"]) for point in points] for points in series] == [[10, 20], [25]]


@pytest.mark.parametrize("content", [b"", b'{"multiplier":', b"{}"])
def test_a_damaged_record_of_the_multiplier_blocks_no_project(
    make_sink: MakeSink, tmp_path: Path, content: bytes
) -> None:
    run = MemoryRun(sample(float_series("a", [(0.1, 1.0)])))
    make_sink().prepare(KEY.project_id, [run])
    (record,) = (tmp_path / "state").glob("**/multiplier-*.json")
    whole = record.read_bytes()
    record.write_bytes(content)
    make_sink().prepare(KEY.project_id, [run])
    assert record.read_bytes() == whole


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit of file sizes")
def test_a_full_disk_leaves_the_record_of_the_multiplier_whole(make_sink: MakeSink, tmp_path: Path) -> None:
    make_sink().prepare(KEY.project_id, [MemoryRun(sample(float_series("a", [(0.1, 1.0)])))])
    (record,) = (tmp_path / "state").glob("**/multiplier-*.json")
    whole = record.read_bytes()
    with files_no_longer_than(5), pytest.raises(OSError, match="too large"):
        make_sink().prepare(KEY.project_id, [MemoryRun(sample(float_series("a", [(0.25, 1.0)])))])
    assert record.read_bytes() == whole


def test_an_asked_multiplier_is_exact(server: RehearsalServer, make_sink: MakeSink) -> None:
    run = MemoryRun(sample(float_series("a", [(0.29, 1.0), (0.57, 2.0)])))
    loaded = make_sink(LoadOptions(step_multiplier=Decimal(100))).load(run, None)
    rows = server.store.points.series(server.key(int(loaded.target_id)), "a", 0, None)
    assert rows["step"].tolist() == [29, 57]


def test_losses_are_counted_by_series(stored: Any) -> None:
    _, loaded = stored(
        sample(
            float_series("negative", [(-2, 1.0), (-1, 2.0), (0, 3.0)]),
            float_series("twice", [(1, 1.0), (1, 2.0), (1, 3.0), (2, 4.0)]),
            float_series("large", [(2e19, 1.0), (1, 1.0)]),
            string_series("text", [(-1, "a"), (0, "b")]),
        )
    )
    assert losses_of(loaded) == {
        (CommonLoss.NEGATIVE_STEP.value, "negative"): 2,
        (CommonLoss.NEGATIVE_STEP.value, "text"): 1,
        (CommonLoss.DUPLICATE_STEP.value, "twice"): 2,
        (CommonLoss.LARGE_STEP.value, "large"): 1,
    }
    assert not any(loss.requested for loss in loaded.losses)


def test_a_time_before_1970_becomes_1970_and_is_counted(server: RehearsalServer, make_sink: MakeSink) -> None:
    """Of rows that Pluto takes: the text at step -1 is lost as a whole."""
    early = datetime(1969, 12, 31, 23, 59, 59, tzinfo=timezone.utc)
    even = SampleHistogram((0.0, 1.0, 2.0), (1.0, 2.0))
    series = (
        float_series("loss", [(0, 1.0), (1, 2.0)]),
        string_series("text", [(-1, "a"), (0, "b")]),
        string_series("monitoring/4f2a/stdout", [(0, "out")]),
        histogram_series("weights", [(0, even)]),
        file_series("images", [(0, SampleFile(b"pixels", "a.bin"))]),
    )
    times = [replace(s, entries=tuple(replace(e, timestamp=early) for e in s.entries)) for s in series]
    run = MemoryRun(sample(*times, float_series("later", [(0, 1.0)])))
    sink = make_sink()
    loaded = sink.load(run, None)
    assert losses_of(loaded) == {
        ("early-time", "loss"): 2,
        ("early-time", "text"): 1,
        ("negative-step", "text"): 1,
        ("early-time", "monitoring/4f2a/stdout"): 1,
        ("early-time", "weights"): 1,
        ("early-time", "images"): 1,
    }
    key = server.key(int(loaded.target_id))
    assert server.store.points.series(key, "loss", 0, None)["time"].tolist() == [0, 0]
    assert {line.verdict.value for line in sink.verify(run, full=True)} <= {"=", "~", "?"}


def test_downsampling_keeps_the_ends_of_every_series(server: RehearsalServer, make_sink: MakeSink) -> None:
    run = sample(
        float_series("sparse", [(1, 0.5), (99, 0.25), (199, 0.125)]),
        float_series("dense", enumerate(map(float, range(120)))),
    )
    loaded = make_sink(log_every=50).load(MemoryRun(run, shuffle=3), None)
    key = server.key(int(loaded.target_id))
    steps = {n: server.store.points.series(key, n, 0, None)["step"].tolist() for n in ("sparse", "dense")}
    assert steps == {"sparse": [1, 199], "dense": [0, 50, 100, 119]}
    assert {(loss.reason, loss.requested) for loss in loaded.losses} == {("downsampled", True)}
    assert losses_of(loaded) == {("downsampled", "sparse"): 1, ("downsampled", "dense"): 116}


@pytest.mark.parametrize("every", [1, 2, 3])
@pytest.mark.parametrize("same_time", [False, True])
def test_of_several_points_at_one_step_the_newest_stays(
    server: RehearsalServer, make_sink: MakeSink, every: int, same_time: bool
) -> None:
    """Downsampled or not; and what is told to be lost and what is there add up to all points."""
    points = [(step, 10.0 * step + n) for step in range(6) for n in range(step % 3 + 1)]
    series = float_series("loss", points)
    if same_time:
        series = replace(series, entries=tuple(replace(e, timestamp=CREATED) for e in series.entries))
    run = MemoryRun(sample(series, float_series("other", enumerate([1.0] * 6))))
    sink = make_sink(log_every=every)
    loaded = sink.load(run, None)
    found = read_run(server, KEY.project_id, int(loaded.target_id)).points["loss"]
    steps = sorted({*range(0, 6, every), 5})
    assert [(int(e.step), e.value) for e in found] == [(s, 10.0 * s + s % 3) for s in steps]
    dropped = {"downsampled": 6 - len(steps), "duplicate-step": 6}
    assert {reason: n for (reason, path), n in losses_of(loaded).items() if path == "loss"} == {
        reason: n for reason, n in dropped.items() if n
    }
    (line,) = [c for c in sink.verify(run, full=True) if c.item == "points of loss"]
    assert (line.verdict.value, line.expected, line.found) == ("~", str(len(points)), str(len(steps)))


# Text.


def test_console_streams_are_logs(server: RehearsalServer, make_sink: MakeSink) -> None:
    run = sample(
        string_series("monitoring/4f2a/stdout", [(s, f"out {s}") for s in range(3)]),
        string_series("monitoring/4f2a/stderr", [(0, "err 0"), (1, "x" * 150_000)]),
        string_series("notes", [(0.5, "a note")]),
    )
    loaded = make_sink().load(MemoryRun(run), None)
    run_id = int(loaded.target_id)
    with Client(api_token=server.api_key, host=server.url) as client:
        lines = client.get_logs(KEY.project_id, run_id)
        texts = {row["logName"]: row["fileSize"] for row in client.get_files(KEY.project_id, run_id)}
    out = [(row["lineNumber"], row["message"]) for row in lines if row["logType"] == "INFO"]
    assert out == [(1, "out 0"), (2, "out 1"), (3, "out 2")]
    errors = [row for row in lines if row["logType"] == "ERROR"]
    assert "".join(row["message"] for row in errors if int(row["lineNumber"]) == 2) == "x" * 150_000
    assert max(len(row["message"]) for row in lines) < 65_000
    series = server.store.string_series(server.key(run_id))
    assert [(row["logName"], row["step"], row["data"]) for row in series] == [("notes", 5, "a note")]
    assert set(texts) == {"logs/stdout", "logs/stderr"}
    whole = server.file_bytes(run_id, "logs/stdout", "stdout.txt").decode()
    assert "\tnotes\t0.5\ta note\n" in whole and "\tmonitoring/4f2a/stdout\t2\tout 2\n" in whole
    assert "x" * 150_000 in server.file_bytes(run_id, "logs/stderr", "stderr.txt").decode()


def test_a_text_that_is_too_long_for_a_line_is_whole_in_the_texts(
    server: RehearsalServer, make_sink: MakeSink
) -> None:
    long = "é" * 100_000
    loaded = make_sink().load(MemoryRun(sample(string_series("notes", [(0, long), (1, "short")]))), None)
    key = server.key(int(loaded.target_id))
    first, second = (row["data"] for row in server.store.string_series(key))
    assert first.startswith("é" * 1000) and first.endswith("[cut here; the whole text is in logs/stdout]")
    assert len(first.encode()) <= 60_000 and second == "short"
    assert long in server.file_bytes(int(loaded.target_id), "logs/stdout", "stdout.txt").decode()
    assert losses_of(loaded) == {("long-text", "notes"): 1}


class NotText(MemoryRun):
    """Parquet lets bytes through that are no UTF-8, though the column says so."""

    def batches(self, *args: Any, **options: Any) -> Iterator[pa.RecordBatch]:
        for batch in super().batches(*args, **options):
            if "string_value" in batch.schema.names:
                cells = [
                    v and v.encode().replace(b"?", b"\xff") for v in batch.column("string_value").to_pylist()
                ]
                index = batch.schema.get_field_index("string_value")
                batch = batch.set_column(
                    index, "string_value", pa.array(cells, pa.binary()).view(pa.string())
                )
            yield batch


def test_bytes_that_are_no_text_break_nothing(server: RehearsalServer, make_sink: MakeSink) -> None:
    run = NotText(SampleRun(KEY, (string_series("notes", [(0, "fine"), (1, "broken?")]),)))
    loaded = make_sink().load(run, None)
    rows = server.store.string_series(server.key(int(loaded.target_id)))
    assert [row["data"] for row in rows] == ["fine", "broken\ufffd"]
    assert losses_of(loaded) == {("not-text", "notes"): 1}
