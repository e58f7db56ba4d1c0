"""Exports from a source into the dataset, group by group; can be resumed wherever it was stopped."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from neptune_exporter.contract import (
    AttributeFailure,
    AttributeSelection,
    RunSelection,
    Source,
    SourceRun,
    SourceSpec,
    UsageError,
)
from neptune_exporter.dataset import Dataset, Recovery
from neptune_exporter.jobs.estimating import estimated
from neptune_exporter.jobs.executors import Choice, JobExecutor, LostWorkerError, opened
from neptune_exporter.jobs.export_group import ExportUnit, GroupResult, run_unit
from neptune_exporter.jobs.export_result import ExportResult, ProjectResult
from neptune_exporter.jobs.not_found import SeenPaths, unknown_project, unmatched_runs
from neptune_exporter.jobs.opening import OpenSource, shared, with_whole_paths
from neptune_exporter.jobs.planning import Action, RunPlan, plan_run
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.jobs.same_logs import exported_as_others
from neptune_exporter.location import Location
from neptune_exporter.model import RunKey, workspace_and_project
from neptune_exporter.suggestions import did_you_mean, some
from neptune_exporter.toolkit.free_memory import short_collections
from neptune_exporter.toolkit.look_ahead import first_done

_log = logging.getLogger(__name__)
_THREADS = 4
"""Groups that are read at once, if the user does not say."""


@dataclass(frozen=True)
class ExportOptions:
    """The options of an export."""

    project_ids: tuple[str, ...]
    """Empty: every project that the source finds and the patterns match."""
    data_path: Location
    files_path: Location
    runs: RunSelection = RunSelection()
    attributes: AttributeSelection = AttributeSelection()
    force: bool = False
    executor: str | None = None
    """`threads`, `processes`, `dask`, `dask://HOST:PORT` or `ray`; None: chosen automatically."""
    workers: int | None = None
    """How many groups of runs at once; None: chosen automatically."""
    dry_run: bool = False
    workspace: str | None = None
    project_pattern: str | None = None
    project_exclude_pattern: str | None = None

    @property
    def names_projects(self) -> bool:
        """Whether a person named the projects, so that none are discovered."""
        return bool(self.project_ids) and self.workspace is None


def export_runs(
    spec: SourceSpec, settings: object, options: ExportOptions, progress: Progress
) -> ExportResult:
    """Carry out an export, or plan it if `options.dry_run`.

    Raises:
        AuthenticationError: the credentials were refused; finished runs stay exported.
        DatasetError: the dataset is locked or cannot be written.
        UsageError: no project was named or found, or the source refused the query.
        KeyboardInterrupt: the user interrupted; unfinished runs are not published.
    """
    with contextlib.closing(spec.factory(settings)) as source, short_collections():
        projects = find_projects(source, options)
        dataset = Dataset(options.data_path, options.files_path)
        result = ExportResult()
        if options.dry_run:
            _plan(source, dataset, projects, options, result)
            return result
        opening = OpenSource(spec.name, with_whole_paths(settings))
        choice = Choice(options.executor, options.workers)
        if options.executor is None:
            choice = replace(choice, why="an export mostly waits for its source")
        executor = opened(choice, progress, threads=_THREADS, most=spec.capabilities.max_workers)
        by_path = not options.attributes.is_of_all_paths
        seen = SeenPaths(options.attributes) if by_path else None
        result.projects = [ProjectResult(project_id) for project_id in projects]
        jobs = [
            _Project(opening, source, executor, dataset, project, options, progress, result, seen)
            for project in result.projects
        ]
        listed: set[str] = set()
        is_new = not dataset.data.exists()
        if not is_new or _find_runs(jobs):
            with dataset.lock(), shared(options.data_path, options.files_path, dataset), executor:
                executor.keep(opening, source)
                result.recovered = dataset.recover()
                _tell_recovered(result.recovered, progress)
                for number, job in enumerate(jobs):
                    listed |= job.export(_stage(jobs, number))
                if not executor.is_local:
                    dataset.forget_writing()
                dataset.index_receipts()
                if is_new and not result.failed:
                    dataset.withdraw_if_empty()
        else:
            executor.close()
        result.note_unknown(options.runs, listed)
        _note_not_found(source, options, result)
        if seen is not None:
            _note_unseen(seen, result)
        return result


def _find_runs(jobs: Sequence[_Project]) -> bool:
    """List projects until one has runs: what is refused, and what exports nothing, makes no folders."""
    try:
        for number, job in enumerate(jobs):
            job.list_runs(_stage(jobs, number))
            if job.runs:
                return True
    finally:
        jobs[0].progress.finish()
    return False


def _stage(jobs: Sequence[_Project], number: int) -> str:
    project_id = jobs[number].project.project_id
    return f"export {project_id}" + (f" ({number + 1} of {len(jobs)})" * (len(jobs) > 1))


def _tell_recovered(recovered: Recovery, progress: Progress) -> None:
    for key in recovered.finished:
        progress.message(f"{key}: finished publishing what an interrupted export had read")
    if recovered.busy:
        progress.message(
            f"workers of an export that has ended are still writing {recovered.busy} of the runs: "
            "what they leave is put in order by the next export"
        )
    for path in recovered.deleted:
        progress.message(f"{path}: deleted, an interrupted export had not finished it")


def _plan(
    source: Source, dataset: Dataset, projects: Sequence[str], options: ExportOptions, result: ExportResult
) -> None:
    """Plan the export without carrying it out."""
    dataset.check_files_folder()
    read: list[SourceRun] = []
    with dataset.listed_once():
        for project_id in projects:
            _plan_project(source, dataset, project_id, options, read, result)
        result.estimate = estimated(dataset, source, read)
    result.note_unknown(options.runs, {planned.key.run_id for planned in result.planned})
    _note_not_found(source, options, result)


def _note_not_found(source: Source, options: ExportOptions, result: ExportResult) -> None:
    """Note projects and runs that were named and do not exist."""
    if options.names_projects:
        for project in result.projects:  # an empty project and one that does not exist can look the same
            if not (project.listed or project.unknown):
                _note_if_unknown(source, project, result)
    if any(p.listed for p in result.projects):
        return
    if not result.not_found and not any(p.error for p in result.projects):
        result.not_found = unmatched_runs(source, [p.project_id for p in result.projects], options.runs)
    result.nothing_found = bool(result.not_found) and not result.failed


def _note_unseen(seen: SeenPaths, result: ExportResult) -> None:
    """Note attributes that were named and that no run has."""
    if not result.failed and any(p.listed for p in result.projects):
        unmatched = seen.messages()
        result.nothing_found = bool(unmatched) and not seen.matched
        result.not_found += unmatched


def _note_if_unknown(source: Source, project: ProjectResult, result: ExportResult) -> None:
    if line := unknown_project(source, project.project_id, project.why_unknown):
        project.unknown = True
        project.error = project.failed_at = None
        result.not_found.append(line)


def find_projects(source: Source, options: ExportOptions) -> list[str]:
    """The projects to export: the named ones, or the discovered ones that the patterns match. Raises
    UsageError if no project is left."""
    if options.names_projects:
        return list(dict.fromkeys(options.project_ids))
    found = source.projects()
    taken = [p for p in found if _takes_project(p, options)]
    if not taken:
        raise UsageError(f"no project to export: {_none_matches(found, options)}")
    return taken


def _none_matches(found: Sequence[str], options: ExportOptions) -> str:
    """Why none of the discovered projects is taken."""
    workspaces = sorted({workspace_and_project(project)[0] for project in found})
    if options.workspace is not None and options.workspace not in workspaces:
        near = did_you_mean(options.workspace, workspaces) or f"; there is {some(workspaces) or 'none'}"
        return f"--workspace: there is no workspace {options.workspace}{near}"
    return f"there is {some(found) or 'none'}, and the other options take none of them"


def _takes_project(project_id: str, options: ExportOptions) -> bool:
    if options.project_ids and project_id not in options.project_ids:
        return False
    workspace, name = workspace_and_project(project_id)
    if options.workspace is not None and workspace != options.workspace:
        return False
    exclude = options.project_exclude_pattern
    if exclude is not None and re.search(exclude, name):
        return False
    return options.project_pattern is None or re.search(options.project_pattern, name) is not None


def _plan_project(
    source: Source,
    dataset: Dataset,
    project_id: str,
    options: ExportOptions,
    read: list[SourceRun],
    result: ExportResult,
) -> None:
    project = ProjectResult(project_id)
    result.projects.append(project)
    try:
        for run in source.runs(project_id, options.runs):
            plan = plan_run(dataset, run, options.attributes, source.version, force=options.force)
            project.listed += 1
            project.up_to_date += plan.planned.action is Action.UP_TO_DATE
            result.planned.append(plan.planned)
            if plan.planned.action not in (Action.UP_TO_DATE, Action.REFUSE):
                read.append(run)
            if plan.refusal is not None:
                result.refuse(project, plan.refusal)
    except Exception as error:  # noqa: BLE001 - judged there
        project.fail(error, options.runs)


@dataclass
class _Project:
    """Exports one project: lists its runs, plans them, and keeps a bounded number of groups under way."""

    opening: OpenSource
    source: Source
    executor: JobExecutor
    dataset: Dataset
    project: ProjectResult
    options: ExportOptions
    progress: Progress
    result: ExportResult
    seen: SeenPaths | None
    """Set if attributes were requested by path."""
    up_to_date: list[RunKey] = field(default_factory=list)
    runs: list[SourceRun] | None = None
    """What `list_runs` has found; None before, and after `export`."""

    def export(self, stage: str) -> set[str]:
        """Returns the ids of the runs that were listed."""
        if self.runs is None:
            self.list_runs(stage)
        runs, self.runs = self.runs or [], None
        try:
            if runs and self.seen is None:  # else when something matches, for an error may end it
                self.executor.announce()
            for line in exported_as_others(self.dataset, runs):
                self.progress.message(line)
            self.progress.start(stage, len(runs))
            self._run_units(runs)
        except Exception as error:  # noqa: BLE001 - judged there
            self._failed(error)
        finally:
            self.progress.finish()
        if self.seen is not None and not self.result.failed:
            self.seen.look_into(self.dataset, self.up_to_date)
        return {run.key.run_id for run in runs}

    def list_runs(self, stage: str) -> None:
        """List all runs before reading any: their number shows how long the export will take, and no run is
        missed because others are deleted meanwhile. If listing fails, the runs listed so far count."""
        self.progress.start(stage)
        self.runs = []
        try:
            self.runs.extend(self.source.runs(self.project.project_id, self.options.runs))
        except Exception as error:  # noqa: BLE001 - judged there
            self._failed(error, exists=bool(self.runs))

    def _failed(self, error: Exception, *, exists: bool = False) -> None:
        """`exists`: runs of the project were listed, before the error."""
        message = self.project.fail(error, self.options.runs)
        if self.options.names_projects and not (exists or self.project.listed):
            _note_if_unknown(self.source, self.project, self.result)
        if not self.project.unknown:
            _log.info("%s: %s", self.project.project_id, message)

    def _run_units(self, runs: Sequence[SourceRun]) -> None:
        running: dict[Future[GroupResult], ExportUnit] = {}
        try:
            for unit in self._units(runs):
                running[self.executor.submit(run_unit, unit)] = unit
                if len(running) >= self.executor.waiting:
                    self._collect(running)
        except Exception:  # groups under way still finish and count; not after Ctrl-C, which must end quickly
            self._collect_all(running)
            raise
        self._collect_all(running)

    def _units(self, runs: Iterable[SourceRun]) -> Iterator[ExportUnit]:
        plans: dict[str, RunPlan] = {}

        def requests() -> Iterator[RunPlan]:
            for run in runs:
                options, version = self.options, self.source.version
                plan = plan_run(self.dataset, run, options.attributes, version, force=options.force)
                self.project.listed += 1
                self.result.partial |= run.partial
                self.result.missing.extend(plan.missing)
                if plan.refusal is not None:
                    self.result.refuse(self.project, plan.refusal)
                    self.progress.advance(runs=1)
                    continue
                if plan.planned.action is Action.UP_TO_DATE:
                    self.project.up_to_date += 1
                    self.up_to_date.append(run.key)
                    _log.info("%s: up to date", run.key)
                    self.progress.advance(runs=1)
                    continue
                plans[str(run.key)] = plan
                yield plan

        for group in self.source.groups(plan.request for plan in requests()):
            yield ExportUnit(
                self.opening,
                tuple(plans.pop(str(request.run.key)) for request in group),
                self.options.data_path,
                self.options.files_path,
            )

    def _collect_all(self, running: dict[Future[GroupResult], ExportUnit]) -> None:
        while running:
            self._collect(running)

    def _collect(self, running: dict[Future[GroupResult], ExportUnit]) -> None:
        for future in first_done(running):
            unit = running.pop(future)
            try:
                group = future.result()
            except LostWorkerError as error:
                group = _lost(unit, error)
            if group.published:
                self.executor.announce()
            self.project.exported += group.published
            self.project.failed_runs += group.unpublished
            self.project.empty += group.empty
            if self.seen is not None and group.seen is not None:
                self.seen.add(group.seen)
            self.result.count(group)


def _lost(unit: ExportUnit, error: LostWorkerError) -> GroupResult:
    """The result of a unit whose worker ended. The next export finds what the worker has published up to
    date."""
    keys = [plan.planned.key for plan in unit.plans]
    failures = [AttributeFailure(key, "", None, f"{error}: export again to read it") for key in keys]
    return GroupResult(unpublished=len(keys), failures=failures)


def list_projects(spec: SourceSpec, settings: object, options: ExportOptions) -> list[str]:
    """Discover projects, so that a person can look at them before an export. Raises UsageError if the source
    cannot discover, or nothing was found."""
    if not spec.capabilities.discovers_projects:
        raise UsageError(f"the exporter {spec.name} cannot discover projects")
    with contextlib.closing(spec.factory(settings)) as source:
        return find_projects(source, options)
