"""Executors: the same results, progress, log lines and ends, whatever carries a unit of work."""

from __future__ import annotations

import importlib.util
import logging
import pickle
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from neptune_exporter.contract import Secret, SourceError, UsageError
from neptune_exporter.interruption import end_waits, resume_waits
from neptune_exporter.jobs.executors import Choice, JobExecutor, LostWorkerError, StoppedError, opened
from neptune_exporter.jobs.executors.worker import JobId, Task, carry_out, end_job
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.testing import units

MakeExecutor = Callable[..., JobExecutor]
HAS_DASK = importlib.util.find_spec("distributed") is not None
NAMES = [
    "threads",
    "processes",
    pytest.param("dask", marks=pytest.mark.skipif(not HAS_DASK, reason="Dask is not installed")),
]


class Told(Progress):
    """Adds up what is told."""

    def __init__(self) -> None:
        self.runs = self.rows = self.bytes = 0
        self.lock = threading.Lock()

    def advance(self, runs: int = 0, rows: int = 0, bytes: int = 0) -> None:
        with self.lock:
            self.runs, self.rows, self.bytes = self.runs + runs, self.rows + rows, self.bytes + bytes


@pytest.fixture
def make(request: pytest.FixtureRequest) -> MakeExecutor:
    """An executor of two workers, by its name."""

    def make_one(name: str, progress: Progress | None = None) -> JobExecutor:
        if name == "dask":
            name = request.getfixturevalue("scheduler")
        return opened(Choice(name, 2), progress or Progress(), threads=2)

    return make_one


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("name", NAMES)
def test_results_progress_and_log_lines_arrive(
    name: str, make: MakeExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    told = Told()
    with make(name, told) as executor:
        done = [executor.submit(units.told, f"line {n}") for n in range(5)]
        assert [each.result(60) for each in done] == [None] * 5
        with pytest.raises(SourceError, match="no such run"):
            executor.submit(units.failing, "no such run").result(60)
    assert (told.runs, told.rows, told.bytes) == (5, 10, 15)
    lines = [r.getMessage() for r in caplog.records if r.name == "neptune_exporter.test"]
    assert sorted(lines) == [f"line {n}" for n in range(5)]


@pytest.mark.parametrize("name", NAMES)
def test_progress_of_a_unit_that_runs_arrives(name: str, make: MakeExecutor, tmp_path: Path) -> None:
    told = Told()
    with make(name, told) as executor:
        done = executor.submit(units.told_while_running, tmp_path)
        wait_until(lambda: told.rows == 7)
        (tmp_path / "heard").touch()
        done.result(60)
    assert told.rows == 7


@pytest.mark.parametrize("name", NAMES)
def test_a_unit_that_failed_can_be_tried_again(name: str, make: MakeExecutor, tmp_path: Path) -> None:
    with make(name) as executor:
        first = executor.submit(units.failing_once, tmp_path)
        with pytest.raises(SourceError):
            first.result(60)
        assert executor.submit(units.failing_once, tmp_path).result(60) == 2


@pytest.mark.parametrize("name", NAMES[1:])
def test_the_next_job_has_its_own_settings_and_what_the_last_one_opened_is_closed(
    name: str, make: MakeExecutor, tmp_path: Path
) -> None:
    for settings in ("one", "two"):
        with make(name) as executor:
            opening = units.Opening(settings, tmp_path)
            done = [executor.submit(units.settings_of, opening) for _ in range(6)]
            found = {each.result(60) for each in done}
            assert {each for each, _ in found} == {settings}
            assert executor.submit(units.token_of, opening).result(60) == "a-token-of-the-test"
        notes = (tmp_path / "notes.txt").read_text().splitlines()
        made = notes.count(f"opened {settings}")
        assert 1 <= made <= 2 and notes.count(f"closed {settings}") == made


def test_a_worker_that_lives_on_keeps_nothing_of_another_job(tmp_path: Path) -> None:
    """Also where the first job's end was never told to it."""

    def carried_out(job: str, settings: str) -> str:
        task = Task(JobId(job, logging.INFO), units.settings_of, units.Opening(settings, tmp_path))
        return carry_out(task, lambda messages: None).value[0]

    try:
        assert carried_out("job 1", "one") == "one"
        assert carried_out("job 2", "two") == "two"
        assert (tmp_path / "notes.txt").read_text().splitlines() == ["opened one", "closed one", "opened two"]
    finally:
        end_job("job 2")


@pytest.mark.parametrize("name", NAMES)
def test_ctrl_c_ends_units_that_wait(name: str, make: MakeExecutor, tmp_path: Path) -> None:
    try:
        with pytest.raises(KeyboardInterrupt), make(name) as executor:
            done = executor.submit(units.waiting, tmp_path)
            wait_until((tmp_path / "waiting").exists)
            if name == "threads":
                end_waits()  # as the handler of the signal does, which is in this process
            raise KeyboardInterrupt
    finally:
        resume_waits()
    with pytest.raises(KeyboardInterrupt if name == "threads" else StoppedError):
        done.result(0)


@pytest.mark.parametrize("name", NAMES[1:])
def test_a_job_after_one_that_was_interrupted_waits_again(
    name: str, make: MakeExecutor, tmp_path: Path
) -> None:
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt), make(name) as executor:
            done = executor.submit(units.waiting, tmp_path)
            wait_until((tmp_path / "waiting").exists)
            (tmp_path / "waiting").unlink()
            assert not done.done()
            raise KeyboardInterrupt


