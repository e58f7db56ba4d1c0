"""Where the runs of a load or of a comparison are worked on, and the settings of the sinks there."""

from __future__ import annotations

import contextlib
from typing import Any, Protocol

from neptune_exporter.contract import LoadOptions, Sink, SinkSpec, UsageError
from neptune_exporter.jobs.executors import Choice, JobExecutor, opened
from neptune_exporter.jobs.executors.choice import cores
from neptune_exporter.jobs.opening import OpenSink
from neptune_exporter.jobs.progress import Progress

_THREADS = 2
_RUNS_WORTH_A_PROCESS = 100
"""It takes a second to start, and some 150 MB."""


class _Options(Protocol):
    @property
    def load(self) -> LoadOptions: ...
    @property
    def executor(self) -> str | None: ...
    @property
    def workers(self) -> int | None: ...


def spread(
    spec: SinkSpec, settings: object, options: _Options, sink: Sink, progress: Progress, *, runs: int
) -> tuple[JobExecutor, OpenSink]:
    """The executor that was asked for or suits, and how its workers come by a sink.

    Args:
        spec: Of the loader.
        settings: Of the loader, for one process alone.
        options: Of the job.
        sink: The job's own, which threads share.
        progress: Is told what workers do.
        runs: How many there are: no more workers are started.

    Raises:
        UsageError: the executor cannot be had, or this loader or these settings do not allow it.
    """
    choice = suitable(spec, settings, Choice(options.executor, options.workers), runs)
    executor = opened(choice, progress, threads=_THREADS, most=_most(spec, runs))
    try:
        if executor.is_local:
            opening = OpenSink.of(spec.name, settings, options.load)
            executor.keep(opening, sink)
            return executor, opening
        assert spec.divided is not None  # checked above
        return executor, OpenSink.of(spec.name, spec.divided(settings, executor.workers), options.load)
    except BaseException:
        executor.close()
        raise


def check_spread(spec: SinkSpec, settings: Any, executor: str | None) -> None:
    """Refuse an executor before the loader connects, or starts a server to rehearse against.

    Raises:
        UsageError: this loader, or these settings, do not allow it.
    """
    if executor in (None, "threads"):
        return
    if spec.divided is None:
        raise UsageError(f"--executor {executor}: the loader {spec.name} loads in threads only")
    spec.divided(settings, 1)


def _most(spec: SinkSpec, runs: int) -> int:
    most = spec.capabilities.max_workers
    return max(1, runs if most is None else min(most, runs))


def suitable(spec: SinkSpec, settings: object, asked: Choice, runs: int) -> Choice:
    """What was asked for, with what was left open: processes where hundreds of runs are worth their start.

    As many as there are cores, if the loader can be spread so far.
    """
    if asked.name is None:
        most = min(asked.workers or cores(), runs // _RUNS_WORTH_A_PROCESS, cores())
        workers = _divisible(spec, settings, most)
        return Choice("processes", workers) if workers > 1 else Choice("threads", asked.workers)
    if asked.name in ("processes", "dask", "ray") and asked.workers is None:
        return Choice(asked.name, max(1, _divisible(spec, settings, min(cores(), max(1, runs)))))
    return asked


def _divisible(spec: SinkSpec, settings: Any, most: int) -> int:
    """Into how many processes this loader can be spread, up to so many; 1 if it cannot."""
    if spec.divided is not None:
        for workers in range(most, 1, -1):
            with contextlib.suppress(UsageError):
                spec.divided(settings, workers)
                return workers
    return 1
