"""The base class of executors, which carry out the units of work of a job."""

from __future__ import annotations

import logging
import uuid
from abc import abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import TypeVar

from neptune_exporter.jobs.executors.worker import JobId, Opening, Outcome, Worker, deliver
from neptune_exporter.jobs.progress import Progress

T = TypeVar("T")
U = TypeVar("U")

END_WITHIN = 4.0
"""Seconds that units have to end after Ctrl-C before they are abandoned or killed."""


class JobExecutor(AbstractContextManager["JobExecutor"]):
    """Carries out units of work for one job. If an error or Ctrl-C ends the `with` block, it ends units under
    way.

    Raises on entry:
        UsageError: the executor is not available: a package is missing, or nothing answers at the address.
    """

    name: str
    """Its name in `--executor`."""
    is_local: bool = False
    """Whether units run in the process of the job."""
    is_elsewhere: bool = False
    """Whether units may run on other machines."""
    why: str = "as asked"
    """Why this executor was chosen."""

    def __init__(self, workers: int, progress: Progress) -> None:
        self.workers = workers
        """How many units run at once."""
        self._progress = progress
        self._is_announced = False
        self.job = JobId(f"neptune-exporter-{uuid.uuid4().hex}", logging.getLogger().getEffectiveLevel())

    def announce(self) -> None:
        """Report once which executor this is and why: when no usage error can end the job any more."""
        if not self._is_announced:
            self._progress.message(f"executor: {self.name}, {self.workers} at once ({self.why})")
        self._is_announced = True

    @abstractmethod
    def submit(self, function: Callable[[U, Worker], T], unit: U) -> Future[T]:
        """Carry out a unit. The future raises LostWorkerError if the worker ended in the middle of it,
        StoppedError after `stop`, and the error of the unit otherwise."""

    def keep(self, opening: Opening[T], value: T) -> None:
        """Let units that run in this process use what the job has opened."""

    @abstractmethod
    def stop(self) -> None:
        """End the units under way soon, and begin no more."""

    @abstractmethod
    def close(self) -> None:
        """Wait for the units under way, and release the workers."""

    @property
    def waiting(self) -> int:
        """How many units to submit at once, so that workers need not wait for the job."""
        return 2 * self.workers

    @property
    def at_once(self) -> int:
        """How many runs to submit. In this process no more than it works on, because runs take memory."""
        return self.workers if self.is_local else self.waiting

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is not None:
            self.stop()
        self.close()


def joined(one: Mapping[str, str | int], other: Mapping[str, str | int]) -> dict[str, str | int]:
    """Combine the reports of two workers, label by label: numbers are added, and both texts are kept.

    Equal texts are kept too: each worker may say `1 run stays as loaded then` about a different run.
    """
    report = dict(one)
    for label, value in other.items():
        if label not in report:
            report[label] = value
            continue
        before = report[label]
        if isinstance(before, int) and isinstance(value, int):
            report[label] = before + value
        else:
            report[label] = f"{before}; {value}"
    return report


def settle(result: Future[T], outcome: Outcome[T], progress: Progress) -> None:
    """Set the result of a unit."""
    deliver(outcome.messages, progress)
    if outcome.error is not None:
        result.set_exception(outcome.error)
    else:
        result.set_result(outcome.value)
