"""What a dataset holds: from the receipts, or without receipts from one pass over few columns."""

from __future__ import annotations

from collections.abc import Sequence

from neptune_exporter.contract import DatasetError, DatasetSummary, ProjectSummary, RunSummary, StepStatistics
from neptune_exporter.dataset.check.recording import has_no_checksums
from neptune_exporter.dataset.dataset import Dataset
from neptune_exporter.dataset.format.file_names import is_ours
from neptune_exporter.dataset.format.paths import folded, is_safe, sum_of_names
from neptune_exporter.dataset.format.receipts import Receipt
from neptune_exporter.dataset.read.finding import NOT_READ
from neptune_exporter.dataset.read.scan import NULL_ROWS
from neptune_exporter.dataset.read.stored_run import StoredRun
from neptune_exporter.dataset.read.tally import Tally
from neptune_exporter.dataset.write.cleanup import named_files
from neptune_exporter.model import FILE_TYPES

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
        without_checksums += has_no_checksums(dataset, run)
        if run.receipt is not None and run.receipt.files:  # for all runs of the project at once
            dataset.file_storage.look(run.place.project_folder, recursive=True)
        projects.setdefault(run.key.project_id, []).append(summarise_run(run))
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


def summarise_run(run: StoredRun) -> RunSummary:
    """Describe one run."""
    problems = [*run.problems, *run.missing_parts()]
    receipt = run.receipt
    try:
        if receipt is None:
            run.tally  # noqa: B018 - reads the parts, which may fail
    except DatasetError as error:
        problems += [] if str(error) in problems else [str(error)]
    counted = receipt or (None if problems else run.tally)
    problems += run.what_is_cut_short()
    first, last = (counted.first_time, counted.last_time) if counted else (None, None)
    files, file_bytes = (receipt.files, receipt.file_bytes) if receipt else (0, 0)
    types = dict(run.counts()) if counted else {}
    if receipt is None and any(kind in FILE_TYPES for kind in types):
        files, file_bytes, unreadable = _files_on_disk(run)
        problems += unreadable
    if not problems and receipt is not None:
        files, file_bytes, gone = _files_of_receipt(run, receipt)
        problems += gone
    name, tags = _name_and_tags(run)
    return RunSummary(
        name=name,
        tags=tags,
        key=run.key,
        state=_state(run, problems),
        types=types,
        steps=counted.steps if counted else StepStatistics(),
        first_time=first,
        last_time=last,
        data_bytes=run.data_bytes,
        file_bytes=file_bytes,
        files=files,
        exported_at=receipt.exported_at if receipt else None,
        source=receipt.source if receipt else None,
        failures=len(run.failures),
        problems=problems,
        notes=(*run.notes, *_notes(run, counted)),
    )


def _name_and_tags(run: StoredRun) -> tuple[str | None, tuple[str, ...]]:
    """`sys/name` and `sys/tags`, from the receipt or a probe. No part is opened for them."""
    if run.receipt is not None:
        return run.receipt.name, run.receipt.tags
    try:
        facts = run.facts() or []
    except DatasetError:
        return None, ()
    name = next((each.name for each in facts if each.name is not None), None)
    return name, tuple(sorted({tag for each in facts for tag in each.tags}))


def _files_of_receipt(run: StoredRun, receipt: Receipt) -> tuple[int, int, list[str]]:
    """How many files exist, their bytes, and a line about missing ones.

    Parts are opened only if the names in the run's own folder differ from those of the receipt, and only
    after a check of their checksums, because damage could end the process.
    """
    recorded = receipt.files, receipt.file_bytes
    if not receipt.files or receipt.foreign:
        return *recorded, []
    there = run.files_there()
    own = f"{run.place.files_folder.removeprefix(run.place.project_folder + '/')}/"
    ours = [path for path in there if is_ours(path.removeprefix(own))]
    if receipt.file_names == f"{sum_of_names(ours):x}":
        return *recorded, []
    try:
        if changed := run.changed_parts():
            return *recorded, changed
        named = {folded(name): name for name in named_files(run.parts)}
    except DatasetError as error:
        return *recorded, [str(error)]
    sizes = {folded(path): size for path, size in there.items()}
    gone = sorted(name for meant, name in named.items() if meant not in sizes)
    if not gone:
        return *recorded, []
    left = receipt.files - len(gone)
    size = sum(size for meant, size in sizes.items() if meant in named)
    return left, size, [_missing(gone, receipt.files)]


def _missing(gone: Sequence[str], of: int) -> str:
    """A line with the names of some missing files."""
    some = ", ".join(gone[:_NAMED]) + (f" and {len(gone) - _NAMED:,} more" if len(gone) > _NAMED else "")
    those = "is" if len(gone) == 1 else "are"
    return f"{len(gone):,} of its {of:,} files {those} missing: {some}"


def _state(run: StoredRun, problems: list[str]) -> str:
    if run.pending or run.cut_short:
        return "incomplete"
    if problems:
        return "damaged"
    if not run.complete:
        return "incomplete"
    return "partial" if run.failures else "complete"


def _notes(run: StoredRun, counted: Receipt | Tally | None) -> list[str]:
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


def _files_on_disk(run: StoredRun) -> tuple[int, int, list[str]]:
    """How many of the files that rows name exist, their bytes, and what is wrong with the others."""
    try:
        names = sorted({name for name in named_files(run.parts) if is_safe(name)})
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
