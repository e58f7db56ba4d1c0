"""Chooses the executor of a load or a comparison, and the settings of the sinks in its workers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neptune_exporter.contract import Sink, SinkSpec, UsageError
from neptune_exporter.dataset.format.layout import OWN_FOLDER
from neptune_exporter.jobs.executors import Choice, JobExecutor, opened
from neptune_exporter.jobs.executors.choice import cores
from neptune_exporter.jobs.opening import OpenSink, with_whole_paths
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.location import Location

if TYPE_CHECKING:
    from neptune_exporter.jobs.load import LoadJobOptions

THREADS = 2
"""Runs that are loaded or checked at once, if the user does not say."""
_RUNS_WORTH_A_PROCESS = 100
"""A process is worth its start from this many runs on: it takes a second and some 150 MB."""


@dataclass(frozen=True)
class Spread:
    """The job's own sink, and the executor."""

    sink: Sink
    executor: JobExecutor
    opening: OpenSink
    """How a worker opens its sink; threads get the job's own."""


@contextlib.contextmanager
def spread(
    spec: SinkSpec, settings: object, options: LoadJobOptions, progress: Progress, *, runs: int
) -> Iterator[Spread]:
    """Open the requested or chosen executor, with at most a worker per run, and then the sink, so that a
    refusal leaves nothing behind. Raises AuthenticationError, and UsageError if the executor is not
    available, or this loader or these settings do not allow it."""
    if options.executor is not None and options.executor != "threads":
        _divided(spec, settings, options.executor, 1)
    choice = suitable(spec, settings, Choice(options.executor, options.workers), runs)
    most = min(filter(None, (spec.capabilities.max_workers, max(1, runs))))
    executor = opened(choice, progress, threads=THREADS, most=most)
    with contextlib.ExitStack() as stack:
        unused = stack.enter_context(contextlib.ExitStack())
        unused.callback(executor.close)
        theirs = settings
        if not executor.is_local:
            theirs = _divided(spec, settings, executor.name, executor.workers)
        load = replace(options.load, state_folder=_state_folder(options.data_path, executor))
        sink = stack.enter_context(contextlib.closing(spec.factory(settings, load)))
        unused.pop_all()
        opening = OpenSink(spec.name, with_whole_paths(theirs), load)
        executor.keep(opening, sink)
        if runs:
            executor.announce()
        with executor:  # the executor must end before its sink
            yield Spread(sink, executor, opening)


def _state_folder(data_path: Location, executor: JobExecutor) -> Path:
    """Where sinks keep their state. Other machines have another working folder, but share the dataset's."""
    folder = Location.of(data_path).path
    if executor.is_elsewhere and folder is not None:
        return folder.absolute() / OWN_FOLDER
    return Path.cwd()


def _divided(spec: SinkSpec, settings: Any, executor: str, workers: int) -> Any:
    """The settings of each worker. Raises UsageError if this loader, or these settings, do not allow that
    many workers."""
    if spec.divided is None:
        raise UsageError(f"--executor {executor}: the loader {spec.name} loads in threads only")
    return spec.divided(settings, workers)


def suitable(spec: SinkSpec, settings: object, asked: Choice, runs: int) -> Choice:
    """Fill in what the user left open: processes if there are enough runs to be worth their start.

    There are as many processes as cores, if the loader allows it.
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
    """How many processes this loader can use, at most `most`; 1 if it works in one process only."""
    if spec.divided is not None:
        for workers in range(most, 1, -1):
            with contextlib.suppress(UsageError):
                spec.divided(settings, workers)
                return workers
    return 1
