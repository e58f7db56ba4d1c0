"""Requests for series: several under way, their answers in order, the failing attribute found by halving."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from itertools import chain
from typing import Generic, Protocol, TypeVar

from neptune_exporter.contract import AttributeFailure, RunRows, SourceError, TransientError
from neptune_exporter_neptune3.api import StoppedError
from neptune_exporter_neptune3.attributes import FileRef, Series
from neptune_exporter_neptune3.client import AwayError

_R = TypeVar("_R", bound="SeriesRequest")


class SeriesRequest(Protocol):
    """One request for one or more series."""

    @property
    def series(self) -> Sequence[Series]: ...

    def halves(self: _R) -> Sequence[_R]:
        """The same in two requests, to be tried less patiently."""


@dataclass(frozen=True)
class FileEntry:
    """A point of a file series. timestamp: milliseconds since the epoch."""

    series: Series
    step: float
    timestamp: int
    ordinal: int
    ref: FileRef


@dataclass
class Page(Generic[_R]):
    """What came of a request."""

    rows: list[RunRows] = field(default_factory=list)
    failures: list[AttributeFailure] = field(default_factory=list)
    files: list[FileEntry] = field(default_factory=list)
    following: list[_R] = field(default_factory=list)
    """Requests for the rest of the same series."""


def read_pages(
    executor: Executor, width: int, requests: Iterable[_R], fetch: Callable[[_R], Page[_R]]
) -> Iterator[RunRows | AttributeFailure | FileEntry]:
    """Carry out requests and all that follow from them.

    A request that the server refuses is repeated in halves, down to the attribute that
    is the cause: the failure costs that attribute only.

    Args:
        width: How many requests may be under way or waiting to be taken.

    Raises:
        AuthenticationError: the token was refused.
        SourceError: the server cannot be reached.
    """
    waiting = iter(requests)
    flying: deque[tuple[_R, Future[Page[_R]]]] = deque()
    try:
        while True:
            while len(flying) < width:
                request = next(waiting, None)
                if request is None:
                    break
                flying.append((request, executor.submit(fetch, request)))
            if not flying:
                return
            request, future = flying.popleft()
            try:
                page = future.result()
            except (AwayError, StoppedError):
                raise
            except SourceError as error:
                if len(request.series) > 1:
                    waiting = chain(request.halves(), waiting)
                else:
                    yield failure_of(request.series[0], error)
                continue
            yield from page.rows
            yield from page.failures
            yield from page.files
            if page.following:
                waiting = chain(page.following, waiting)
    finally:
        for _, future in flying:
            future.cancel()


def failure_of(series: Series, error: SourceError) -> AttributeFailure:
    attempts = error.attempts if isinstance(error, TransientError) else 1
    return AttributeFailure(series.run, series.path, series.type, str(error), attempts)
