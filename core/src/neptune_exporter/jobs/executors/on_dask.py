"""Units of work on Dask: a cluster that is started on this machine, or one that runs already.

Its own futures carry units and results; progress and log lines come as events of the scheduler. A task is
named after its function and a random number (`pure=False`), because otherwise Dask would answer the second
try of a failed unit with the first failure. If a worker dies, Dask itself runs the task again, up to four
times in all.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from typing import Any

from neptune_exporter.errors import UsageError
from neptune_exporter.jobs.executors import worker as worker_side
from neptune_exporter.jobs.executors.remote import LOST, RemoteExecutor
from neptune_exporter.jobs.executors.worker import LostWorkerError, Outcome, StoppedError, Task
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.suggestions import how_to_add

_log = logging.getLogger(__name__)
_CONNECT_WITHIN = 10
"""Seconds in which a scheduler must answer."""
_WORKERS_WITHIN = 300
"""Seconds. A batch system may start the scheduler, the workers and the command at one time."""
_LOCAL = {
    # Dask's 15 s are too short for a busy machine: it gives a worker that has died up for good, and a job
    # that has lost all of them waits for ever (seen with distributed 2026.8).
    "distributed.deploy.lost-worker-timeout": "365 days",
    # What Dask measures for a dashboard took a quarter of the processor time of a load of small runs.
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.monitor-interval": "2s",
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
}
"""Settings of a cluster on this machine, which has no dashboard."""


class Dask(RemoteExecutor[None]):
    """The client of a scheduler."""

    name = "dask"

    def __init__(self, address: str, workers: int | None, progress: Progress) -> None:
        """
        Args:
            address: `tcp://HOST:PORT` of a scheduler. Empty: a cluster on this machine, for this job.
            workers: None: as many as the cluster has threads.

        Raises:
            UsageError: Dask is not installed, nothing answers at the address, or the cluster has no workers.
        """
        try:
            import dask

            dask.config.set({"logging.distributed": "error"})
            import distributed
        except ImportError as error:
            add = how_to_add("dask", '"./core[dask]"')
            raise UsageError(f"--executor dask: Dask is not installed; {add}") from error
        self._cluster = None if address else local_cluster(workers or 1)
        try:
            if dask.config.get("distributed.comm.require-encryption"):
                address = address.replace("tcp://", "tls://")
            self._client = distributed.Client(address or self._cluster, timeout=_CONNECT_WITHIN)
        except (OSError, TimeoutError) as error:
            raise UsageError(f"--executor: no Dask scheduler answers at {address}: {error}") from error
        if not self._client.nthreads():
            progress.message(f"executor: waiting for the first worker of {address}")
        try:
            self._client.wait_for_workers(1, timeout=_WORKERS_WITHIN)
        except (TimeoutError, distributed.TimeoutError):
            self._client.close()
            raise UsageError(f"--executor: the Dask scheduler at {address} has no workers") from None
        super().__init__(workers or sum(self._client.nthreads().values()), progress)
        self.is_elsewhere = bool(address)
        if address:
            self.name = address.replace("tcp://", "dask://")
        self._client.subscribe_topic(self.job.name, self._hear)
        self._executor = self._client.get_executor(pure=False)

    def _send(self, tasks: Sequence[Task[Any, Any]]) -> tuple[None, Future[Sequence[Outcome[Any]]]]:
        return None, self._executor.submit(_carry_out, tasks)

    def _error_of(self, error: BaseException) -> BaseException:
        from distributed.scheduler import KilledWorker

        if isinstance(error, KilledWorker):
            return LostWorkerError(LOST)
        return StoppedError("the job was interrupted") if isinstance(error, CancelledError) else error

    def _hear(self, event: tuple[float, Any]) -> None:
        worker_side.deliver(map(worker_side.message_of, event[1]["messages"]), self._progress)

    def _interrupt(self) -> None:
        """Does not cancel tasks: Dask forgets what it cancels, while the thread that works on it goes on."""
        with contextlib.suppress(Exception):  # a worker that does not answer cannot be stopped
            self._client.run(worker_side.stop_job, self.job.name, on_error="ignore")
        if self._left_over():
            _log.warning("units that do not end are left to their workers; what they publish is whole")

    def close(self) -> None:
        super().close()
        if self._cluster is None:
            with contextlib.suppress(OSError, TimeoutError):
                self._client.run(worker_side.end_job, self.job.name, on_error="ignore")
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()


def local_cluster(workers: int) -> Any:
    """A cluster that listens on the loopback address only, without a dashboard; a process for each worker.

    The caller closes it.
    """
    import dask
    from distributed import LocalCluster

    dask.config.set(_LOCAL)
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False},
        silence_logs=logging.CRITICAL,
    )


def _carry_out(tasks: Sequence[Task[Any, Any]]) -> list[Outcome[Any]]:
    """Runs in a worker, in one of Dask's several threads there."""
    from distributed import get_worker

    worker = get_worker()

    def send(messages: Sequence[worker_side.Message]) -> None:
        worker.log_event(tasks[0].job.name, {"messages": [list(message) for message in messages]})

    return worker_side.carry_out_all(tasks, send)
