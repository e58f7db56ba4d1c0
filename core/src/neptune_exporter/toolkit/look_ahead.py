"""Work ahead of its reader: several pieces at once, results in order, a bounded number waiting."""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from concurrent.futures import TimeoutError as Late  # before Python 3.11, not that of Python itself
from functools import partial
from typing import Any, Protocol, TypeVar, cast

from neptune_exporter.interruption import LISTENING

Item = TypeVar("Item")
T = TypeVar("T")
_END = object()
"""After the last item."""


class _Executor(Protocol):
    def submit(self, function: Any, item: Any, /) -> Future[Any]: ...


def look_ahead(
    executor: _Executor, items: Iterable[Item], work: Callable[..., T], width: int
) -> Iterator[tuple[Item, Callable[[], T]]]:
    """Each item, in order, with a function that waits for the result of `work(item)` or raises its error.

    Args:
        items: Taken lazily. The work on one item must not wait for the work on another.
        width: How many items may be in work or finished and not yet taken.

    Examples:
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> with ThreadPoolExecutor(4) as executor:
        ...     for page, result in look_ahead(executor, range(3), lambda page: f"rows of page {page}", 4):
        ...         print(page, result())  # raises what the work on this page raised
        0 rows of page 0
        1 rows of page 1
        2 rows of page 2
    """
    waiting: deque[tuple[Item, Future[T]]] = deque()
    try:
        for item in items:
            waiting.append((item, executor.submit(work, item)))
            if len(waiting) >= width:
                first, future = waiting.popleft()
                yield first, partial(_result, future)
        while waiting:
            first, future = waiting.popleft()
            yield first, partial(_result, future)
    finally:
        for _, future in waiting:
            future.cancel()


def _result(future: Future[T]) -> T:
    """Waits in short steps, so that Ctrl-C is heard on Windows too."""
    while not future.done():
        with contextlib.suppress(Late):  # not by `wait`, which takes several times as long
            future.exception(LISTENING)
    return future.result()


def read_ahead(items: Iterator[T], depth: int) -> Iterator[T]:
    """The same items. A thread of its own makes the next ones while the reader works on those before.

    Args:
        depth: How many finished items may wait for the reader.

    Examples:
        >>> def pages():
        ...     yield from ("page 1", "page 2")  # each takes a request
        >>> for page in read_ahead(pages(), depth=2):  # page 2 is fetched while page 1 is written
        ...     print(page)
        page 1
        page 2
    """
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as thread:
        end = cast(T, _END)
        for _, following in look_ahead(
            thread, itertools.repeat(items), lambda all_: next(all_, end), depth + 1
        ):
            if (item := following()) is end:
                return
            yield item


def first_done(running: Collection[Future[T]]) -> set[Future[T]]:
    """Wait until at least one is done, in short steps, so that Ctrl-C is heard on Windows too.

    Examples:
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> with ThreadPoolExecutor(1) as executor:
        ...     (future,) = first_done([executor.submit(len, "loss")])
        >>> future.result()
        4
    """
    while True:
        done, left = wait(running, LISTENING, FIRST_COMPLETED)
        if done or not left:
            return done
