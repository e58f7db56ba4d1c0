"""Loads runs of the dataset into a sink, parents first, and reports every loss."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from graphlib import TopologicalSorter

from neptune_exporter.contract import (
    AuthenticationError,
    ExportedRun,
    LoadedRun,
    LoadOptions,
    Loss,
    RunSelection,
    SinkSpec,
)
from neptune_exporter.dataset import NOT_READ, Dataset, StoredRun, advice_on_failure, has_no_checksums
from neptune_exporter.jobs import load_run as units
from neptune_exporter.jobs.comparing import Comparisons, compare_runs
from neptune_exporter.jobs.estimating import PlannedLoad
from neptune_exporter.jobs.executors import joined
from neptune_exporter.jobs.failing import why_failed
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.jobs.selected_run import left_out as parts_left_out
from neptune_exporter.jobs.selected_run import selected
from neptune_exporter.jobs.selecting import check_files_folder, divide_runs
from neptune_exporter.jobs.spreading import Spread, spread
from neptune_exporter.location import Location
from neptune_exporter.model import ALL_CLASSES, FILE_TYPES, AttributeClass, RunKey, RunKind
from neptune_exporter.toolkit.look_ahead import first_done

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadJobOptions:
    """The options of a load."""

    data_path: Location
    files_path: Location
    project_ids: tuple[str, ...] = ()
    """Empty: all projects of the dataset."""
    runs: RunSelection = RunSelection()
    classes: frozenset[AttributeClass] = ALL_CLASSES
    """Other classes are not loaded, except what Neptune says about the run itself (`sys/…`)."""
    load: LoadOptions = LoadOptions()
    executor: str | None = "threads"
    """`threads`, `processes`, `dask`, `dask://HOST:PORT` or `ray`; None: chosen automatically."""
    workers: int | None = None
    """How many runs at once; None: chosen automatically."""
    dry_run: bool = False
    verify: bool = True
    """Compare counts at the end, if the sink can read back."""

    @property
    def is_of_all_runs(self) -> bool:
        """Whether the user named neither projects nor runs."""
        return not self.project_ids and self.runs.is_of_all_ids

    def takes(self, key: RunKey) -> bool:
        """Whether the user wants this run."""
        is_in_project = not self.project_ids or key.project_id in self.project_ids
        return is_in_project and self.runs.matches_id(key.run_id)


@dataclass
class LoadResult:
    """The result of a load."""

    loaded: list[tuple[RunKey, LoadedRun]] = field(default_factory=list)
    already_loaded: list[tuple[RunKey, LoadedRun]] = field(default_factory=list)
    failed: list[tuple[RunKey, str]] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    comparisons: Comparisons = field(default_factory=Comparisons)
    closing_report: Mapping[str, str | int] = field(default_factory=dict)
    planned: list[PlannedLoad] = field(default_factory=list)
    unexported: Counter[str] = field(default_factory=Counter)
    """Attributes that the export could not read, counted by what the dataset has of them and what can be
    done."""
    without_checksums: int = 0
    """Runs in which changed bytes may go unnoticed: another tool exported them or some of their files, and
    no checksums were recorded."""
    not_read: list[str] = field(default_factory=list)
    """Files of the dataset that may hold rows and are not read, and why. Only filled if all runs were
    selected."""
    not_found: list[str] = field(default_factory=list)
    """A line for each project, run and pattern that a person named and that the dataset does not have."""

    @property
    def counts(self) -> dict[str, int]:
        """What was sent, summed over the runs that this load loaded."""
        total = Counter[str]()
        for _, run in self.loaded:
            total.update(run.counts)
        return dict(total)

    @property
    def complete(self) -> bool:
        """Whether nothing is missing that the user did not ask to drop."""
        missing = self.failed or self.not_found or self.not_read or self.unexported.total()
        return not missing and all(loss.requested for loss in self.losses)


def load_runs(spec: SinkSpec, settings: object, options: LoadJobOptions, progress: Progress) -> LoadResult:
    """Carry out a load, or plan it if `options.dry_run`.

    Raises:
        AuthenticationError: the credentials were refused.
        UsageError: a project that was named is not in the dataset, the folder of files is not there or
            holds nothing of this dataset, or this loader does not load in several processes.
        KeyboardInterrupt: the next load goes on with what is not finished.
    """
    result = LoadResult()
    runs, left_out = _chosen_runs(options, result)
    if options.dry_run:
        for run in runs:
            _plan(run, options.classes, result, spec.requests and partial(spec.requests, settings))
        return result
    with spread(spec, settings, options, progress, runs=len(runs)) as where:
        others = _by_project(left_out)
        reports: dict[str, units.Report] = {}
        for project_id, project_runs in _by_project(runs).items():
            job = _Load(spec, where, options, progress, result, reports)
            job.load(project_id, project_runs, others.get(project_id, []))
        if options.verify and spec.capabilities.verifies:
            loaded = dict(result.loaded)
            arrived = [run for run in runs if run.key in loaded]
            progress.start("check what arrived", len(arrived))
            unread = compare_runs(
                where, arrived, options.classes, result.comparisons, progress, loaded=loaded
            )
            result.failed += [(key, f"loaded, but could not be checked: {why}") for key, why in unread]
        result.closing_report = where.sink.closing_report()
        for report in reports.values():
            result.closing_report = joined(result.closing_report, report.lines)
    return result


def _chosen_runs(options: LoadJobOptions, result: LoadResult) -> tuple[list[StoredRun], list[StoredRun]]:
    """The runs to load, and the others of the same projects; notes in the result what is known of them."""
    dataset = Dataset(options.data_path, options.files_path)
    not_read: list[str] = []
    runs, left_out = divide_runs(
        dataset,
        options.project_ids,
        options.runs,
        indexed=options.dry_run,
        not_read=not_read,
        not_found=result.not_found,
    )
    if options.is_of_all_runs:
        result.not_read = [f"{dataset.data.describe(path)} {NOT_READ}" for path in not_read]
    # Runs that were loaded without their files would count as loaded.
    if AttributeClass.FILES in options.classes:
        check_files_folder(dataset, runs)
    result.without_checksums = sum(has_no_checksums(dataset, run) for run in runs)
    return runs, left_out


def _plan(
    run: StoredRun,
    classes: frozenset[AttributeClass],
    result: LoadResult,
    requests: Callable[[ExportedRun], int | None] | None,
) -> None:
    try:
        units.check_complete(run)
        view = selected(run, classes)
        rows = {t: count.rows for t, count in view.counts().items()}
        file_bytes = 0 if FILE_TYPES.isdisjoint(rows) else run.receipt.file_bytes if run.receipt else None
        planned = PlannedLoad(run.key, rows, file_bytes, requests and requests(view))
        losses = [*units.unreadable(run), *parts_left_out(run, classes)]
    except Exception as error:  # noqa: BLE001 - one run must not cost the others
        result.failed.append((run.key, why_failed(run.key, error)))
    else:
        result.planned.append(planned)
        result.losses.extend(losses)
        result.unexported.update(advice_on_failure(run, failure) for failure in run.failures)
    run.forget()


def _by_project(runs: list[StoredRun]) -> dict[str, list[StoredRun]]:
    projects: dict[str, list[StoredRun]] = {}
    for run in runs:
        projects.setdefault(run.key.project_id, []).append(run)
    return projects


@dataclass
class _Load:
    """Loads one project: submits a run as soon as its parent has been loaded."""

    spec: SinkSpec
    where: Spread
    options: LoadJobOptions
    progress: Progress
    result: LoadResult
    reports: dict[str, units.Report]
    """The latest report of each process that has a sink of its own."""
    found: Mapping[RunKey, object] = field(default_factory=dict)
    outcome: dict[RunKey, LoadedRun | None] = field(default_factory=dict)

    def load(self, project_id: str, runs: list[StoredRun], left_out: list[StoredRun]) -> None:
        self.progress.start(f"load {project_id}", len(runs))
        try:
            ready = [run for run in runs if self._is_loadable(run)]
            good = {run.key for run in ready}
            # Otherwise their forks would be loaded without a parent, permanently.
            self.outcome = {key: None for key, _ in self.result.failed if key not in good}
            _forget((*runs, *left_out))  # each is read when its turn comes
            if ready:
                views = [selected(run, self.options.classes) for run in (*ready, *left_out)]
                self.found = self.where.sink.prepare(project_id, views)
                _forget((*ready, *left_out))  # `prepare` may have read them
                self._load_all(ready)
        except AuthenticationError:
            raise
        except Exception as error:  # noqa: BLE001 - one project must not cost the others
            self._fail_others(runs, error)
        finally:
            self.progress.finish()

    def _fail_others(self, runs: list[StoredRun], error: Exception) -> None:
        """Note as failed all runs whose outcome is not known yet."""
        done = self.outcome.keys() | {key for key, _ in self.result.failed}
        left = [run.key for run in runs if run.key not in done]
        self.result.failed.extend((key, why_failed(key, error)) for key in left)

    def _is_loadable(self, run: StoredRun) -> bool:
        """Whether the run can be loaded. Already reads what the order of loading needs."""
        try:
            units.check_complete(run)
            run.parent()
            return self._has_place(run)
        except Exception as error:  # noqa: BLE001 - one run must not cost the others
            self.result.failed.append((run.key, why_failed(run.key, error)))
            return False

    def _has_place(self, run: StoredRun) -> bool:
        if run.key.kind is not RunKind.RUN and not self.spec.capabilities.models:
            count = sum(c.rows for c in run.counts().values())
            message = "the target has no place for model registry objects; they stay in the dataset"
            self.result.losses.append(Loss(run.key, "model-object", message, count))
            return False
        self.result.unexported.update(advice_on_failure(run, failure) for failure in run.failures)
        return True

    def _load_all(self, runs: list[StoredRun]) -> None:
        """Load runs, each after its parent if that is loaded too."""
        by_key = {run.key: run for run in runs}
        known = by_key.keys() | self.outcome.keys()
        parents = {run.key: parent for run in runs if (parent := run.parent()) in known}
        order = _opened(by_key, parents)
        ready: deque[RunKey] = deque()
        running: dict[Future[units.Loaded], StoredRun] = {}
        while order.is_active():
            ready.extend(order.get_ready())
            while ready and len(running) < self.where.executor.at_once:
                key = ready.popleft()
                if key in self.outcome or self._lacks_parent(key, parents.get(key)):
                    order.done(key)
                    continue
                parent_run = self.outcome[parents[key]] if key in parents else None
                unit = units.LoadUnit(
                    by_key[key], self.where.opening, self.options.classes, parent_run, self.found.get(key)
                )
                running[self.where.executor.submit(units.load_run, unit)] = by_key[key]
            if running:
                order.done(*self._collect(running))

    def _lacks_parent(self, key: RunKey, parent: RunKey | None) -> bool:
        """Note a run as failed whose parent could not be loaded."""
        if parent is None or self.outcome[parent] is not None:
            return False
        self.outcome[key] = None
        self.result.failed.append((key, f"its parent {parent.run_id} was not loaded"))
        return True

    def _collect(self, running: dict[Future[units.Loaded], StoredRun]) -> list[RunKey]:
        """Wait until some runs are loaded or have failed. Notes and returns them."""
        done = first_done(running)
        ended = {future: running.pop(future) for future in list(running) if future in done}
        for future, run in ended.items():
            self.outcome[run.key] = None
            try:
                done_there = future.result()
                loaded = done_there.run
            except AuthenticationError:
                raise
            except Exception as error:  # noqa: BLE001 - one run must not cost the others
                message = why_failed(run.key, error)
                self.result.failed.append((run.key, message))
                self.progress.message(f"{run.key}: {message}")
            else:
                self.outcome[run.key] = loaded
                self._note(done_there.report)
                into = self.result.already_loaded if loaded.already_loaded else self.result.loaded
                into.append((run.key, loaded))
                what = "was loaded already" if loaded.already_loaded else "loaded"
                _log.info("%s: %s as %s", run.key, what, loaded.target_id)
                self.result.losses.extend(loaded.losses)
                self.progress.advance(runs=1, rows=0 if loaded.already_loaded else done_there.rows)
            units.let_go(run)
        return [run.key for run in ended.values()]

    def _note(self, report: units.Report | None) -> None:
        if report is None:
            return
        before = self.reports.get(report.process)
        if before is None or before.number < report.number:
            self.reports[report.process] = report


def _opened(keys: Iterable[RunKey], parents: dict[RunKey, RunKey]) -> TopologicalSorter[RunKey]:
    """The order in which runs can be loaded. Of a circle of parents one run loses its parent: Neptune cannot
    make a circle, but a file can hold one."""
    for key in _one_of_each_circle(parents):
        del parents[key]
    order = TopologicalSorter({key: [parents[key]] if key in parents else [] for key in keys})
    order.prepare()
    return order


def _one_of_each_circle(parents: Mapping[RunKey, RunKey]) -> list[RunKey]:
    """Follows each parent once; `graphlib` would name one circle each time it is asked."""
    found: list[RunKey] = []
    reached_from: dict[RunKey, RunKey] = {}
    for start in parents:
        key = start
        while key in parents and key not in reached_from:
            reached_from[key] = start
            key = parents[key]
        if reached_from.get(key) == start:
            found.append(key)
    return found


def _forget(runs: Iterable[StoredRun]) -> None:
    for run in runs:
        run.forget()
