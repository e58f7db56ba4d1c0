"""The units of work of a verification: each checks one run of the dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from neptune_exporter.dataset import ListedRun, RunChecked, StoredRun
from neptune_exporter.jobs.executors import JobExecutor, Worker
from neptune_exporter.jobs.opening import OpenChecker
from neptune_exporter.toolkit import look_ahead


@dataclass(frozen=True)
class CheckUnit:
    """A run to check. When pickled, it holds where the run lies, not what has been read of it."""

    checker: OpenChecker
    run: StoredRun | ListedRun
    problems: tuple[str, ...]
    """What a look at the whole dataset has found to be wrong with the run."""

    @classmethod
    def of(cls, run: StoredRun) -> CheckUnit:
        data, files = (location.absolute() for location in run.locations)
        return cls(OpenChecker(data, files), run, run.problems)

    def __reduce__(self) -> tuple[Callable[..., CheckUnit], tuple[object, ...]]:
        run = self.run.listed if isinstance(self.run, StoredRun) else self.run
        return CheckUnit, (self.checker, run, self.problems)


def check_run(unit: CheckUnit, worker: Worker) -> RunChecked:
    """Check one run."""
    checker = worker.kept(unit.checker)
    run = unit.run
    if isinstance(run, ListedRun):
        run = checker.dataset.run_at(run)
        run.problems = unit.problems
    return checker.check(run)


def check_runs(
    executor: JobExecutor, runs: Iterable[StoredRun]
) -> Iterator[tuple[StoredRun, Callable[[], RunChecked]]]:
    """Each run, in order, with a function that waits for the result of its check or raises its error."""
    found = list(runs)  # before the first check: workers in this process must not share the search for runs
    executor.announce()
    results = look_ahead(executor, map(CheckUnit.of, found), check_run, executor.waiting)
    for run, (_, result) in zip(found, results, strict=True):
        yield run, result
