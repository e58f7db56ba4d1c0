"""Batches of series rows with what every loader needs: the series, step and time of each row."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from neptune_exporter.contract import ExportedRun
from neptune_exporter.model import AttributeType
from neptune_exporter.sinks.losses import CommonLoss, LossBook
from neptune_exporter.sinks.steps import STEP_COLUMNS, Multiplier, StepRange, WholeSteps, validity

_COMMON = ("attribute_path", *STEP_COLUMNS, "timestamp")

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class SeriesRows:
    """Rows of a batch. `series` are indices into `paths`, which are the batch's own."""

    batch: pa.RecordBatch
    paths: list[str]
    series: npt.NDArray[np.int32]
    times: npt.NDArray[np.int64]
    steps: WholeSteps
    early: Bools | None = None
    """Rows whose time was before the earliest, which `times` has in its place. None if there are none."""

    def slice(self, start: int, stop: int) -> SeriesRows:
        """Only some rows, which stand together."""
        if start == 0 and stop == len(self.series):
            return self
        here, steps = slice(start, stop), self.steps
        some = WholeSteps(*(column[here] for column in vars(steps).values()))
        batch = self.batch.slice(start, stop - start)
        early = None if self.early is None else self.early[here]
        return SeriesRows(batch, self.paths, self.series[here], self.times[here], some, early)

    def count(self, where: Bools, code: str, losses: LossBook) -> None:
        """Count rows as lost, by series."""
        if where.any():
            counts = np.bincount(self.series[where], minlength=len(self.paths))
            for path, count in zip(self.paths, counts.tolist(), strict=True):
                losses.add(code, count, path)

    def count_unusable(self, losses: LossBook, among: Bools | None = None) -> None:
        """Count the rows that the target cannot hold, and those whose step or time it holds differently."""
        steps = self.steps
        for where, code in (
            (steps.negative, CommonLoss.NEGATIVE_STEP),
            (steps.beyond, CommonLoss.LARGE_STEP),
            (steps.missing, CommonLoss.NO_STEP),
            (steps.rounded, CommonLoss.FRACTIONAL_STEP),
        ):
            self.count(where if among is None else where & among, code, losses)
        self.count_early(losses, steps.usable if among is None else steps.usable & among)

    def count_early(self, losses: LossBook, among: Bools) -> None:
        """Count the rows that got another time, because the target does not hold theirs."""
        if self.early is not None:
            self.count(self.early & among, CommonLoss.EARLY_TIME, losses)


def series_rows(
    run: ExportedRun,
    types: Collection[AttributeType],
    value_columns: Collection[str],
    multiplier: Multiplier,
    within: StepRange,
    batch_rows: int,
    no_time: int,
    earliest: int | None = None,
) -> Iterator[SeriesRows]:
    """All rows of some types.

    Args:
        value_columns: The columns to read besides path, step and time.
        within: The steps that the target takes.
        no_time: The time, in ms since 1970, of rows that have none.
        earliest: Times before this one, in ms since 1970, become this one, and the rows are `early`.
    """
    columns = (*_COMMON, *value_columns)
    for batch in run.batches(types, columns=columns, batch_rows=batch_rows, encoded=True):
        if batch.num_rows == 0:
            continue
        paths, series = _series(batch.column("attribute_path"))
        times, early = _times(batch.column("timestamp"), no_time), None
        if earliest is not None and times.min() < earliest:
            early, times = times < earliest, np.maximum(times, earliest)
        yield SeriesRows(batch, paths, series, times, multiplier.whole(batch, within), early)


def _series(column: pa.DictionaryArray) -> tuple[list[str], npt.NDArray[np.int32]]:
    """The paths that occur, in order of appearance, and for each row the index of its path."""
    occurring = column.indices.unique()
    numbers = np.empty(len(column.dictionary), np.int32)
    numbers[occurring.to_numpy()] = np.arange(len(occurring), dtype=np.int32)
    return column.dictionary.take(occurring).to_pylist(), numbers[column.indices.to_numpy()]


def _times(column: pa.Array, no_time: int) -> npt.NDArray[np.int64]:
    """ms since 1970."""
    numbers = np.frombuffer(column.buffers()[1], np.int64) if column.buffers()[1] is not None else None
    if numbers is None:
        return np.full(len(column), no_time, np.int64)
    times = numbers[column.offset : column.offset + len(column)]
    if column.null_count:
        times = np.where(validity(column), times, no_time)
    return times


class SeriesNumbers:
    """The series of a run by number, in the order in which they occur."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self._numbers: dict[str, int] = {}

    def of(self, paths: list[str]) -> npt.NDArray[np.int32]:
        """The run's number for each of a batch's paths."""
        for path in paths:
            if path not in self._numbers:
                self._numbers[path] = len(self.paths)
                self.paths.append(path)
        return np.array([self._numbers[path] for path in paths], np.int32)
