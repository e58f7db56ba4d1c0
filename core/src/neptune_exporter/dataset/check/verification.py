"""Checks a dataset against its receipts: its runs, and what should not be there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from neptune_exporter.contract import DatasetError
from neptune_exporter.dataset.check.advice import COPY
from neptune_exporter.dataset.check.findings import Finding, Severity
from neptune_exporter.dataset.check.run_check import RunChecked, RunChecker, named_twice
from neptune_exporter.dataset.dataset import Dataset
from neptune_exporter.dataset.format import checksums, files_owner
from neptune_exporter.dataset.format.layout import OWNER, Place, is_data, is_passed_over
from neptune_exporter.dataset.format.layout import checksums as checksum_file
from neptune_exporter.dataset.format.paths import folded
from neptune_exporter.dataset.read.listing import NOT_READ, project_folders
from neptune_exporter.dataset.read.stored_run import StoredRun
from neptune_exporter.model import RunKey


@dataclass(frozen=True)
class NotChecked:
    """A run whose check did not come to its end."""

    run: RunKey
    error: Exception


CheckRuns: TypeAlias = "Callable[[Iterable[StoredRun]], Iterable[tuple[StoredRun, Callable[[], RunChecked]]]]"
"""Checks runs, in order: each with a function that gives the result or raises why there is none."""


def verify(
    dataset: Dataset,
    wanted: Callable[[RunKey], bool] | None = None,
    check_runs: CheckRuns | None = None,
) -> Iterator[Finding | RunChecked | NotChecked]:
    """Check everything that can be checked without the source. Read-only; files and parts are streamed.

    Args:
        wanted: Which runs; all if not given. Leftovers that belong to no run are always reported.
        check_runs: Checks several runs at once, with a `RunChecker`. Without it they are checked here, one
            after the other.

    Yields the findings of each run, then a `RunChecked`, or a `NotChecked`. At the end findings of no run.
    """
    named: dict[str, set[str]] = {}
    skipped: set[str] = set()
    """Project folders in which some rows were not read, so that it is unknown which files no row names."""
    seen: set[Place] = set()
    not_read: list[str] = []

    def chosen() -> Iterator[StoredRun]:
        for run in dataset.runs(decode=check_runs is None and wanted is None, not_read=not_read):
            project = run.place.project_folder
            if wanted is not None and not wanted(run.key):
                skipped.add(project)
                continue
            if wanted is None and run.receipt is not None and run.receipt.files:
                # the leftovers of the whole folder are looked for at the end
                dataset.file_storage.look(project, recursive=True)
            yield run

    for run, result in (check_runs or _one_by_one(dataset))(chosen()):
        seen.add(run.place)
        project = run.place.project_folder
        known = named.setdefault(project, set())
        try:
            checked = result()
        except Exception as error:  # noqa: BLE001 - one run must not cost the others
            skipped.add(project)
            yield NotChecked(run.key, error)
            continue
        yield from checked.findings
        for meant in known.intersection(checked.named):
            yield named_twice(run.key, *checked.named[meant])
        known.update(checked.named)
        if not checked.all_read:
            skipped.add(project)
        yield checked
    yield from _gone(dataset, seen, wanted)
    yield from _leftovers(dataset)
    for path in not_read:
        yield Finding(Severity.GAP, None, path, NOT_READ)
    for project, names in named.items():
        if project not in skipped:
            yield from _unnamed_files(dataset, project, names)


def _one_by_one(dataset: Dataset) -> CheckRuns:
    checker = RunChecker(dataset)
    return lambda runs: ((run, partial(checker.check, run)) for run in runs)


def _gone(dataset: Dataset, seen: set[Place], wanted: Callable[[RunKey], bool] | None) -> Iterator[Finding]:
    """Report recorded runs of which nothing else is left, and unreadable checksums."""
    for folder in project_folders(dataset.data):
        try:
            recorded = checksums.read(dataset.data, folder)
        except DatasetError as error:
            path = checksum_file(folder)
            message = str(error).removeprefix(dataset.data.describe(path)).strip()
            yield Finding(Severity.DAMAGE, None, path, message)
            continue
        for stem, run in map(checksums.from_json, recorded.values()):
            place = Place(folder, stem)
            key = RunKey(run.project_id, run.run_id, place.kind)
            if place not in seen and (wanted is None or wanted(key)):
                reason = f"is gone: its checksums were recorded on {run.day}"
                yield Finding(Severity.DAMAGE, key, place.files_folder, reason, COPY)


def _leftovers(dataset: Dataset) -> Iterator[Finding]:
    """Report what an interrupted export left, and damage of what says whose the folder of files is."""
    marks = {storage.describe(OWNER): storage for storage in (dataset.data, dataset.file_storage)}
    for path, storage in marks.items():
        if message := files_owner.problem(storage):
            yield Finding(Severity.DAMAGE, None, path, message)
    message = "was not finished: the next export deletes it"
    for _, entry in dataset.leftovers():
        yield Finding(Severity.WARNING, None, entry.path, message)


def _unnamed_files(dataset: Dataset, project: str, named: set[str]) -> Iterator[Finding]:
    known = set(map(folded, named))
    in_one_folder = dataset.data.location.is_same(dataset.file_storage.location)
    for entry in dataset.file_storage.list(project, recursive=True):
        if is_passed_over(entry.name) or (in_one_folder and is_data(entry.path)):
            continue
        if entry.is_file and folded(entry.path.removeprefix(f"{project}/")) not in known:
            yield Finding(Severity.WARNING, None, entry.path, "is a file that no row names")
