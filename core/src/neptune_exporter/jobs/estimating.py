"""What an export would read, estimated from what listing says and from the runs that are there already."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from neptune_exporter.contract import SourceRun
from neptune_exporter.dataset import Dataset
from neptune_exporter.jobs.planning import Action, PlannedRun
from neptune_exporter.model import RunKey

_MOST_RUNS = 1_000
"""Runs of the dataset that an average is taken of."""
_NOTHING_IS_READ = frozenset({Action.UP_TO_DATE, Action.REFUSE})


@dataclass(frozen=True)
class Estimate:
    """What reading the planned runs takes, as if all attributes were read. None: it cannot be said."""

    rows: int | None
    data_bytes: int | None
    """Of parquet, without files."""
    requests: int | None
    """To the server; 0 for a source that reads a disk."""


@dataclass(frozen=True)
class _Average:
    rows: float
    bytes_per_row: float


class Estimator:
    """Sums up the runs of a plan."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._rows = 0
        self._requests = 0
        self._unknown_rows = self._unknown_requests = self._planned = 0

    def add(self, run: SourceRun, planned: PlannedRun) -> None:
        """Count a run, if anything of it would be read."""
        if planned.action in _NOTHING_IS_READ:
            return
        self._planned += 1
        if rows := run.size_hint or self._rows_before(run.key):
            self._rows += rows
        else:
            self._unknown_rows += 1
        if run.requests_hint is None:
            self._unknown_requests += 1
        else:
            self._requests += run.requests_hint

    def _rows_before(self, key: RunKey) -> int:
        """Rows of the run as it is in the dataset."""
        stored = self._dataset.run(key)
        return stored.row_count() if stored is not None and stored.receipt is not None else 0

    @cached_property
    def _average(self) -> _Average | None:
        found = [run for run in islice(self._dataset.runs(), _MOST_RUNS) if run.receipt is not None]
        rows = sum(run.row_count() for run in found)
        return _Average(rows / len(found), sum(run.data_bytes for run in found) / rows) if rows else None

    def result(self) -> Estimate:
        """The sum. Runs of which nothing is known count as an average run of the dataset."""
        if not self._planned:
            return Estimate(0, 0, 0)
        average, rows = self._average, self._rows
        if average is not None:
            rows += round(average.rows * self._unknown_rows)
        known = not self._unknown_rows or average is not None
        return Estimate(
            rows if known else None,
            round(rows * average.bytes_per_row) if average is not None else None,
            None if self._unknown_requests else self._requests,
        )
