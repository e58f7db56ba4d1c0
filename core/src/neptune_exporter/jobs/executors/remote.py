"""What the executors on a cluster share: how units are packed into tasks, and how each unit ends.

Dask and Ray take some milliseconds for a task, and a small run takes not much more. So several units travel
as one task, as many as a worker does in half a second. The first tasks hold one unit each, as their time is
not known yet, and the last ones hold fewer, so that no worker waits for another.
"""

from __future__ import annotations

import contextlib
import threading
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from typing import Any, Generic, TypeAlias, TypeVar

from neptune_exporter.jobs.executors.base import END_WITHIN, JobExecutor, settle
from neptune_exporter.jobs.executors.worker import LostWorkerError, Outcome, StoppedError, Task, Worker
from neptune_exporter.jobs.progress import Progress

T = TypeVar("T")
U = TypeVar("U")
Handle = TypeVar("Handle")
"""The cluster's name for a task."""
_Waiting: TypeAlias = "tuple[Task[Any, Any], Future[Any]]"

LOST = "its worker was killed or crashed in the middle of it, each time it was tried"
_SECONDS = 0.5
"""How long a task should take."""
_MOST = 8
"""Units in a task: the job holds some of them ready for each worker, and they take memory."""
_TASKS = 2
"""Tasks for each worker at once: the one that it works on, and the next."""


def units_in_task(queued: int, workers: int, seconds: float | None) -> int:
    """How many of the queued units the next task takes.

    `seconds`: what a unit of the latest task took; None before the first one has ended.

    Examples:
        >>> units_in_task(100, 2, None), units_in_task(100, 2, 0.1), units_in_task(100, 2, 60.0)
        (1, 5, 1)
        >>> units_in_task(6, 2, 0.1)  # near the end each worker gets some
        3
    """
    in_time = int(_SECONDS / max(seconds, _SECONDS / _MOST)) if seconds is not None else 1
    return min(queued, max(1, min(in_time, queued // workers)))


class RemoteExecutor(JobExecutor, Generic[Handle]):
    """Submits units to a cluster and remembers them until their results have arrived."""

    def __init__(self, workers: int, progress: Progress) -> None:
        super().__init__(workers, progress)
        self._queue: deque[_Waiting] = deque()
        self._tasks = 0
        """How many tasks the cluster has."""
        self._seconds: float | None = None
        self._running: dict[Future[Any], Handle] = {}
        self._is_stopped = False
        self._lock = threading.Lock()
        self._sender = ThreadPoolExecutor(1, "send")

    @property
    def waiting(self) -> int:
        return (_TASKS + 1) * _MOST * self.workers

    @abstractmethod
    def _send(self, tasks: Sequence[Task[Any, Any]]) -> tuple[Handle, Future[Sequence[Outcome[Any]]]]:
        """Submit a task of several units. Returns its name there, and the future outcome of each unit."""

    @abstractmethod
    def _error_of(self, error: BaseException) -> BaseException:
        """Translate an error of the cluster for the job."""

    @abstractmethod
    def _interrupt(self) -> None:
        """End the units that the cluster has."""

    def submit(self, function: Callable[[U, Worker], T], unit: U) -> Future[T]:
        result: Future[T] = Future()
        result.set_running_or_notify_cancel()  # a reader that goes away must not cancel what is settled here
        with self._lock:
            self._queue.append((Task(self.job, function, unit), result))
        self._later(self._send_queued)
        return result

    def _send_queued(self) -> None:
        while units := self._next():
            self._send_task(units)

    def _next(self) -> list[_Waiting]:
        """The units of the next task; none if each worker has enough to do."""
        with self._lock:
            if self._tasks >= _TASKS * self.workers:
                return []
            size = units_in_task(len(self._queue), self.workers, self._seconds)
            return [self._queue.popleft() for _ in range(size)]

    def _send_task(self, units: Sequence[_Waiting]) -> None:
        with self._lock:
            self._tasks += 1
        try:
            handle, done = self._send([task for task, _ in units])
        except Exception as error:  # noqa: BLE001 - the cluster has ended, and the job must not wait for it
            self._forget(units)
            self._fail(units, error)
            return
        with self._lock:
            self._running.update((result, handle) for _, result in units)
        done.add_done_callback(lambda each: self._later(self._ended, each, units))

    def _later(self, function: Callable[..., None], *arguments: object) -> None:
        """Call it in a thread of this executor: those of a cluster's client must not wait."""
        with contextlib.suppress(RuntimeError):  # the job has ended
            self._sender.submit(function, *arguments)

    def _ended(self, done: Future[Sequence[Outcome[Any]]], units: Sequence[_Waiting]) -> None:
        error = CancelledError() if done.cancelled() else done.exception()
        self._forget(units)
        if error is not None:
            self._fail(units, self._error_of(error))
            self._send_queued()
            return
        outcomes = done.result()
        self._seconds = sum(outcome.seconds for outcome in outcomes) / len(outcomes)
        self._send_queued()
        for (_, result), outcome in zip(units, outcomes, strict=True):
            settle(result, outcome, self._progress)

    def _fail(self, units: Sequence[_Waiting], error: BaseException) -> None:
        is_tried_again = isinstance(error, LostWorkerError) and len(units) > 1 and not self._is_stopped
        for unit in units:
            if is_tried_again:  # each alone, as only one of them ends workers
                self._send_task([unit])
            else:
                unit[1].set_exception(error)

    def _forget(self, units: Sequence[_Waiting]) -> None:
        """The cluster no longer has this task."""
        with self._lock:
            self._tasks -= 1
            for _, result in units:
                self._running.pop(result, None)

    def stop(self) -> None:
        self._is_stopped = True
        with self._lock:
            queued = list(self._queue)
            self._queue.clear()
        for _, result in queued:
            result.set_exception(StoppedError("the job was interrupted"))
        self._interrupt()

    def close(self) -> None:
        self._sender.shutdown()

    def _under_way(self) -> dict[Future[Any], Handle]:
        with self._lock:
            return dict(self._running)

    def _left_over(self) -> dict[Future[Any], Handle]:
        """Give the units under way time to end. Returns those that have not ended by then."""
        running = self._under_way()
        _, left = wait(running, END_WITHIN)
        return {result: running[result] for result in left}
