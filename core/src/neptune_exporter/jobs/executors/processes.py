"""Units of work in processes of this machine: a pool of one process for each worker.

Each process has a pool of its own, because a pool is broken as a whole when one of its processes dies. So a
death costs one unit, and a new pool takes its place. A pipe carries progress and log lines to the command,
and "stop" to the process; when the command ends, the pipe is closed and the process ends too.

On Linux the processes are forked from a server process (that of `multiprocessing`) that has imported what the
command has, and has no threads. So the imports, about a second, are paid once and not for each process.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from typing import Any, TypeVar

from neptune_exporter.jobs.executors import worker as worker_side
from neptune_exporter.jobs.executors.base import END_WITHIN, JobExecutor, settle
from neptune_exporter.jobs.executors.worker import JobId, LostWorkerError, Outcome, Task, Worker
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.toolkit import failpoints

T = TypeVar("T")
U = TypeVar("U")

_log = logging.getLogger(__name__)
_STOP, _KILL = "stop", "kill"
_OURS = "neptune_exporter"
"""How the names of this package and of our plugins begin."""


class Processes(JobExecutor):
    """One process for each worker, with one unit at a time."""

    name = "processes"

    def __init__(self, workers: int, progress: Progress) -> None:
        super().__init__(workers, progress)
        self._free: list[_Process] = []
        self._queue: deque[tuple[Task[Any, Any], Future[Any]]] = deque()
        """Units that are waiting for a process."""
        self._all: list[_Process] = []
        self._lock = threading.Lock()

    def submit(self, function: Callable[[U, Worker], T], unit: U) -> Future[T]:
        result: Future[T] = Future()
        result.set_running_or_notify_cancel()  # a reader that goes away must not cancel what is settled here
        task = Task(self.job, function, unit)
        with self._lock:
            process = self._taken()
            if process is None:
                self._queue.append((task, result))
        if process is not None:
            self._start(process, task, result)
        return result

    def _taken(self) -> _Process | None:
        """A free process, or a new one; None if all that may run are busy."""
        if self._free:
            return self._free.pop()
        if len(self._all) >= self.workers:
            return None
        process = _Process(self.job, self._progress)
        self._all.append(process)
        return process

    def _start(self, process: _Process, task: Task[Any, Any], result: Future[Any]) -> None:
        process.submit(task).add_done_callback(lambda done: self._done(process, done, result))

    def _done(self, process: _Process, done: Future[Outcome[Any]], result: Future[Any]) -> None:
        error = done.exception()
        with self._lock:
            if error is None:
                self._free.append(process)
            else:
                self._all.remove(process)
            queued = self._queue.popleft() if self._queue else None
            following = self._taken() if queued is not None else None
        if queued is not None and following is not None:
            self._start(following, *queued)
        if isinstance(error, BrokenProcessPool):
            error = LostWorkerError("its worker process was killed or crashed in the middle of it")
        if error is None:
            settle(result, done.result(), self._progress)
        else:
            result.set_exception(error)

    def stop(self) -> None:
        with self._lock:
            queued = list(self._queue)
            self._queue.clear()
        for _, result in queued:
            result.set_exception(worker_side.StoppedError("the job was interrupted"))
        for process in self._processes():
            process.tell(_STOP)
        until = time.monotonic() + END_WITHIN
        for process in self._processes():
            process.wait(until - time.monotonic())

    def close(self) -> None:
        wait([result for _, result in list(self._queue)])
        for process in self._processes():
            process.close()

    def _processes(self) -> list[_Process]:
        with self._lock:
            return list(self._all)


class _Process:
    """One worker process, and the thread that receives its messages."""

    def __init__(self, job: JobId, progress: Progress) -> None:
        context = _context()
        self._pipe, self._theirs = context.Pipe()
        # The server process has the environment of its own start.
        given = self._theirs, job.name, dict(os.environ)
        self._pool = ProcessPoolExecutor(1, context, initializer=_begin, initargs=given)
        self._under_way: Future[Any] | None = None
        self._sending = threading.Lock()
        self._job = job.name
        self._progress = progress
        self._hearing = threading.Thread(target=self._hear, name="hear", daemon=True)
        self._hearing.start()

    def submit(self, task: Task[U, T]) -> Future[Outcome[T]]:
        try:
            with _signals_held():
                self._under_way = done = self._pool.submit(_carry_out, task)
        finally:
            self._theirs.close()  # the process has its own copy: reading ends when the process does
        return done

    def tell(self, what: str) -> None:
        with self._sending, contextlib.suppress(OSError, ValueError):  # it has ended
            self._pipe.send(what)

    def wait(self, seconds: float) -> None:
        """Give the unit time to end; kill the process if it takes longer."""
        done = self._under_way
        if done is None:
            return
        with contextlib.suppress(Exception):  # its own future reports it
            done.exception(max(0.0, seconds))
        if not done.done():
            self.tell(_KILL)

    def close(self) -> None:
        """End the process once its unit has ended. May be repeated."""
        if self._under_way is None:
            self.tell(_KILL)  # Ctrl-C came while it started: it may be there, unknown to the pool
        else:
            with contextlib.suppress(BrokenProcessPool):
                self._pool.submit(worker_side.end_job, self._job)
        self._pool.shutdown()
        self._theirs.close()  # open if nothing was submitted
        self._hearing.join()
        self._pipe.close()

    def _hear(self) -> None:
        try:
            while True:
                worker_side.deliver(self._pipe.recv(), self._progress)
        except (EOFError, OSError, TypeError) as error:  # the process has ended, or this end was closed
            _log.debug("a worker process has ended: %r", error)


def _context() -> BaseContext:
    """How processes start. Elsewhere than on Linux, libraries of the system do not allow a fork."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    imported = {name for name in list(sys.modules) if name.partition(".")[0].startswith(_OURS)}
    context.set_forkserver_preload(sorted(imported))
    return context


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """A process that starts now ignores the terminal's Ctrl-C: the job sends "stop" instead."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# --- in the process

_to_job: Connection | None = None
_sending = threading.Lock()


def _begin(pipe: Connection, job: str, environment: Mapping[str, str]) -> None:
    global _to_job
    _to_job = pipe
    if os.environ != environment:
        os.environ.clear()
        os.environ.update(environment)
        failpoints.arm(environment.get(failpoints.VARIABLE, ""))  # it was read at the import
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    logging.captureWarnings(True)
    threading.Thread(target=_listen, args=(pipe, job), name="listen", daemon=True).start()


def _listen(pipe: Connection, job: str) -> None:
    try:
        while True:
            if pipe.recv() == _KILL:
                os._exit(1)
            worker_side.stop_job(job)
    except (EOFError, OSError):
        os._exit(1)  # the command has ended and needs no result: end as if killed


def _send(messages: Any) -> None:
    assert _to_job is not None
    with _sending, contextlib.suppress(OSError):
        _to_job.send(messages)


def _carry_out(task: Task[U, T]) -> Outcome[T]:
    return worker_side.carry_out(task, _send)
