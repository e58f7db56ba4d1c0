"""Runs work ahead of its reader: several at once, results in order, a bounded number waiting."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import partial
from queue import Empty, Queue
from typing import Generic, NoReturn, TypeVar

from neptune_exporter.contract import SourceError
from neptune_exporter_neptune2.api import StoppedError
from neptune_exporter_neptune2.values import Attribute

T = TypeVar("T")


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What came of work for an attribute: a result, or what it failed of."""

    attribute: Attribute
    value: T | None = None
    error: SourceError | None = None

    def result(self) -> T:
        """Raises SourceError if it failed."""
        if self.error is not None:
            raise self.error
        assert self.value is not None
        return self.value


def attempt(attribute: Attribute, call: Callable[[], T]) -> Outcome[T]:
    """Do something for an attribute; an error that costs only this attribute becomes a value."""
    try:
        return Outcome(attribute, call())
    except StoppedError:
        raise
    except SourceError as error:
        return Outcome(attribute, None, error)


def ahead(executor: Executor, work: Iterable[Callable[[], T]], width: int) -> Iterator[Callable[[], T]]:
    """For each piece of work, in order, a function that waits for its result or raises its error.

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


def buffered(items: Iterator[T], depth: int) -> Iterator[T]:
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
        except BaseException as error:  # noqa: BLE001 - told to the reader, who is in another thread
            ready.put(partial(_raised, error))
        else:
            ready.put(None)

    thread = threading.Thread(target=make, name="neptune2-reader", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            yield item()
    finally:
        is_over.set()
        while thread.is_alive():  # it may wait to hand over what nobody will take
            try:
                ready.get(timeout=0.02)
            except Empty:
                continue
        thread.join()


def _given(item: T) -> T:
    return item


def _raised(error: BaseException) -> NoReturn:
    raise error
