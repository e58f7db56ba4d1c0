"""Verifies the dataset against its receipts, or a target against the dataset."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from neptune_exporter.contract import SinkSpec, UsageError
from neptune_exporter.dataset import (
    CheckRuns,
    Dataset,
    Finding,
    NotChecked,
    RunChecked,
    RunRecorded,
    record,
    verify,
)
from neptune_exporter.jobs.check_runs import check_runs
from neptune_exporter.jobs.comparing import Comparisons, compare_runs
from neptune_exporter.jobs.executors import Choice, opened
from neptune_exporter.jobs.failing import why_failed
from neptune_exporter.jobs.load import LoadJobOptions
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.jobs.selecting import (
    check_files_folder,
    divide_runs,
    lacks_files,
    names_files,
    unknown_projects,
    unmatched_runs,
)
from neptune_exporter.jobs.spreading import THREADS, spread
from neptune_exporter.model import AttributeClass, RunKey
from neptune_exporter.toolkit.free_memory import few_collections


@dataclass
class VerifyResult:
    """The result of a verification."""

    findings: list[Finding] = field(default_factory=list)
    """Everything in the dataset that is damaged, missing, unexpected or was not exported."""
    comparisons: Comparisons = field(default_factory=Comparisons)
    """The comparison of a target with the dataset."""
    failed: list[tuple[RunKey, str]] = field(default_factory=list)
    """Runs that could not be compared, or checked, and why."""
    runs_checked: int = 0
    bytes_checked: int = 0
    without_checksums: int = 0
    """Runs in which changed bytes may go unnoticed: another tool exported them or some of their files, and
    no checksums were recorded."""
    accepted: list[Finding] = field(default_factory=list)
    """Known damage that a person has accepted: it does not count."""
    not_found: list[str] = field(default_factory=list)
    """A line for each project, run and pattern that a person named and that the dataset does not have."""
    outdated: int = 0
    """Accepted entries that match no finding any more."""
    recorded: list[RunRecorded] = field(default_factory=list)
    """Runs whose checksums were recorded now."""

    @property
    def problems(self) -> int:
        """The number of problems."""
        return sum(f.is_damage for f in self.findings) + len(self.comparisons.mismatches) + len(self.failed)

    @property
    def gaps(self) -> int:
        """How many attributes an export could not read, wholly or in its latest state."""
        return sum(f.is_gap and f.run is not None for f in self.findings)

    @property
    def not_read(self) -> int:
        """How many files may hold rows but are not read."""
        return sum(f.is_gap and f.run is None for f in self.findings)

    @property
    def whole(self) -> bool:
        """Whether everything that could be checked is as it should be."""
        return not self.problems


@few_collections()
def verify_dataset(options: LoadJobOptions, progress: Progress, *, recording: bool = False) -> VerifyResult:
    """Check receipts, checksums and files of a dataset.

    Args:
        options: Which dataset, projects and runs. Without an executor and workers, this process checks one
            run after the other.
        recording: Finish interrupted publications first, and record checksums of runs that have none. Without
            it nothing is written.

    Raises:
        DatasetError: checksums cannot be written to the dataset.
        UsageError: a project that was named is not in the dataset, its files are not where they were said
            to be, or the executor is not available.
    """
    dataset = Dataset(options.data_path, options.files_path)
    result = VerifyResult()
    progress.start("verify the dataset")
    try:
        if options.project_ids:
            result.not_found = unknown_projects(options.project_ids, dataset.projects())
        without_files = lacks_files(dataset)
        if without_files is not None and _names_files(dataset, options, unrecorded=recording):
            raise without_files
        if recording:
            with dataset.lock():
                dataset.recover()
        with _checking(options, progress) as several:
            checked: list[RunKey] = []
            for item in verify(dataset, None if options.is_of_all_runs else options.takes, several):
                checked += [] if isinstance(item, Finding) else [item.run]
                if without_files is not None and isinstance(item, RunChecked) and item.named:
                    raise without_files
                _take(item, result, progress)
        result.not_found += unmatched_runs(options.runs, checked, dataset.likely_keys())
        if recording and result.without_checksums:
            _record(dataset, options, result, progress)
    finally:
        progress.finish()
    return result


def _names_files(dataset: Dataset, options: LoadJobOptions, *, unrecorded: bool) -> bool:
    """Whether a wanted run has files: of the runs with a receipt, and of all if `unrecorded`.

    Recording marks the folder of files as the dataset's, so it asks all runs before.
    """
    runs = dataset.runs(indexed=True, foreign=unrecorded)
    return any(names_files(run) for run in runs if options.takes(run.key))


def _record(dataset: Dataset, options: LoadJobOptions, result: VerifyResult, progress: Progress) -> None:
    """Record the checksums of runs that have none."""
    progress.start("record checksums", result.without_checksums)
    with dataset.lock():
        for recorded in record(dataset, options.takes):
            result.recorded.append(recorded)
            progress.advance(runs=1, bytes=recorded.bytes)
    result.without_checksums -= len(result.recorded)


@contextlib.contextmanager
def _checking(options: LoadJobOptions, progress: Progress) -> Iterator[CheckRuns | None]:
    """How several runs are checked at once, if that was asked for."""
    if options.executor is None and options.workers is None:
        yield None
        return
    with opened(Choice(options.executor, options.workers), progress, threads=THREADS) as where:
        yield partial(check_runs, where)


def _take(item: Finding | RunChecked | NotChecked, result: VerifyResult, progress: Progress) -> None:
    if isinstance(item, Finding):
        result.findings.append(item)
        return
    result.runs_checked += 1
    if isinstance(item, NotChecked):
        result.failed.append((item.run, why_failed(item.run, item.error)))
        progress.advance(runs=1)
        return
    result.bytes_checked += item.bytes
    result.without_checksums += not item.has_checksums
    progress.advance(runs=1, bytes=item.bytes)


def verify_sink(
    spec: SinkSpec,
    settings: object,
    options: LoadJobOptions,
    *,
    full: bool,
    progress: Progress,
    with_equal: bool = False,
) -> VerifyResult:
    """Compare what a target holds with the dataset; with `full` every value, not only counts. The result has
    every difference, and `with_equal` also every equal item. Raises AuthenticationError, and
    UsageError if the sink cannot read back, or a project is not in the dataset."""
    if not spec.capabilities.verifies:
        raise UsageError(f"the loader {spec.name} cannot read back what it loaded")
    result = VerifyResult(comparisons=Comparisons(with_equal))
    dataset = Dataset(options.data_path, options.files_path)
    runs, _ = divide_runs(dataset, options.project_ids, options.runs, not_found=result.not_found)
    if AttributeClass.FILES in options.classes:  # else each file that was loaded would count as a difference
        check_files_folder(dataset, runs)
    with spread(spec, settings, options, progress, runs=len(runs)) as where:
        progress.start("compare with the target", len(runs))
        result.failed = compare_runs(where, runs, options.classes, result.comparisons, progress, full=full)
    result.runs_checked = len(runs)
    return result
