"""What another machine made of a run: it gave it up, had another export of it, or other files. Once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from neptune_exporter.contract import AuthenticationError, LoadedRun
from neptune_exporter.model import RunKey
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.loopback import Fault
from neptune_exporter.testing.runs import (
    SampleHistogram,
    SampleRun,
    file,
    float_series,
    histogram_series,
    parameter,
)
from neptune_exporter_pluto.ending import SUPERSEDED_TAG
from neptune_exporter_pluto.form.section import COMPLETE, SUPERSEDED, Found
from neptune_exporter_pluto_server import RehearsalServer, faults

from .conftest import MakeSink
from .test_commands import loaded
from .test_two_machines import wait_for_a_run, wait_until
from .test_verify_forks import fork_lines, run_of

METRICS = "/ingest/metrics"
KEY = RunKey("acme/vision", "RUN-1")
RUN = SampleRun(
    KEY,
    (
        float_series("loss", [(0, 1.0), (1, 0.5)]),
        histogram_series("weights", [(step, SampleHistogram((0.0, 1.0), (3.0,))) for step in range(20)]),
    ),
)
FILES = SampleRun(KEY, (file("model", b"weights", "m.pt"), file("conf", b"settings", "c.txt")))


def live(server: RehearsalServer) -> list[str]:
    """The runs that are whole and that nobody gave up."""
    for run in server.runs.by_id.values():
        is_given_up = SUPERSEDED_TAG in run.tags
        assert Found.of({"id": run.id, "config": run.config}).state == (
            SUPERSEDED if is_given_up else COMPLETE
        )
    return [str(run.id) for run in loaded(server)]


def interrupted(make_sink: MakeSink, server: RehearsalServer, base: Path, run: SampleRun = RUN) -> None:
    server.fail(Fault(METRICS, status=401))
    with pytest.raises(AuthenticationError):
        make_sink(base_dir=base).load(MemoryRun(run), None)


def test_an_interrupted_load_does_not_go_on_in_a_run_that_another_gave_up(
    server: RehearsalServer, make_sink: MakeSink, tmp_path: Path
) -> None:
    interrupted(make_sink, server, tmp_path / "one")
    other = make_sink(base_dir=tmp_path / "two", restart_unfinished=True).load(MemoryRun(RUN), None)
    again = make_sink(base_dir=tmp_path / "one").load(MemoryRun(RUN), None)
    assert (again.target_id, again.already_loaded) == (other.target_id, True)
    assert live(server) == [other.target_id]


def test_a_load_does_not_finish_a_run_that_another_gave_up_meanwhile(
    server: RehearsalServer, make_sink: MakeSink, tmp_path: Path
) -> None:
    server.fail(faults.stalled(3.0, METRICS))
    with ThreadPoolExecutor(1) as other:
        first = other.submit(make_sink(base_dir=tmp_path / "one").load, MemoryRun(RUN), None)
        wait_until(lambda: not server.faults, "no metrics are sent")
        sink = make_sink(base_dir=tmp_path / "two", restart_unfinished=True)
        second = sink.load(MemoryRun(RUN), None)
        assert first.result(30).target_id == second.target_id
    assert live(server) == [second.target_id]


def test_an_interrupted_load_does_not_go_on_in_a_run_that_somebody_removed(
    server: RehearsalServer, make_sink: MakeSink, tmp_path: Path
) -> None:
    interrupted(make_sink, server, tmp_path)
    (run_id,) = server.runs.by_id
    server.runs.by_id.pop(run_id)
    loaded = make_sink(base_dir=tmp_path).load(MemoryRun(RUN), None)
    assert live(server) == [loaded.target_id]


def test_another_export_that_another_machine_loaded_is_given_up_for_this(
    server: RehearsalServer, make_sink: MakeSink, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    grown = RUN.plus(parameter("lr", 0.1))
    first = make_sink(base_dir=tmp_path / "one").load(MemoryRun(RUN), None)
    second = make_sink(base_dir=tmp_path / "two").load(MemoryRun(grown), None)
    assert live(server) == [second.target_id]
    assert f"has loaded another export of it, as run {first.target_id}, which is given up" in caplog.text
    verified = list(make_sink(base_dir=tmp_path / "three").verify(MemoryRun(grown)))
    assert {line.verdict.value for line in verified} == {"=", "?"}


def test_a_file_that_this_machine_lacks_is_no_reason_to_give_up_the_run_that_has_it(
    server: RehearsalServer, make_sink: MakeSink, tmp_path: Path
) -> None:
    first = make_sink(base_dir=tmp_path / "one").load(MemoryRun(FILES), None)
    lacking = MemoryRun(FILES, renamed_files={"conf": "gone.txt"})
    sink = make_sink(base_dir=tmp_path / "two")
    second = sink.load(lacking, None)
    assert (second.target_id, second.already_loaded) == (first.target_id, True)
    assert [loss.reason for loss in second.losses] == ["file-missing"]
    lines = {line.item: line.verdict.value for line in sink.verify(lacking)}
    assert (lines["files of model"], lines["files of conf"]) == ("=", "?")
    assert live(server) == [first.target_id]


def test_a_fork_at_the_last_step_of_its_parent_is_as_good_for_another_machine(
    server: RehearsalServer, make_sink: MakeSink, tmp_path: Path
) -> None:
    root, child = run_of("root", range(5)), run_of("child", range(10, 12), "root", 9.0)

    def load(base: str) -> list[LoadedRun]:
        sink = make_sink(base_dir=tmp_path / base)
        parent = sink.load(MemoryRun(root), None)
        return [parent, sink.load(MemoryRun(child), parent)]

    one, two = load("one"), load("two")
    assert [run.target_id for run in one] == [run.target_id for run in two]
    assert [loss.reason for run in two for loss in run.losses] == ["fork-step"]
    for base in ("one", "two"):
        assert [line[0] for line in fork_lines(make_sink(base_dir=tmp_path / base), child)] == ["~"]
    assert len(server.runs.by_id) == 2


def test_a_fork_off_a_parent_that_another_machine_loaded_is_native(
    server: RehearsalServer, make_sink: MakeSink, tmp_path: Path
) -> None:
    root, child = run_of("root", range(5)), run_of("child", range(10, 12), "root", 9.0)
    make_sink(base_dir=tmp_path / "one").load(MemoryRun(root), None)
    sink = make_sink(base_dir=tmp_path / "two")
    loaded = sink.load(MemoryRun(child), sink.load(MemoryRun(root), None))
    assert [loss.reason for loss in loaded.losses] == ["fork-step"]
    assert server.runs.by_id[int(loaded.target_id)].fork_step == 4


def test_a_machine_that_stalled_sends_no_row_into_a_run_that_another_took_and_finished(
    server: RehearsalServer, make_sink: MakeSink, tmp_path: Path
) -> None:
    server.fail(faults.stalled(3.0, "/api/runs/config/update"))
    with ThreadPoolExecutor(1) as other:
        first = other.submit(make_sink(base_dir=tmp_path / "one").load, MemoryRun(RUN), None)
        wait_for_a_run(server)
        second = make_sink(base_dir=tmp_path / "two", visible_within=0.2).load(MemoryRun(RUN), None)
        server.fail(Fault(METRICS, status=401))  # as if it were killed there
        with pytest.raises(AuthenticationError):
            first.result(30)
    for run_id in server.runs.by_id:
        assert len(server.store.histograms(server.key(run_id))) == 20
    loaded = make_sink(base_dir=tmp_path / "one").load(MemoryRun(RUN), None)
    assert live(server) == [loaded.target_id] != [second.target_id]


def test_loads_of_one_project_that_begin_at_one_moment_keep_its_multiplier(
    make_sink: MakeSink, tmp_path: Path
) -> None:
    run = MemoryRun(SampleRun(KEY, (float_series("loss", [(0.5, 1.0)]),)))
    for number in range(60):
        sinks = [make_sink(base_dir=tmp_path / str(number)) for _ in range(2)]
        begin = threading.Barrier(2)

        def prepare(index: int, sinks: list = sinks, begin: threading.Barrier = begin) -> str:  # type: ignore[type-arg]
            begin.wait(10)
            return str(sinks[index].prepare("acme/vision", [run])[KEY])

        with ThreadPoolExecutor(2) as both:
            assert list(both.map(prepare, range(2))) == ["10", "10"]
        for sink in sinks:
            sink.close()
