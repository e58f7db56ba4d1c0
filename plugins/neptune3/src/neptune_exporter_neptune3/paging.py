"""Carries out requests for series, several at once, in order; finds failing attributes by halving."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from neptune_exporter.contract import AttributeFailure, RunRows, SourceError
from neptune_exporter.toolkit import AwayError
from neptune_exporter.toolkit.http_errors import StoppedError
from neptune_exporter_neptune3.attributes import FileToFetch, Series

_U = TypeVar("_U", bound="_OfSeries", covariant=True)


class _OfSeries(Protocol):
    """How far a series was read: a class of its own for each kind of request."""

    @property
    def series(self) -> Series: ...


@dataclass(frozen=True)
class Request(Generic[_U]):
    """Series that are asked for together."""

    unread: Sequence[_U]
    limit: int = 0
    """Points of each series, in a request for floats."""
    again: bool = False
    """Part of a request that failed as a whole, which is retried for a shorter time."""

    def halves(self) -> list[Request[_U]]:
        middle = len(self.unread) // 2
        return [Request(part, self.limit, True) for part in (self.unread[:middle], self.unread[middle:])]


@dataclass
class Page(Generic[_U]):
    """What one request gave."""

    rows: list[RunRows] = field(default_factory=list)
    failures: list[AttributeFailure] = field(default_factory=list)
    files: list[FileToFetch] = field(default_factory=list)
    following: list[Request[_U]] = field(default_factory=list)
    """Requests for the rest of the same series."""

    def events(self) -> Iterator[RunRows | AttributeFailure | FileToFetch]:
        yield from self.rows
        yield from self.failures
        yield from self.files


_Key = tuple[int, ...]
_HELD = 4
"""How many pages may wait for earlier ones, so that a series of moderate length is delivered as a whole."""


def read_pages(
    executor: Executor, width: int, requests: Iterable[Request[_U]], fetch: Callable[[Request[_U]], Page[_U]]
) -> Iterator[RunRows | AttributeFailure | FileToFetch]:
    """Carry out requests and all that follow from them.

    A request that the server refuses is repeated in halves, down to the attribute that is the cause: the
    failure costs that attribute only. Pages come in the order of the requests that they follow from, except
    where too many would have to wait for that. Raises AuthenticationError if the token was refused, and
    SourceError if the server cannot be reached.

    Args:
        width: How many requests may be under way or waiting to be taken.
    """
    first = (((n,), request) for n, request in enumerate(requests))
    waiting: deque[tuple[_Key, Request[_U]]] = deque()
    flying: deque[tuple[_Key, Request[_U], Future[Page[_U]]]] = deque()
    order = _Order[_U]()

    def fly() -> None:
        """Send requests, those that follow from others first."""
        while len(flying) < width:
            following = waiting.popleft() if waiting else next(first, None)
            if following is None:
                return
            key, request = following
            order.expect(key)
            flying.append((key, request, executor.submit(fetch, request)))

    try:
        fly()
        while flying:
            key, request, future = flying.popleft()
            page = _page_of(request, future)
            rest = _numbered(key, page.following)
            waiting.extendleft(reversed(rest))
            for ready in order.take(key, page, [key for key, _ in rest]):
                yield from ready.events()
            fly()
    finally:
        for _, _, future in flying:
            future.cancel()


def _page_of(request: Request[_U], future: Future[Page[_U]]) -> Page[_U]:
    """The page of a request. If it failed: its halves to try next, or the failure of its only attribute."""
    try:
        return future.result()
    except (AwayError, StoppedError):
        raise
    except SourceError as error:
        if len(request.unread) > 1:
            return Page(following=request.halves())
        return Page(failures=[failure_of(request.unread[0].series, error)])


def _numbered(key: _Key, following: Sequence[Request[_U]]) -> list[tuple[_Key, Request[_U]]]:
    """Requests with their keys. A single one gets the key of the request that it follows from."""
    if len(following) == 1:
        return [(key, following[0])]
    return [((*key, n), each) for n, each in enumerate(following)]


class _Order(Generic[_U]):
    """Puts pages in the order of their keys: all that follows from one page comes before the next page."""

    def __init__(self) -> None:
        self._expected: set[_Key] = set()
        self._held: list[tuple[_Key, Page[_U]]] = []

    def expect(self, key: _Key) -> None:
        self._expected.add(key)

    def take(self, key: _Key, page: Page[_U], following: Iterable[_Key]) -> Iterator[Page[_U]]:
        """Take a page, and give the pages that can be delivered now."""
        self._expected.discard(key)
        self._expected.update(following)
        self._held.append((key, page))
        self._held.sort(key=lambda each: each[0])
        first = min(self._expected, default=None)
        while self._held and (first is None or self._held[0][0] <= first or len(self._held) > _HELD):
            yield self._held.pop(0)[1]


def failure_of(series: Series, error: SourceError) -> AttributeFailure:
    return AttributeFailure.of(series.run, series.path, series.type, error)
