"""Runs work ahead of its reader: several at once, results in order, a bounded number waiting."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from neptune_exporter.contract import SourceError
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
