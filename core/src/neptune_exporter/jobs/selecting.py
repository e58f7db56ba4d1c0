"""Selects runs of a dataset by the options of a command."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from neptune_exporter.contract import RunSelection, UsageError
from neptune_exporter.dataset import Dataset, StoredRun
from neptune_exporter.dataset.format import files_owner
from neptune_exporter.model import FILE_TYPES, RunKey
from neptune_exporter.suggestions import did_you_mean, some
from neptune_exporter.toolkit.free_memory import few_collections


@few_collections()
def divide_runs(
    dataset: Dataset,
    project_ids: Sequence[str],
    runs: RunSelection,
    *,
    indexed: bool = False,
    not_read: list[str] | None = None,
    not_found: list[str] | None = None,
) -> tuple[list[StoredRun], list[StoredRun]]:
    """The selected runs of the dataset, project by project, and the other runs of the same projects. Looks at
    each run once. `not_found` gets a line for each project, run and pattern that was named and is not in the
    dataset. Raises UsageError if none of the named projects is."""
    of_project: dict[str, list[StoredRun]] = {}
    for run in dataset.runs(indexed=indexed, not_read=not_read):
        of_project.setdefault(run.key.project_id, []).append(run)
    present = sorted(of_project)
    lines = unknown_projects(project_ids, present)
    chosen = dict.fromkeys(project_ids or present)
    selected: list[StoredRun] = []
    left_out: list[StoredRun] = []
    for run in (run for p in chosen for run in of_project.get(p, ())):
        (selected if runs.matches_id(run.key.run_id) else left_out).append(run)
    if not_found is not None:
        not_found += lines + unmatched_runs(runs, (r.key for r in selected), (r.key for r in left_out))
    return selected, left_out


def unknown_projects(asked: Sequence[str], present: Sequence[str]) -> list[str]:
    """A line for each of these projects that the dataset lacks. Raises UsageError if it lacks all of them."""
    unknown = [project for project in asked if project not in present]
    others = f"; it has {', '.join(present) or 'none'}"
    lines = [f"the dataset has no project {name}{did_you_mean(name, present) or others}" for name in unknown]
    if unknown and len(unknown) == len(asked):
        raise UsageError("; ".join(lines))
    return [f"-p: {line}" for line in lines]


def unmatched_runs(asked: RunSelection, taken: Iterable[RunKey], left_out: Iterable[RunKey]) -> list[str]:
    """A line about the ids and patterns that match none of the taken runs. Similar ids are looked for among
    all runs, if only one is missing."""
    ids = {key.run_id for key in taken}
    patterns = [p for p in asked.patterns if not any(re.fullmatch(p, run_id) for run_id in ids)]
    missing = [*patterns, *sorted(asked.ids - ids)]
    if not missing:
        return []
    near = ""
    if len(missing) == 1:
        near = did_you_mean(missing[0], sorted(ids | {key.run_id for key in left_out}))
    return [f"-r: no run of the dataset matches {some(missing)}{near}"]


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
