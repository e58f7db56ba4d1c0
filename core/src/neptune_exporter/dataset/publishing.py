"""Publishing runs together: while the disk is waited for, the next ones get ready."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

from neptune_exporter.dataset.writer import ReadyRun, publish

_MOST = 64
"""Runs that are published together: all of them are uncertain until the last one is done."""


class Publisher:
    """Publishes what is ready, everything that has come meanwhile at once. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[tuple[ReadyRun, Future[None]]] = []
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="publish")

    def publish(self, ready: ReadyRun) -> Future[None]:
        """Hand over a run. The result is there once it is visible."""
        future: Future[None] = Future()
        with self._lock:
            self._waiting.append((ready, future))
        self._executor.submit(self._publish_waiting)
        return future

    def _publish_waiting(self) -> None:
        with self._lock:
            together, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
        if not together:
            return
        try:
            publish([ready for ready, _ in together])
        except BaseException as error:  # raised where the result is asked for
            for _, future in together:
                future.set_exception(error)
            return
        for _, future in together:
            future.set_result(None)