def test_a_process_that_hangs_is_killed_after_ctrl_c(make: MakeExecutor, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), make("processes") as executor:
        done = executor.submit(units.hanging, tmp_path)
        wait_until((tmp_path / "waiting").exists)
        raise KeyboardInterrupt
    with pytest.raises(LostWorkerError):
        done.result(0)


def test_a_process_that_dies_costs_one_unit(make: MakeExecutor, tmp_path: Path) -> None:
    with make("processes") as executor:
        for _ in range(2):
            lost = executor.submit(units.killed, tmp_path)
            others = [executor.submit(units.token_of, units.Opening("x", tmp_path)) for _ in range(2)]
            with pytest.raises(LostWorkerError, match="was killed or crashed"):
                lost.result(60)
            assert [each.result(60) for each in others] == ["a-token-of-the-test"] * 2
    assert (tmp_path / "killed").read_text() == "xx"


@pytest.mark.skipif(not HAS_DASK, reason="Dask is not installed")
def test_dask_tries_a_unit_whose_worker_dies_four_times(tmp_path: Path) -> None:
    """On a busy machine too, where a worker takes longer to start again than Dask waits for it."""
    import dask

    impatient = dask.config.set({"distributed.deploy.lost-worker-timeout": "1ms"})
    with impatient, opened(Choice("dask", 2), Progress(), threads=2) as executor:
        with pytest.raises(LostWorkerError, match="each time it was tried"):
            executor.submit(units.killed, tmp_path).result(120)
        assert executor.submit(units.token_of, units.Opening("x", tmp_path)).result(60)
    assert (tmp_path / "killed").read_text() == "xxxx"


def test_no_repr_and_no_name_shows_a_credential(tmp_path: Path) -> None:
    task = Task(JobId("job", logging.INFO), units.token_of, units.Opening("x", tmp_path))
    assert "a-token-of-the-test" not in repr(task) + repr(task.unit) + str(task.unit.token)
    again = pickle.loads(pickle.dumps(task))  # noqa: S301 - made here
    assert again == task and again.unit.token == Secret("a-token-of-the-test")


@pytest.mark.parametrize(
    "name", ["dusk", "dask://", "dask://host", "dask://:8786", "dask://host:port", "ray://x"]
)
def test_what_is_no_executor_is_a_usage_error(name: str) -> None:
    with pytest.raises(UsageError, match="it is one of threads, processes, dask, ray, dask://HOST:PORT"):
        Choice(name)


@pytest.mark.skipif(not HAS_DASK, reason="Dask is not installed")
def test_an_address_where_no_scheduler_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    from neptune_exporter.jobs.executors import on_dask

    monkeypatch.setattr(on_dask, "_CONNECT_WITHIN", 0.5)
    with pytest.raises(UsageError, match="no Dask scheduler answers at"):
        opened(Choice("dask://127.0.0.1:9", 2), Progress(), threads=2)


@pytest.mark.skipif(not HAS_DASK, reason="Dask is not installed")
def test_a_scheduler_without_workers_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from distributed import LocalCluster

    from neptune_exporter.jobs.executors import on_dask

    monkeypatch.setattr(on_dask, "_WORKERS_WITHIN", 0.2)
    with (
        LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster,
        pytest.raises(UsageError, match="has no workers"),
    ):
        opened(Choice(cluster.scheduler_address.replace("tcp", "dask"), 2), Progress(), threads=2)
