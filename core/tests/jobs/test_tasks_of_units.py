"""Several small units travel to a cluster as one task, and each still has a result of its own."""

from __future__ import annotations

import operator
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from multiprocessing import forkserver
from typing import Any

import pytest

from neptune_exporter.contract import SourceError
from neptune_exporter.interruption import pause
from neptune_exporter.jobs.executors import JobExecutor, LostWorkerError, StoppedError, Worker
from neptune_exporter.jobs.executors.processes import Processes
from neptune_exporter.jobs.executors.remote import LOST, RemoteExecutor
from neptune_exporter.jobs.executors.worker import JobId, Outcome, RemoteWorker, Task
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.toolkit import look_ahead


def work(unit: int, worker: Worker) -> int:
    raise AssertionError("no cluster is asked here")


class Cluster(RemoteExecutor[int]):
    """Holds the first tasks until it may begin. The unit 13 ends its worker, and the unit 14 fails."""

    def __init__(self) -> None:
        super().__init__(1, Progress())
        self.sent: list[list[int]] = []
        self.held: list[Future[Sequence[Outcome[Any]]]] = []
        self.may_begin = False

    def _send(self, tasks: Sequence[Task[Any, Any]]) -> tuple[int, Future[Sequence[Outcome[Any]]]]:
        units = [task.unit for task in tasks]
        self.sent.append(units)
        done: Future[Sequence[Outcome[Any]]] = Future()
        if self.may_begin:
            self.end(done, units)
        else:
            self.held.append(done)
        return len(self.sent), done

    @staticmethod
    def end(done: Future[Sequence[Outcome[Any]]], units: list[int]) -> None:
        if 13 in units:
            done.set_exception(LostWorkerError(LOST))
        else:
            error = SourceError("no such run")
            done.set_result([Outcome(None, error) if u == 14 else Outcome(-u, None) for u in units])

    def begin(self) -> None:
        self.may_begin = True
        for done, units in zip(self.held, list(self.sent), strict=True):
            self.end(done, units)

    def _error_of(self, error: BaseException) -> BaseException:
        return StoppedError("the job was interrupted") if isinstance(error, CancelledError) else error

    def _interrupt(self) -> None:
        for done in self.held:
            done.cancel()
        self._left_over()


def test_only_the_unit_that_ends_workers_is_lost() -> None:
    with Cluster() as cluster:
        results = [cluster.submit(work, unit) for unit in range(30)]
        cluster._sender.submit(cluster.begin).result(20)  # after all of them are queued
        for unit, result in enumerate(results):
            if unit == 13:
                assert isinstance(result.exception(20), LostWorkerError)
            elif unit == 14:
                assert isinstance(result.exception(20), SourceError)
            else:
                assert result.result(20) == -unit
    assert cluster.sent[:4] == [[0], [1], [*range(2, 10)], [*range(10, 18)]]
    assert all([unit] in cluster.sent for unit in range(10, 18))  # each alone, to find the one


def test_what_waits_for_a_task_ends_with_the_job() -> None:
    with pytest.raises(KeyboardInterrupt), Cluster() as cluster:
        results = [cluster.submit(work, unit) for unit in range(30)]
        raise KeyboardInterrupt
    assert {type(result.exception(0)) for result in results} == {StoppedError}


@pytest.mark.parametrize("make", [Cluster, lambda: Processes(1, Progress())], ids=["cluster", "processes"])
def test_an_interrupt_in_the_middle_of_looking_ahead_stays_one(make: Callable[[], JobExecutor]) -> None:
    with pytest.raises(KeyboardInterrupt), make() as executor:
        ahead = look_ahead(executor, range(30), operator.is_, 10)  # a worker can import it
        next(ahead)
        ahead.close()  # type: ignore[attr-defined]
        raise KeyboardInterrupt


class Ended(Cluster):
    """Takes nothing."""

    def _send(self, tasks: Sequence[Task[Any, Any]]) -> tuple[int, Future[Sequence[Outcome[Any]]]]:
        raise ConnectionError("the cluster has ended")


def test_every_unit_fails_if_the_cluster_has_ended() -> None:
    all_queued = threading.Event()
    with Ended() as cluster:
        cluster._sender.submit(all_queued.wait, 20)
        results = [cluster.submit(work, unit) for unit in range(1_000)]
        all_queued.set()
        assert {type(result.exception(20)) for result in results} == {ConnectionError}


def wait_and_fail(unit: float, worker: Worker) -> None:
    pause(unit)
    raise SourceError("no such run")


def test_a_unit_that_fails_says_how_long_it_took() -> None:
    job = JobId("a job", 30)
    worker = RemoteWorker(job, lambda messages: None)
    assert worker.carry_out(Task(job, wait_and_fail, 0.05)).seconds >= 0.05
    worker.close()


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked from a server on Linux only")
def test_an_interrupt_while_a_process_starts_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the pool does not know the process, which the server has forked all the same."""
    executor, started = Processes(1, Progress()), forkserver.read_signed

    def interrupted(file: int) -> int:
        started(file)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(forkserver, "read_signed", interrupted)
        executor.submit(operator.is_, 1)
    closing = threading.Thread(target=executor.close, daemon=True)
    closing.start()
    closing.join(60)
    assert not closing.is_alive()
