"""Units of work on Ray: the cluster that RAY_ADDRESS names, or one that is started on this machine.

Progress and log lines come through one of Ray's queues. If a worker dies, Ray itself runs the task again, up
to four times in all. Cancelling a task raises KeyboardInterrupt in it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from neptune_exporter.errors import UsageError
from neptune_exporter.jobs.executors import worker as worker_side
from neptune_exporter.jobs.executors.remote import LOST, RemoteExecutor
from neptune_exporter.jobs.executors.worker import LostWorkerError, Outcome, StoppedError, Task
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.redaction import redact
from neptune_exporter.suggestions import how_to_add

_ADDRESS = "RAY_ADDRESS"
_TRIED_AGAIN = 3
"""How often Ray repeats a task whose worker has ended."""
_STARTS = 3
"""How often a cluster is started. Ray waits 30 s for one, which a busy machine may need longer for (seen with
Ray 2.60, where nothing sets that time)."""


class Ray(RemoteExecutor[Any]):
    """The driver of a Ray job."""

    name = "ray"

    def __init__(self, workers: int, progress: Progress) -> None:
        """Raises UsageError if Ray is not installed, if no cluster answers at the address, or none can be
        started here."""
        try:
            import ray
            from ray.util.queue import Queue
        except ImportError as error:
            add = how_to_add("ray", '"./core[ray]"')
            raise UsageError(f"--executor ray: Ray is not installed; {add}") from error
        super().__init__(workers, progress)
        self._ray = ray
        self.is_elsewhere = bool(os.environ.get(_ADDRESS))
        # Ray 2.60 prints that it has made a token for the cluster.
        logging.getLogger("ray._private.authentication").setLevel(logging.ERROR)
        own = {"num_cpus": workers, "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        _start(ray, {} if self.is_elsewhere else own)
        self._messages = Queue(actor_options={"num_cpus": 0})
        self._task = ray.remote(max_retries=_TRIED_AGAIN)(_carry_out)
        self._closed = threading.Event()
        self._hearing = threading.Thread(target=self._hear, name="hear", daemon=True)
        self._hearing.start()

    def _send(self, tasks: Sequence[Task[Any, Any]]) -> tuple[Any, Future[Sequence[Outcome[Any]]]]:
        reference = self._task.options(name="neptune-exporter").remote(tasks, self._messages)
        return reference, reference.future()

    def _error_of(self, error: BaseException) -> BaseException:
        from ray import exceptions as of_ray

        if isinstance(error, (of_ray.WorkerCrashedError, of_ray.NodeDiedError, of_ray.OutOfMemoryError)):
            return LostWorkerError(LOST)
        if isinstance(error, (of_ray.TaskCancelledError, KeyboardInterrupt)):
            return StoppedError("the job was interrupted")
        return error

    def _hear(self) -> None:
        from ray.util.queue import Empty

        while not self._closed.is_set():
            try:
                worker_side.deliver(self._messages.get(timeout=0.5), self._progress)
            except Empty:
                continue
            except Exception:  # noqa: BLE001 - the cluster has ended, and the units report that
                return

    def _interrupt(self) -> None:
        for reference in set(self._under_way().values()):
            self._ray.cancel(reference)
        for reference in set(self._left_over().values()):
            self._ray.cancel(reference, force=True)

    def close(self) -> None:
        super().close()
        self._closed.set()
        self._hearing.join()
        with contextlib.suppress(Exception):  # the cluster's end would end it too
            self._messages.shutdown()
        self._ray.shutdown()


def _start(ray: Any, options: dict[str, Any]) -> None:
    for again in reversed(range(_STARTS)):
        try:
            ray.init(log_to_driver=False, logging_level=logging.ERROR, configure_logging=False, **options)
        except Exception as error:  # Ray's own errors have no common base class
            ray.shutdown()
            text = " ".join(str(error).split())
            if not again or "timed out during startup" not in text:
                raise UsageError(f"--executor ray: the cluster cannot be had: {redact(text)}") from error
        else:
            return


def _carry_out(tasks: Sequence[Task[Any, Any]], queue: Any) -> list[Outcome[Any]]:
    """Runs in a worker, which is a process for one task at a time."""

    def send(messages: Sequence[worker_side.Message]) -> None:
        queue.actor.put_nowait.remote(list(messages))

    return worker_side.carry_out_all(tasks, send)
