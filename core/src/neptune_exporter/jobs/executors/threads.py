"""Units of work in threads of the job's process."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from neptune_exporter.jobs.executors.base import JobExecutor
from neptune_exporter.jobs.executors.worker import Opening, StoppedError, Worker
from neptune_exporter.jobs.progress import Progress

T = TypeVar("T")
U = TypeVar("U")


class Threads(JobExecutor):
    """Threads share the job's source or sink, and end with the process."""

    name = "threads"
    is_local = True

    def __init__(self, workers: int, progress: Progress) -> None:
        super().__init__(workers, progress)
        self._worker = Worker(progress)
        self._pool = ThreadPoolExecutor(workers, "unit")

    def submit(self, function: Callable[[U, Worker], T], unit: U) -> Future[T]:
        return self._pool.submit(self._carry_out, function, unit)

    def _carry_out(self, function: Callable[[U, Worker], T], unit: U) -> T:
        if self._worker.stop.is_set():
            raise StoppedError("the job was interrupted")
        return function(unit, self._worker)

    def keep(self, opening: Opening[T], value: T) -> None:
        self._worker.keep(opening, value)

    def stop(self) -> None:
        self._worker.interrupt()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        self._pool.shutdown()
