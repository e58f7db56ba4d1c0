"""Publishes runs while the next ones are read; runs that are ready at about the same time together."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor

from neptune_exporter.dataset.write.writer import ReadyRun, publish

_MOST = 64
"""At most this many runs are published together: a crash may cost all of them."""
_ENOUGH = 8
"""This many runs do not wait for more: a publication waits for the disk as long for one run as for many."""
_ENOUGH_BYTES = 4 << 20
"""Runs with this many bytes of parts do not wait for others, because a crash would cost them."""


class Publisher:
    """Writes runs on an executor, and publishes all that are ready together: as soon as they are enough, or
    no other run that could join them is being written. Thread-safe."""

    def __init__(self, encoder: Executor) -> None:
        self._encoder = encoder
        self._lock = threading.Lock()
        self._preparing = 0
        self._waiting: list[tuple[ReadyRun, Future[None]]] = []
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="publish")

    def publish(self, prepare: Callable[[], ReadyRun], *, at_once: bool = False) -> Future[None]:
        """Write a run and publish it. The future is done once the run is visible. `at_once`: write it in this
        thread, as waking another one for a small run costs more than it brings."""
        visible: Future[None] = Future()
        with self._lock:
            if not at_once:
                self._encoder.submit(self._prepare, prepare, visible)
            self._preparing += 1
        if at_once:
            self._prepare(prepare, visible)
        return visible

    def _prepare(self, prepare: Callable[[], ReadyRun], visible: Future[None]) -> None:
        ready = None
        try:
            ready = prepare()
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            visible.set_exception(error)
        with self._lock:
            self._preparing -= 1
            if ready is not None:
                self._waiting.append((ready, visible))
            if self._waiting and (not self._preparing or self._are_enough()):
                self._executor.submit(self._publish_waiting)

    def _are_enough(self) -> bool:
        size = sum(part.bytes for ready, _ in self._waiting for part in ready.receipt.parts)
        return len(self._waiting) >= _ENOUGH or size >= _ENOUGH_BYTES

    def _publish_waiting(self) -> None:
        with self._lock:
            together, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
        if not together:
            return
        try:
            publish([ready for ready, _ in together])
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            for _, visible in together:
                visible.set_exception(error)
            return
        for _, visible in together:
            visible.set_result(None)
