"""What a dataset holds: from the receipts, and where there are none in one pass over few columns."""

from __future__ import annotations

from neptune_exporter.contract import (
    DatasetError,
    DatasetSummary,
    ProjectSummary,
    RunSummary,
    StepStatistics,
)
from neptune_exporter.dataset.cleanup import named_files
from neptune_exporter.dataset.dataset import Dataset
from neptune_exporter.dataset.paths import is_safe
from neptune_exporter.dataset.run import StoredRun
from neptune_exporter.model import FILE_TYPES


def summarise(dataset: Dataset) -> DatasetSummary:
    """Describe everything in a dataset. Damage is part of the description, not an error."""
    projects: dict[str, list[RunSummary]] = {}
    problems: list[str] = []
    if not dataset.data_path.is_dir():
        problems.append(f"{dataset.data_path} is not there")
    for run in dataset.runs():
        projects.setdefault(run.key.project_id, []).append(summarise_run(run))
    return DatasetSummary(
        data_path=str(dataset.data_path),
        files_path=str(dataset.files_path),
        projects=[
            ProjectSummary(project, sorted(runs, key=lambda run: run.key))
            for project, runs in sorted(projects.items())
        ],
        problems=problems,
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
    if receipt is None and counted is not None and any(t in FILE_TYPES for t in run.counts()):
        files, file_bytes = _files_on_disk(run)
    return RunSummary(
        key=run.key,
        state=_state(run, problems),
        types=dict(run.counts()) if counted else {},
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
        notes=run.notes,
    )


def _state(run: StoredRun, problems: list[str]) -> str:
    if run.pending or run.cut_short:
        return "incomplete"
    if problems:
        return "damaged"
    if not run.complete:
        return "incomplete"
    return "partial" if run.failures else "complete"


def _files_on_disk(run: StoredRun) -> tuple[int, int]:
    """How many files the rows name, and the bytes of those that are there."""
    names = {name for name in named_files(run.parts) if is_safe(name)}
    return len(names), sum(run.file_size(name) or 0 for name in names)
