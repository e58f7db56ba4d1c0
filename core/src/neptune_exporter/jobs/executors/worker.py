"""The `Worker` that a unit of work gets where it runs: in this process, a pool or a cluster.

A unit of work is a function and a value that can be pickled. Every executor calls the function with the value
and a `Worker`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from neptune_exporter.errors import NeptuneExporterError
from neptune_exporter.interruption import end_waits, resume_waits
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.redaction import redact

T = TypeVar("T")
U = TypeVar("U")
T_co = TypeVar("T_co", covariant=True)

_EVERY = 0.5
"""Seconds between two messages of a worker to its job."""


class Opening(Protocol[T_co]):
    """Opens what units share, a source or a sink: a small value that can be pickled."""

    def open(self) -> T_co: ...


class LostWorkerError(NeptuneExporterError):
    """The worker that carried out a unit ended in the middle of it."""


class StoppedError(NeptuneExporterError):
    """The job was interrupted before or while the unit was carried out."""


class Worker:
    """What a unit gets where it runs: `progress`, a `stop` event, and what the units of the job share."""

    is_shared = False
    """Whether other processes carry out units of the same job."""

    def __init__(self, progress: Progress | None = None, stop: threading.Event | None = None) -> None:
        self.progress: Progress = progress or Progress()
        self.stop = stop or threading.Event()
        self._kept: list[tuple[object, Any]] = []
        self._lock = threading.Lock()

    def kept(self, opening: Opening[T]) -> T:
        """What this opening opens: once for all units of the job in this process."""
        with self._lock:
            for known, value in self._kept:
                if known == opening:
                    found: T = value
                    return found
            made = opening.open()
            self._kept.append((opening, made))
            return made

    def keep(self, opening: Opening[T], value: T) -> None:
        """Give units a value that the job itself has opened and closes."""
        with self._lock:
            self._kept.append((opening, value))

    def interrupt(self) -> None:
        """End the units under way soon."""
        self.stop.set()
        for _, value in self._kept:
            if hasattr(value, "interrupt"):
                value.interrupt()


@dataclass(frozen=True)
class JobId:
    """How workers know a job."""

    name: str
    """Random, so that no two jobs have the same."""
    log_level: int


class Advance(NamedTuple):
    """Progress since the last message."""

    runs: int = 0
    rows: int = 0
    bytes: int = 0


class LogLine(NamedTuple):
    """A log line without credentials."""

    text: str
    logger: str
    level: int


Message: TypeAlias = "Advance | LogLine"
Send: TypeAlias = "Callable[[Sequence[Message]], None]"


@dataclass(frozen=True)
class Task(Generic[U, T]):
    """A unit on its way to a worker. The pages and logs of a cluster may show its repr."""

    job: JobId
    function: Callable[[U, Worker], T]
    unit: U = field(repr=False)


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """The result of a unit. An error is a value, because a cluster would log a raised one with its
    arguments."""

    value: Any
    error: BaseException | None
    messages: Sequence[Message] = ()
    """Messages that were not sent before."""
    seconds: float = 0.0
    """How long the unit took."""


class _Counting(Progress):
    """Collects the progress and log lines of units until they are sent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._unsent = Advance()
        self._lines: list[LogLine] = []

    def advance(self, runs: int = 0, rows: int = 0, bytes: int = 0) -> None:
        with self._lock:
            before = self._unsent
            self._unsent = Advance(before.runs + runs, before.rows + rows, before.bytes + bytes)

    def line(self, line: LogLine) -> None:
        with self._lock:
            self._lines.append(line)

    def taken(self) -> list[Message]:
        """What was reported since the last call."""
        with self._lock:
            messages: list[Message] = [*self._lines]
            if self._unsent != Advance():
                messages.append(self._unsent)
            self._unsent, self._lines = Advance(), []
            return messages


class _LogToJob(logging.Handler):
    def __init__(self, counting: _Counting, level: int) -> None:
        super().__init__(level)
        self._counting = counting

    def emit(self, record: logging.LogRecord) -> None:
        self._counting.line(LogLine(redact(self.format(record)), record.name, record.levelno))


