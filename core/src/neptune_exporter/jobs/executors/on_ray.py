"""Units of work on Ray: the cluster that RAY_ADDRESS names, or one that is started on this machine.

What workers tell meanwhile comes through a queue of Ray's. Ray itself tries a task again whose worker has
died, four times in all; cancelling one raises KeyboardInterrupt in it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from typing import Any, TypeVar

from neptune_exporter.errors import MissingDependencyError
from neptune_exporter.jobs.executors import worker as worker_side
from neptune_exporter.jobs.executors.base import END_WITHIN, JobExecutor, settle
from neptune_exporter.jobs.executors.worker import (
    LostWorkerError,
    Message,
    Outcome,
    StoppedError,
    Task,
    Worker,
    deliver,
)
from neptune_exporter.jobs.progress import Progress

T = TypeVar("T")
U = TypeVar("U")

_ADDRESS = "RAY_ADDRESS"
_TRIED_AGAIN = 3


class Ray(JobExecutor):
    """The driver of a Ray job."""

    name = "ray"

    def __init__(self, workers: int, progress: Progress) -> None:
        """
        Raises:
            MissingDependencyError: Ray is not installed.
        """
        try:
            import ray
            from ray.util.queue import Queue
        except ImportError as error:
            raise MissingDependencyError(
                "--executor ray: Ray is not installed: in a clone, uv sync --inexact --extra ray"
            ) from error
        super().__init__(workers, progress)
        self._ray = ray
        quiet = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": False}
        if os.environ.get(_ADDRESS):
            ray.init(**quiet)
        else:
            ray.init(num_cpus=workers, include_dashboard=False, **quiet)
        self._queue = Queue(actor_options={"num_cpus": 0})
        self._task = ray.remote(max_retries=_TRIED_AGAIN)(_carry_out)
        self._running: dict[Future[Any], Any] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._hearing = threading.Thread(target=self._hear, name="hear", daemon=True)
        self._hearing.start()

    def submit(self, function: Callable[[U, Worker], T], unit: U) -> Future[T]:
        result: Future[T] = Future()
        reference = self._task.options(name="neptune-exporter").remote(
            Task(self.job, function, unit), self._queue
        )
        with self._lock:
            self._running[result] = reference
        reference.future().add_done_callback(lambda each: self._done(each, result))
        return result

    def _done(self, done: Future[Outcome[T]], result: Future[T]) -> None:
        error = done.exception()
        if error is not None:
            result.set_exception(_told(error))
        else:
            settle(result, done.result(), self._progress)
        with self._lock:
            self._running.pop(result, None)

    def _hear(self) -> None:
        from ray.util.queue import Empty

        while not self._closed.is_set():
            try:
                deliver(self._queue.get(timeout=0.5), self._progress)
            except Empty:
                continue
            except Exception:  # noqa: BLE001 - the cluster has ended: units tell that themselves
                return

    def stop(self) -> None:
        with self._lock:
            running = dict(self._running)
        for reference in running.values():
            self._ray.cancel(reference)
        until = time.monotonic() + END_WITHIN
        _, left = wait(running, max(0.0, until - time.monotonic()))
        for future in left:
            self._ray.cancel(running[future], force=True)

    def close(self) -> None:
        self._closed.set()
        self._hearing.join()
        with contextlib.suppress(Exception):  # it ends with the cluster at the latest
            self._queue.shutdown()
        self._ray.shutdown()


def _told(error: BaseException) -> BaseException:
    from ray import exceptions

    if isinstance(
        error, (exceptions.WorkerCrashedError, exceptions.NodeDiedError, exceptions.OutOfMemoryError)
    ):
        return LostWorkerError("its worker was killed or crashed in the middle of it, each time it was tried")
    if isinstance(error, (exceptions.TaskCancelledError, KeyboardInterrupt)):
        return StoppedError("the job was interrupted")
    return error


def _carry_out(task: Task[U, T], queue: Any) -> Outcome[T]:
    """In a worker, which is a process for one task at a time."""

    def send(messages: Sequence[Message]) -> None:
        queue.actor.put_nowait.remote(list(messages))

    return worker_side.carry_out(task, send)
