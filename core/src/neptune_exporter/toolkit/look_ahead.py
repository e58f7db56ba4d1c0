"""Work ahead of its reader: several pieces at once, results in order, a bounded number waiting."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from functools import partial
from queue import Empty, Queue
from typing import NoReturn, TypeVar

T = TypeVar("T")


def look_ahead(executor: Executor, work: Iterable[Callable[[], T]], width: int) -> Iterator[Callable[[], T]]:
    """For each piece of work, in order, a function that waits for its result or raises its error.

        for result in look_ahead(executor, (partial(fetch, page) for page in range(9)), 4):
            use(result())

    Args:
        work: Taken from lazily; its pieces must not wait for one another.
        width: How many may be under way or waiting to be taken.
    """
    waiting: deque[Future[T]] = deque()
    try:
        for piece in work:
            waiting.append(executor.submit(piece))
            if len(waiting) >= width:
                yield waiting.popleft().result
        while waiting:
            yield waiting.popleft().result
    finally:
        for future in waiting:
            future.cancel()


def read_ahead(items: Iterator[T], depth: int) -> Iterator[T]:
    """The same items, made by a thread of their own while the reader is busy with those before.

    Args:
        depth: How many may wait to be taken.
    """
    ready: Queue[Callable[[], T] | None] = Queue(depth)
    is_over = threading.Event()

    def make() -> None:
        try:
            for item in items:
                ready.put(partial(_given, item))
                if is_over.is_set():
                    return
        except BaseException as error:  # noqa: BLE001 - raised to the reader, who is in another thread
            ready.put(partial(_raised, error))
        else:
            ready.put(None)

    thread = threading.Thread(target=make, name="read-ahead", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            yield item()
    finally:
        is_over.set()
        while thread.is_alive():  # it may wait to hand over what no reader will take
            try:
                ready.get(timeout=0.02)
            except Empty:
                continue
        thread.join()


def _given(item: T) -> T:
    return item


def _raised(error: BaseException) -> NoReturn:
    raise error
