"""Opens the executor that a person asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from neptune_exporter.errors import UsageError
from neptune_exporter.jobs.executors.base import JobExecutor
from neptune_exporter.jobs.executors.processes import Processes
from neptune_exporter.jobs.executors.threads import Threads
from neptune_exporter.jobs.progress import Progress

NAMES = ("threads", "processes", "dask", "ray")
_CLUSTER = "dask://"


@dataclass(frozen=True)
class Choice:
    """The options that choose an executor."""

    name: str | None = None
    """`threads`, `processes`, `dask`, `dask://HOST:PORT`, `ray`; None: what suits."""
    workers: int | None = None
    """How many units at once; None: chosen automatically."""
    why: str = field(default="as asked", compare=False)
    """Why this one, as a text for people."""

    def __post_init__(self) -> None:
        if self.name is not None and self.name not in NAMES and not _address(self.name):
            raise UsageError(f"--executor {self.name}: it is one of {', '.join(NAMES)}, dask://HOST:PORT")


def _address(name: str) -> str:
    """The address of a Dask scheduler in Dask's form; empty if the name has no address."""
    host, colon, port = name.removeprefix(_CLUSTER).rpartition(":")
    is_one = name.startswith(_CLUSTER) and host and colon and port.isdigit()
    return f"tcp://{host}:{port}" if is_one else ""


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def opened(choice: Choice, progress: Progress, *, threads: int, most: int | None = None) -> JobExecutor:
    """Open the requested executor. Raises UsageError if a package is missing, or nothing answers at the
    address.

    `threads`: the number of threads if the choice has no number. `most`: how many units the plugin allows at
    once.
    """
    executor = _made(choice, progress, threads, most)
    executor.why = choice.why
    return executor


def _made(choice: Choice, progress: Progress, threads: int, most: int | None) -> JobExecutor:
    name = choice.name or "threads"
    workers = choice.workers or (threads if name == "threads" else cores())
    if most is not None:
        workers = max(1, min(workers, most))
    if name == "threads":
        return Threads(workers, progress)
    if name == "processes":
        return Processes(workers, progress)
    if name == "ray":
        from neptune_exporter.jobs.executors.on_ray import Ray

        return Ray(workers, progress)
    from neptune_exporter.jobs.executors.on_dask import Dask

    address = _address(name)
    asked = choice.workers if address else workers  # a cluster knows how many workers it has
    return Dask(address, asked if most is None else min(asked or most, most), progress)
