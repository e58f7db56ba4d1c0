"""Work that runs ahead of its reader."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from neptune_exporter.toolkit import look_ahead, read_ahead


def test_results_come_in_order_with_their_items() -> None:
    with ThreadPoolExecutor(4) as executor:
        found = [(item, result()) for item, result in look_ahead(executor, range(50), lambda n: n * n, 7)]
    assert found == [(n, n * n) for n in range(50)]


def test_no_more_are_taken_than_the_width() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for n in range(20):
            taken.append(n)
            yield n

    with ThreadPoolExecutor(2) as executor:
        for item, result in look_ahead(executor, items(), str, 3):
            assert result() == str(item)
            assert len(taken) <= item + 3


def test_an_error_is_that_of_its_item_alone() -> None:
    def work(n: int) -> float:
        return 1 / n

    with ThreadPoolExecutor(2) as executor:
        results = [result for _, result in look_ahead(executor, [1, 0, 2], work, 2)]
    assert (results[0](), results[2]()) == (1.0, 0.5)
    with pytest.raises(ZeroDivisionError):
        results[1]()


def test_a_reader_that_goes_away_cancels_what_has_not_begun() -> None:
    gate, begun = threading.Event(), []

    def work(n: int) -> None:
        begun.append(n)
        gate.wait(20)

    with ThreadPoolExecutor(1) as executor:
        ahead = look_ahead(executor, range(100), work, 10)
        next(ahead)
        ahead.close()  # type: ignore[attr-defined]
        gate.set()
    assert len(begun) <= 2


def test_items_are_made_while_the_reader_is_busy_and_its_errors_arrive() -> None:
    made = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        yield 2
        made.set()
        raise ValueError("no more")

    reader = read_ahead(items(), 2)  # no more than both others
    assert next(reader) == 1
    assert made.wait(20)
    assert next(reader) == 2
    with pytest.raises(ValueError, match="no more"):
        next(reader)


def test_a_reader_that_goes_away_ends_the_thread() -> None:
    before = threading.active_count()
    reader = read_ahead(iter(range(10**9)), 2)
    assert next(reader) == 0
    reader.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
