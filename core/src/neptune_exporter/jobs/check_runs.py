"""The units of work of a verification: each checks one run of the dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from neptune_exporter.dataset import RunChecked, StoredRun
from neptune_exporter.jobs.executors import JobExecutor, Worker
from neptune_exporter.jobs.opening import OpenChecker
from neptune_exporter.jobs.run_unit import RunUnit
from neptune_exporter.toolkit import look_ahead


@dataclass(frozen=True)
class CheckUnit(RunUnit):
    """A run to check."""

    checker: OpenChecker

    @classmethod
    def of(cls, run: StoredRun) -> CheckUnit:
        return cls(run, OpenChecker(*(location.absolute() for location in run.locations)))


def check_run(unit: CheckUnit, worker: Worker) -> RunChecked:
    """Check one run."""
    return worker.kept(unit.checker).check(unit.opened())


def check_runs(
    executor: JobExecutor, runs: Iterable[StoredRun]
) -> Iterator[tuple[StoredRun, Callable[[], RunChecked]]]:
    """Each run, in order, with a function that waits for the result of its check or raises its error."""
    found = list(runs)  # before the first check: workers in this process must not share the search for runs
    executor.announce()
    results = look_ahead(executor, map(CheckUnit.of, found), check_run, executor.waiting)
    for run, (_, result) in zip(found, results, strict=True):
        yield run, result
