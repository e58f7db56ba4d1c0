"""What the executors on a cluster share: which units are under way, and how each ends."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, wait
from typing import Any, Generic, TypeVar

from neptune_exporter.jobs.executors.base import END_WITHIN, JobExecutor, settle
from neptune_exporter.jobs.executors.worker import Outcome, Task, Worker
from neptune_exporter.jobs.progress import Progress

T = TypeVar("T")
U = TypeVar("U")
Handle = TypeVar("Handle")
"""The cluster's name for a unit."""

LOST = "its worker was killed or crashed in the middle of it, each time it was tried"


class RemoteExecutor(JobExecutor, Generic[Handle]):
    """Submits units to a cluster and remembers them until their results have arrived."""

    def __init__(self, workers: int, progress: Progress) -> None:
        super().__init__(workers, progress)
        self._running: dict[Future[Any], Handle] = {}
        self._lock = threading.Lock()

    @abstractmethod
    def _send(self, task: Task[U, T]) -> tuple[Handle, Future[Outcome[T]]]:
        """Submit a unit. Returns its name there, and the future result."""

    @abstractmethod
    def _error_of(self, error: BaseException) -> BaseException:
        """Translate an error of the cluster for the job."""

    def submit(self, function: Callable[[U, Worker], T], unit: U) -> Future[T]:
        result: Future[T] = Future()
        handle, done = self._send(Task(self.job, function, unit))
        with self._lock:
            self._running[result] = handle
        done.add_done_callback(lambda each: self._ended(each, result))
        return result

    def _ended(self, done: Future[Outcome[T]], result: Future[T]) -> None:
        error = CancelledError() if done.cancelled() else done.exception()
        with self._lock:
            self._running.pop(result, None)
        if error is not None:
            result.set_exception(self._error_of(error))
        else:
            settle(result, done.result(), self._progress)

    def _under_way(self) -> dict[Future[Any], Handle]:
        with self._lock:
            return dict(self._running)

    def _left_over(self) -> dict[Future[Any], Handle]:
        """Give the units under way time to end. Returns those that have not ended by then."""
        running = self._under_way()
        _, left = wait(running, END_WITHIN)
        return {result: running[result] for result in left}
