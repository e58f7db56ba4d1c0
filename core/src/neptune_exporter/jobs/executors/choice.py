"""Which executor a person asked for, and otherwise which one suits the work and the machine."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass

from neptune_exporter.errors import UsageError
from neptune_exporter.jobs.executors.base import JobExecutor
from neptune_exporter.jobs.executors.processes import Processes
from neptune_exporter.jobs.executors.threads import Threads
from neptune_exporter.jobs.progress import Progress

_log = logging.getLogger(__name__)

NAMES = ("threads", "processes", "dask", "ray")
_CLUSTER = "dask://"


@dataclass(frozen=True)
class Choice:
    """What was asked for."""

    name: str | None = None
    """`threads`, `processes`, `dask`, `dask://HOST:PORT`, `ray`; None: what suits."""
    workers: int | None = None
    """How many units at once; None: what suits."""

    def __post_init__(self) -> None:
        if self.name is not None and self.name not in NAMES and not _address(self.name):
            raise UsageError(f"--executor {self.name}: it is one of {', '.join(NAMES)}, dask://HOST:PORT")

    @property
    def is_threads(self) -> bool:
        return self.name == "threads"


def _address(name: str) -> str:
    """Of a Dask scheduler, as Dask writes it; empty if this is none."""
    host, colon, port = name.removeprefix(_CLUSTER).rpartition(":")
    is_one = name.startswith(_CLUSTER) and host and colon and port.isdigit()
    return f"tcp://{host}:{port}" if is_one else ""


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def opened(choice: Choice, progress: Progress, *, threads: int, most: int | None = None) -> JobExecutor:
    """The executor that was asked for; says which one, unless it is threads of this process.

    Args:
        choice: Without a name: threads.
        progress: Is told what workers do.
        threads: How many threads there are if no number was given.
        most: How many units the plugin allows at once.

    Raises:
        UsageError: a package is missing, or nothing answers at the address.
    """
    executor = _made(choice, progress, threads, most)
    line = f"executor: {executor.name}, {executor.workers} at once"
    if executor.is_local:
        _log.info("%s", line)
    else:
        progress.message(line)
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
    asked = choice.workers if address else workers  # a cluster knows best how many it has
    return Dask(address, asked if most is None else min(asked or most, most), progress)
