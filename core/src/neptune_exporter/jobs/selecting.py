"""Selects runs of a dataset by the options of a command."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from neptune_exporter.contract import RunSelection, UsageError
from neptune_exporter.dataset import Dataset, StoredRun
from neptune_exporter.dataset.format import files_owner
from neptune_exporter.model import FILE_TYPES
from neptune_exporter.suggestions import did_you_mean
from neptune_exporter.toolkit.free_memory import few_collections


@few_collections()
def divide_runs(
    dataset: Dataset,
    project_ids: Sequence[str],
    runs: RunSelection,
    *,
    indexed: bool = False,
    not_read: list[str] | None = None,
) -> tuple[list[StoredRun], list[StoredRun]]:
    """The selected runs of the dataset, project by project, and the other runs of the same projects. Looks at
    each run once. Raises UsageError if a project that was named is not in the dataset."""
    of_project: dict[str, list[StoredRun]] = {}
    for run in dataset.runs(indexed=indexed, not_read=not_read):
        of_project.setdefault(run.key.project_id, []).append(run)
    present = sorted(of_project)
    check_projects(project_ids, present)
    chosen = dict.fromkeys(project_ids or present)
    selected: list[StoredRun] = []
    left_out: list[StoredRun] = []
    for run in (run for p in chosen for run in of_project[p]):
        (selected if runs.matches_id(run.key.run_id) else left_out).append(run)
    return selected, left_out


def check_projects(asked: Sequence[str], present: Sequence[str]) -> None:
    """Raise a UsageError if the dataset lacks one of these projects."""
    if unknown := [project for project in asked if project not in present]:
        near = did_you_mean(unknown[0], present) or f"; it has {', '.join(present) or 'none'}"
        raise UsageError(f"the dataset has no project {', '.join(unknown)}{near}")


def check_files_folder(dataset: Dataset, runs: Iterable[StoredRun]) -> None:
    """Raise a UsageError if runs have files, and there is no folder of files or it has none of the
    dataset. It may read every run: whoever reads them anyway asks `lacks_files`."""
    error = lacks_files(dataset)
    if error is not None and any(map(names_files, runs)):
        raise error


def lacks_files(dataset: Dataset) -> UsageError | None:
    """The error to raise if a run has files: there is no folder of files, or it has none of the dataset."""
    files = dataset.file_storage
    if not files.exists():
        return UsageError(
            f"there is no folder of files at {files.location}, but the runs have files: name it with "
            "--files-path"
        )
    if files_owner.may_hold(dataset.data, files):
        return None
    return UsageError(
        f"{files.location} holds no file of this dataset, but the runs have files: name the folder of "
        "its files with --files-path"
    )


def names_files(run: StoredRun) -> bool:
    """Whether a run can be read and has files."""
    try:
        return run.complete and not FILE_TYPES.isdisjoint(run.counts())
    except Exception:  # noqa: BLE001 - whatever reads the run next reports what is wrong with it
        return False