class RemoteWorker(Worker):
    """The worker of one job in another process than the job's. A thread sends its messages."""

    is_shared = True

    def __init__(self, job: JobId, send: Send) -> None:
        self._counting = _Counting()
        super().__init__(self._counting)
        self.under_way = 0
        self._send = send
        self._ended = threading.Event()
        self._handler = _LogToJob(self._counting, job.log_level)
        root = logging.getLogger()
        self._level_before = root.level
        root.addHandler(self._handler)
        root.setLevel(min(job.log_level, root.level))
        threading.Thread(target=self._report, name="report", daemon=True).start()

    def carry_out(self, task: Task[U, T]) -> Outcome[T]:
        """Carry out the unit. Never raises."""
        began, value = time.monotonic(), None
        error: BaseException | None = None
        try:
            if self.stop.is_set():
                raise StoppedError("the job was interrupted")
            value = task.function(task.unit, self)
        except KeyboardInterrupt:  # from a wait that was ended
            error = StoppedError("the job was interrupted")
        except BaseException as failure:  # noqa: BLE001 - raised again in the process of the job
            error = _portable(failure)
        return Outcome(value, error, self._counting.taken(), time.monotonic() - began)

    def close(self) -> None:
        """Close what was opened. May be repeated."""
        if self._ended.is_set():
            return
        self._ended.set()
        root = logging.getLogger()
        root.removeHandler(self._handler)
        root.setLevel(self._level_before)
        for _, value in self._kept:
            value.close()
        self._kept.clear()

    def _report(self) -> None:
        while not self._ended.wait(_EVERY):
            if messages := self._counting.taken():
                self._send(messages)


def _portable(error: BaseException) -> BaseException:
    """An error that can be sent to another process: errors of the contract as they are, others as text."""
    from neptune_exporter.jobs.failing import internal_error

    if isinstance(error, NeptuneExporterError):
        error.__cause__ = error.__context__ = None
        return error
    if isinstance(error, ImportError):
        return ImportError(redact(str(error)))
    if isinstance(error, Exception):
        return NeptuneExporterError(internal_error("a unit of work", error))
    return NeptuneExporterError(f"internal error: {type(error).__name__}")


_jobs: dict[str, RemoteWorker] = {}
_stopped: set[str] = set()
"""Jobs that were stopped. Units of theirs may still arrive."""
_jobs_lock = threading.Lock()


def carry_out(task: Task[U, T], send: Send) -> Outcome[T]:
    """Carry out a unit in this process, which may serve several jobs, also at the same time."""
    if task.job.name in _stopped:
        return Outcome(None, StoppedError("the job was interrupted"))
    worker = _begin(task.job, send)
    try:
        return worker.carry_out(task)
    finally:
        with _jobs_lock:
            worker.under_way -= 1


def carry_out_all(tasks: Sequence[Task[Any, Any]], send: Send) -> list[Outcome[Any]]:
    """Carry out units of one job, one after the other. Once one was interrupted, no more are begun."""
    outcomes: list[Outcome[Any]] = []
    for task in tasks:
        latest = outcomes[-1].error if outcomes else None
        is_stopped = isinstance(latest, StoppedError)
        outcomes.append(Outcome(None, latest) if is_stopped else carry_out(task, send))
    return outcomes


def _begin(job: JobId, send: Send) -> RemoteWorker:
    """The worker of this job. First closes the workers of jobs that have nothing under way."""
    with _jobs_lock:
        worker = _jobs.get(job.name)
        if worker is None:
            _close(name for name, other in _jobs.items() if not other.under_way)
            if not _jobs:
                resume_waits()
            worker = _jobs[job.name] = RemoteWorker(job, send)
        worker.under_way += 1
        return worker


def _close(names: Iterable[str]) -> None:
    for name in list(names):
        _jobs.pop(name).close()


def stop_job(name: str) -> None:
    """End the units of a job in this process soon, and begin no more of them."""
    _stopped.add(name)
    with _jobs_lock:
        worker = _jobs.get(name)
        others = [other for key, other in _jobs.items() if key not in _stopped and other.under_way]
    if worker is not None:
        worker.interrupt()
        if not others:  # the waits of other jobs would be ended too
            end_waits()


def end_job(name: str) -> None:
    """Close what this process has opened for a job that is over, unless a unit of it is still under way."""
    with _jobs_lock:
        worker = _jobs.get(name)
        if worker is not None and not worker.under_way:
            _close([name])
    _stopped.add(name)


def message_of(values: Sequence[Any]) -> Message:
    """A message that came as a list, through a channel that carries only lists of texts and numbers."""
    return LogLine(*values) if isinstance(values[0], str) else Advance(*values)


def deliver(messages: Iterable[Message], progress: Progress) -> None:
    """Pass the messages of a worker on to the log and the progress of the job."""
    for message in messages:
        if isinstance(message, LogLine):
            logging.getLogger(message.logger).log(message.level, "%s", message.text)
        else:
            progress.advance(message.runs, message.rows, message.bytes)
