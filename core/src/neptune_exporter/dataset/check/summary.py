"""What a dataset holds: from the receipts, or without receipts from one pass over few columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from neptune_exporter.contract import DatasetError, DatasetSummary, ProjectSummary, RunSummary, StepStatistics
from neptune_exporter.dataset.check.recording import has_no_checksums, recorded_names
from neptune_exporter.dataset.dataset import Dataset
from neptune_exporter.dataset.format.file_names import is_ours
from neptune_exporter.dataset.format.paths import is_safe, sum_of_names
from neptune_exporter.dataset.format.receipts import Receipt
from neptune_exporter.dataset.read.facts import name_and_tags
from neptune_exporter.dataset.read.listing import NOT_READ
from neptune_exporter.dataset.read.named_files import named_files
from neptune_exporter.dataset.read.scan import NULL_ROWS
from neptune_exporter.dataset.read.stored_run import StoredRun
from neptune_exporter.dataset.read.tally import Tally
from neptune_exporter.model import FILE_TYPE_NAMES

_NAMED = 3
"""At most this many missing files are named."""


def summarise(dataset: Dataset) -> DatasetSummary:
    """Describe everything in a dataset. Damage is part of the description, not an error."""
    projects: dict[str, list[RunSummary]] = {}
    problems: list[str] = []
    if not dataset.data.exists():
        problems.append(f"{dataset.data.location} is not there")
    without_checksums = 0
    not_read: list[str] = []
    for run in dataset.runs(indexed=True, not_read=not_read):
        if run.receipt is not None and run.receipt.files:  # for all runs of the project at once
            dataset.file_storage.look(run.place.project_folder, recursive=True)
        projects.setdefault(run.key.project_id, []).append(summarise_run(dataset, run))
        without_checksums += has_no_checksums(dataset, run)
    return DatasetSummary(
        data_path=str(dataset.data.location),
        files_path=str(dataset.file_storage.location),
        projects=[
            ProjectSummary(project, sorted(runs, key=lambda run: run.key))
            for project, runs in sorted(projects.items())
        ],
        problems=[*problems, *(f"{dataset.data.describe(path)} {NOT_READ}" for path in not_read)],
        not_read=len(not_read),
        without_checksums=without_checksums,
    )


def summarise_run(dataset: Dataset, run: StoredRun) -> RunSummary:
    """Describe one run."""
    receipt = run.receipt
    held = _of_rows(dataset, run) if receipt is None else _of_receipt(run, receipt)
    counted = held.counted
    return RunSummary(
        key=run.key,
        state=_state(run, held.problems),
        types={} if counted is None else run.counts(),
        steps=StepStatistics() if counted is None else counted.steps,
        first_time=None if counted is None else counted.first_time,
        last_time=None if counted is None else counted.last_time,
        data_bytes=run.data_bytes,
        file_bytes=held.file_bytes,
        files=held.files,
        exported_at=receipt.exported_at if receipt else None,
        source=receipt.source if receipt else None,
        failures=len(run.failures),
        name=held.name,
        tags=held.tags,
        problems=held.problems,
        notes=(*run.notes, *_notes(counted)),
    )


@dataclass
class _Held:
    """What is known of a run, and where it was counted."""

    problems: list[str]
    counted: Receipt | Tally | None = None
    files: int = 0
    file_bytes: int = 0
    name: str | None = None
    tags: Sequence[str] = ()


def _of_receipt(run: StoredRun, receipt: Receipt) -> _Held:
    problems = [*run.problems, *run.missing_parts()]
    files, file_bytes = receipt.files, receipt.file_bytes
    if not problems:
        files, file_bytes, problems = _files_of_receipt(run, receipt)
    return _Held(problems, receipt, files, file_bytes, receipt.name, receipt.tags)


def _of_rows(dataset: Dataset, run: StoredRun) -> _Held:
    """Without a receipt."""
    held = _Held(list(run.problems))
    try:
        tally = run.tally
        held.counted = None if held.problems else tally
        held.name, held.tags = name_and_tags(run.kept_facts or ())
    except DatasetError as error:
        held.problems += [] if str(error) in held.problems else [str(error)]
    held.problems += run.what_is_cut_short()
    if held.counted is not None and not FILE_TYPE_NAMES.isdisjoint(tally.attributes):
        held.files, held.file_bytes, unreadable = _files_on_disk(run, recorded_names(dataset, run))
        held.problems += unreadable
    return held


def _files_of_receipt(run: StoredRun, receipt: Receipt) -> tuple[int, int, list[str]]:
    """How many files exist, their bytes, and a line about missing ones.

    Parts are opened only if the names in the run's own folder differ from those of the receipt, and only
    after a check of their checksums, because damage could end the process.
    """
    recorded = receipt.files, receipt.file_bytes
    if not receipt.files:
        return *recorded, []
    own = f"{run.place.files_folder.removeprefix(run.place.project_folder + '/')}/"
    there = (path for path in run.files_there() if receipt.foreign or is_ours(path.removeprefix(own)))
    if receipt.file_names == f"{sum_of_names(there):x}":
        return *recorded, []
    try:
        if changed := run.changed_parts():
            return *recorded, changed
    except DatasetError as error:
        return *recorded, [str(error)]
    files, size, problems = _files_on_disk(run)
    return (files, size, problems) if problems else (*recorded, [])


def _missing(gone: Sequence[str], of: int) -> str:
    """A line with the names of some missing files."""
    some = ", ".join(gone[:_NAMED]) + (f" and {len(gone) - _NAMED:,} more" if len(gone) > _NAMED else "")
    those = "is" if len(gone) == 1 else "are"
    return f"{len(gone):,} of its {of:,} files {those} missing: {some}"


def _state(run: StoredRun, problems: list[str]) -> str:
    if run.listed.is_pending or run.cut_short:
        return "incomplete"
    if problems:  # also of parts that are missing
        return "damaged"
    if not (run.has_receipt or run.listed.part_names):
        return "incomplete"
    return "partial" if run.failures else "complete"


def _notes(counted: Receipt | Tally | None) -> list[str]:
    """Lines about odd rows of another tool's export."""
    if not isinstance(counted, Tally):
        return []
    lines = [
        f"{rows:,} rows of the unknown type {kind} are not read" for kind, rows in counted.unknown().items()
    ]
    if counted.odd_times:
        lines.append(f"times outside of the years 1 to 9999 are left out or moved: {counted.odd_times:,}")
    if counted.null_nans:
        lines.append(
            f"points with a time and no value are read as the NaN that they were: {counted.null_nans:,}"
        )
    if counted.nulls:
        lines.append(f"{NULL_ROWS}: {counted.nulls:,}")
    return lines


def _files_on_disk(run: StoredRun, names: Sequence[str] | None = None) -> tuple[int, int, list[str]]:
    """How many of the files that rows name exist, their bytes, and what is wrong with the others. `names`:
    which those are, if it is known."""
    try:
        names = names or sorted({name for name in named_files(run.parts) if is_safe(name)})
    except DatasetError as error:
        return 0, 0, [str(error)]
    sizes: list[int] = []
    gone: list[str] = []
    errors: list[str] = []
    for name in names:
        try:
            found = run.file_size(name)
        except DatasetError as error:
            errors.append(str(error))
        else:
            sizes += [] if found is None else [found]
            gone += [name] if found is None else []
    more = f", and {len(errors) - 1:,} more" if len(errors) > 1 else ""
    problems = [errors[0] + more] if errors else []
    return len(sizes), sum(sizes), problems + ([_missing(gone, len(names))] if gone else [])
