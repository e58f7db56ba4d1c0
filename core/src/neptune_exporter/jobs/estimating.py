"""Estimates what an export would read, from the listing, from a look at some runs, and from the dataset; and
says what a load would send."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from math import ceil

from neptune_exporter.contract import RunSize, Source, SourceError, SourceRun
from neptune_exporter.dataset import Dataset
from neptune_exporter.jobs.planning import Action, PlannedRun
from neptune_exporter.model import AttributeType, RunKey

_MOST_RUNS = 1_000
"""An average is taken over at most this many runs of the dataset."""
_LOOKED_AT = 8
"""At most this many runs of the source are looked at."""
_NOTHING_IS_READ = frozenset({Action.UP_TO_DATE, Action.REFUSE})
_BYTES_OF_A_RUN, _BYTES_OF_A_ROW = 5_000, 8
"""Bytes of Parquet, used while the dataset has no run: measured with 15 to 100,010 rows of random numbers."""


@dataclass(frozen=True)
class Estimate:
    """What reading the planned runs takes if all attributes are read. None: unknown."""

    rows: int | None
    data_bytes: int | None
    """Bytes of Parquet, without files."""
    requests: int | None
    """Requests to the server; 0 for a source that reads a disk."""


@dataclass(frozen=True)
class _Average:
    """For the runs that the dataset has already."""

    rows: float
    bytes_per_row: float


@dataclass(frozen=True)
class PlannedLoad:
    """A run that would be loaded, and how many rows of each type it has."""

    key: RunKey
    rows: Mapping[AttributeType, int]
    file_bytes: int | None = 0
    """Of the files that would be loaded; None if that is not known without reading them all."""
    requests: int | None = None
    """About as many are made to the target, without the comparison at the end; None if that is unknown."""


class Estimator:
    """Sums up the runs of a plan."""

    def __init__(self, dataset: Dataset, source: Source) -> None:
        self._dataset = dataset
        self._source = source
        self._rows = 0
        self._requests = 0
        self._planned = 0
        self._unknown: list[SourceRun] = []
        """Runs for which the listing does not say how much they hold, or how many requests they take."""
        self._unknown_rows = self._unknown_requests = 0

    def add(self, run: SourceRun, planned: PlannedRun) -> None:
        """Count a run if the export would read anything of it."""
        if planned.action in _NOTHING_IS_READ:
            return
        self._planned += 1
        rows = run.size_hint or self._rows_before(run.key)
        self._rows += rows
        self._requests += run.requests_hint or 0
        self._unknown_rows += not rows
        self._unknown_requests += run.requests_hint is None
        if not rows or run.requests_hint is None:
            self._unknown.append(run)

    def _rows_before(self, key: RunKey) -> int:
        """How many rows of the run the dataset holds."""
        stored = self._dataset.run(key)
        return stored.row_count() if stored is not None and stored.receipt is not None else 0

    def _average(self) -> _Average | None:
        found = [run for run in islice(self._dataset.runs(), _MOST_RUNS) if run.receipt is not None]
        rows = sum(run.row_count() for run in found)
        return _Average(rows / len(found), sum(run.data_bytes for run in found) / rows) if rows else None

    def _look(self) -> list[RunSize]:
        """The sizes of a sample of the unknown runs, spread evenly."""
        if not self._unknown:
            return []
        every = ceil(len(self._unknown) / _LOOKED_AT)
        try:
            return list(self._source.sizes(self._unknown[::every]))
        except SourceError:  # the export itself would report this; the plan is useful without an estimate
            return []

    def result(self) -> Estimate:
        """The sum. An unknown run counts as the mean of the sample, or of the runs in the dataset."""
        if not self._planned:
            return Estimate(0, 0, 0)
        average, looked = self._average(), self._look()
        mean_rows = _mean([size.rows for size in looked])
        if mean_rows is None and average is not None:
            mean_rows = average.rows
        rows = _sum(self._rows, self._unknown_rows, mean_rows)
        requests = _sum(self._requests, self._unknown_requests, _mean([size.requests for size in looked]))
        return Estimate(rows, self._bytes(rows, average), requests)

    def _bytes(self, rows: int | None, average: _Average | None) -> int | None:
        if rows is None:
            return None
        if average is not None:
            return round(rows * average.bytes_per_row)
        return self._planned * _BYTES_OF_A_RUN + rows * _BYTES_OF_A_ROW


def _mean(numbers: list[int]) -> float | None:
    return sum(numbers) / len(numbers) if numbers else None


def _sum(known: int, unknown: int, mean: float | None) -> int | None:
    if not unknown:
        return known
    return None if mean is None else known + round(unknown * mean)
