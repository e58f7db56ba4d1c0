"""What is kept of the comparisons of many runs."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

from neptune_exporter.contract import Comparison, Verdict
from neptune_exporter.jobs.comparing import Comparisons
from neptune_exporter.model import RunKey


def of_run(number: int, wrong: bool = False) -> Iterator[Comparison]:
    key = RunKey("acme/vision", f"RUN-{number}")
    for series in range(10):
        yield Comparison(key, f"points of metric/{series}", Verdict.EQUAL, "1000", "1000")
    if wrong:
        yield Comparison(key, "tags", Verdict.MISSING, "['a']", "[]")


def test_equal_items_are_counted_and_all_others_kept_in_order() -> None:
    comparisons = Comparisons()
    assert not comparisons
    for number in range(4):
        comparisons.extend(of_run(number, wrong=number in (1, 3)))
    assert comparisons.counts == {Verdict.EQUAL: 40, Verdict.MISSING: 2}
    assert [c.run.run_id for c in comparisons] == ["RUN-1", "RUN-3"]


def test_equal_items_are_kept_for_who_asks_for_them() -> None:
    comparisons = Comparisons(with_equal=True)
    comparisons.extend(of_run(1))
    assert len([*comparisons]) == 10


def test_runs_that_are_equal_take_no_memory() -> None:
    comparisons = Comparisons()
    comparisons.extend(of_run(0))
    tracemalloc.start()
    try:
        for number in range(2_000):
            comparisons.extend(of_run(number))
        # Only what is allocated here: other threads, such as the scheduler of Dask, allocate meanwhile.
        snapshot = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, "*comparisons.py")])
    finally:
        tracemalloc.stop()
    kept = sum(trace.size for trace in snapshot.traces)
    assert comparisons.counts[Verdict.EQUAL] == 20_010
    assert kept < 50_000
