"""Summarises what a dataset holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from neptune_exporter.contract import DatasetError, DatasetSummary, ExportedRun, ProjectSummary, RunSelection
from neptune_exporter.dataset import Dataset, summarise
from neptune_exporter.jobs.selecting import lacks_files, unknown_projects, unmatched_runs
from neptune_exporter.location import Location
from neptune_exporter.model import FILE_TYPES, RunKey
from neptune_exporter.toolkit.free_memory import few_collections


@few_collections()
def summarise_dataset(
    data_path: Location,
    files_path: Location,
    project_ids: Sequence[str] = (),
    runs: RunSelection | None = None,
) -> tuple[DatasetSummary, Callable[[RunKey], ExportedRun], list[str]]:
    """What the dataset holds of the selected runs, a way to open single runs, and a line for each project,
    run and pattern that was named and is not in the dataset.

    Raises:
        DatasetError: there is no dataset at that path.
        UsageError: no project that was named is in the dataset, or the runs have files, and the folder of
            files is not there or holds nothing of this dataset.
    """
    dataset = Dataset(data_path, files_path)
    summary = summarise(dataset)
    not_found = unknown_projects(project_ids, [project.project_id for project in summary.projects])
    error = lacks_files(dataset)
    if error is not None and not all(FILE_TYPES.isdisjoint(run.types) for run in summary.runs):
        raise error

    def open_run(key: RunKey) -> ExportedRun:
        run = dataset.run(key)
        if run is None:
            raise DatasetError(f"the dataset has no run {key}")
        return run

    runs = runs or RunSelection()
    taken = replace(summary, projects=_selected(summary, project_ids, runs))
    keys = {run.key for run in taken.runs}
    not_found += unmatched_runs(runs, keys, (run.key for run in summary.runs))
    return taken, open_run, not_found


def _selected(
    summary: DatasetSummary, project_ids: Sequence[str], runs: RunSelection
) -> list[ProjectSummary]:
    """The selected projects with their selected runs; if runs were named, those that have any."""
    projects = [
        replace(project, runs=[r for r in project.runs if runs.matches_id(r.key.run_id)])
        for project in summary.projects
        if not project_ids or project.project_id in project_ids
    ]
    return [project for project in projects if project.runs or runs.is_of_all_ids]
