"""Where the runs of a load or of a comparison are worked on, and the settings of the sinks there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from neptune_exporter.contract import LoadOptions, Sink, SinkSpec, UsageError
from neptune_exporter.dataset.format.layout import OWN_FOLDER
from neptune_exporter.jobs.executors import Choice, JobExecutor, opened
from neptune_exporter.jobs.executors.choice import cores
from neptune_exporter.jobs.opening import OpenSink
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.location import Location

_THREADS = 2
_RUNS_WORTH_A_PROCESS = 100
"""It takes a second to start, and some 150 MB."""


class _Options(Protocol):
    @property
    def data_path(self) -> Location: ...
    @property
    def load(self) -> LoadOptions: ...
    @property
    def executor(self) -> str | None: ...
    @property
    def workers(self) -> int | None: ...


@dataclass(frozen=True)
class Spread:
    """The job's own sink, and what works on its runs."""

    sink: Sink
    executor: JobExecutor
    opening: OpenSink
    """How a worker comes by a sink: threads get the job's own."""


@contextlib.contextmanager
def spread(
    spec: SinkSpec, settings: object, options: _Options, progress: Progress, *, runs: int
) -> Iterator[Spread]:
    """The executor that was asked for or suits, and then the sink: a refusal leaves nothing behind.

    Args:
        spec: Of the loader.
        settings: Of the loader, for one process alone.
        options: Of the job.
        progress: Is told what workers do.
        runs: How many there are: no more workers are started.

    Raises:
        UsageError: the executor cannot be had, or this loader or these settings do not allow it.
        AuthenticationError: the credentials were refused.
    """
    if options.executor is not None and options.executor != "threads":
        _divided(spec, settings, options.executor, 1)
    choice = suitable(spec, settings, Choice(options.executor, options.workers), runs)
    executor = opened(choice, progress, threads=_THREADS, most=_most(spec, runs))
    with contextlib.ExitStack() as stack:
        unused = stack.enter_context(contextlib.ExitStack())
        unused.callback(executor.close)
        theirs = settings
        if not executor.is_local:
            theirs = _divided(spec, settings, executor.name, executor.workers)
        load = replace(options.load, state_folder=_state_folder(options.data_path, executor))
        sink = stack.enter_context(contextlib.closing(spec.factory(settings, load)))
        unused.pop_all()
        opening = OpenSink.of(spec.name, theirs, load)
        executor.keep(opening, sink)
        if runs:
            executor.announce()
        with executor:  # which ends before its sink
            yield Spread(sink, executor, opening)


def _state_folder(data_path: Location, executor: JobExecutor) -> Path:
    """Other machines have a working folder of their own, and see the dataset's, if it is a folder."""
    folder = Location.of(data_path).path
    if executor.is_elsewhere and folder is not None:
        return folder.absolute() / OWN_FOLDER
    return Path.cwd()


def _divided(spec: SinkSpec, settings: Any, executor: str, workers: int) -> Any:
    """The settings of each worker.

    Raises:
        UsageError: this loader, or these settings, do not allow as many.
    """
    if spec.divided is None:
        raise UsageError(f"--executor {executor}: the loader {spec.name} loads in threads only")
    return spec.divided(settings, workers)


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
        if workers > 1:
            return Choice("processes", workers, f"{runs:,} runs are worth starting them")
        few = runs < 2 * _RUNS_WORTH_A_PROCESS
        return Choice("threads", asked.workers, "few runs" if few else "processes would not help")
    if asked.name in ("processes", "dask", "ray") and asked.workers is None:
        return replace(asked, workers=max(1, _divisible(spec, settings, min(cores(), max(1, runs)))))
    return asked


def _divisible(spec: SinkSpec, settings: Any, most: int) -> int:
    """Into how many processes this loader can be spread, up to so many; 1 if it cannot."""
    if spec.divided is not None:
        for workers in range(most, 1, -1):
            with contextlib.suppress(UsageError):
                spec.divided(settings, workers)
                return workers
    return 1
