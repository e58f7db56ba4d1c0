"""Summarises what a dataset holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from neptune_exporter.contract import DatasetError, DatasetSummary, ExportedRun, RunSelection
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

    selected = runs or RunSelection()
    projects = [
        replace(project, runs=[r for r in project.runs if selected.matches_id(r.key.run_id)])
        for project in summary.projects
        if not project_ids or project.project_id in project_ids
    ]
    if not selected.is_of_all_ids:
        projects = [project for project in projects if project.runs]
    taken = {run.key for project in projects for run in project.runs}
    not_found += unmatched_runs(selected, taken, (run.key for run in summary.runs))
    return replace(summary, projects=projects), open_run, not_found
