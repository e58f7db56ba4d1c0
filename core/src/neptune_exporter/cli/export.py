"""`export` and `export-models`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from neptune_exporter.cli import options as opt
from neptune_exporter.cli import selection
from neptune_exporter.cli.command import Command, plugin_settings
from neptune_exporter.cli.output import prepare_report, withdraw_report
from neptune_exporter.cli.state import state_of
from neptune_exporter.contract.selection import RunSelection
from neptune_exporter.contract.specs import SourceSpec
from neptune_exporter.errors import UsageError
from neptune_exporter.model import RunKind

_MODELS = frozenset({RunKind.MODEL, RunKind.MODEL_VERSION})


@dataclass(frozen=True)
class ExportArguments(opt.RunArguments):
    """The options of `export` and `export-models`, as they were typed."""

    exporter: str | None
    workspace: str | None
    project_pattern: str | None
    project_exclude_pattern: str | None
    attributes: Sequence[str]
    classes: Sequence[str]
    exclude: Sequence[str]
    modified_since: str | None
    modified_until: str | None
    force: bool
    executor: str | None
    workers: int | None
    dry_run: bool
    as_json: bool
    error_report_file: Path | None
    runs_query: str | None = None
    include_archived_runs: bool = False
    include_metric_previews: bool = False
    models_query: str | None = None
    include_archived_models: bool = False


_common: opt.Decorator[Any] = opt.together(
    opt.plugin("--exporter", "exporter", help="What to read from.  [required]"),
    opt.names(
        "-p",
        "--project-ids",
        help="Project, workspace/project. Repeatable, or separated by commas.  [env: NEPTUNE_PROJECT]",
    ),
    opt.option("--workspace", help="Every project of this workspace that the exporter can discover."),
    opt.project_patterns,
    opt.dataset_options,
)

_what: opt.Decorator[Any] = opt.together(
    opt.option(
        "-a",
        "--attributes",
        multiple=True,
        help="Attributes. One value: a regular expression. Several values: exact names.",
    ),
    opt.classes,
    opt.exclude,
    opt.option("--modified-since", help="Only runs changed since then: ISO 8601, or an age (7d, 12h)."),
    opt.option("--modified-until", help="Only runs changed before then: ISO 8601, or an age."),
    opt.option(
        "--force",
        is_flag=True,
        help="Read everything again, also what is up to date, and replace it: what the source no longer "
        "has goes.",
    ),
    opt.workers(4, "groups of runs"),
    opt.dry_run,
    opt.as_json,
    opt.report_file(
        "--error-report-file",
        help="JSON lines of what failed. Default: errors-<time>.jsonl beside the data, if anything failed.",
    ),
)


@click.command("export", cls=Command, kind="exporter")
@_common
@opt.option("-r", "--runs", multiple=True, help=opt.RUNS_HELP)
@opt.option("-q", "--runs-query", help="Only runs that match this query in Neptune's query language.")
@opt.option("--include-archived-runs", is_flag=True, help="Include archived (trashed) runs.")
@opt.option(
    "--include-metric-previews", is_flag=True, help="Neptune 3.x: include the preview points of metrics."
)
@_what
@click.pass_context
@opt.collected(ExportArguments)
def export(ctx: click.Context, given: ExportArguments) -> int:
    """Export runs from Neptune into the dataset on disk.

    Run it again to continue after an interruption, to retry what failed, and to
    fetch what is new. What is up to date is not read again.
    """
    spec = state_of(ctx).plugins.select(SourceSpec, given.exporter)
    _check(spec, "archived_runs", "--include-archived-runs", given.include_archived_runs)
    _check(spec, "metric_previews", "--include-metric-previews", given.include_metric_previews)
    selection.check_not_empty(given.runs_query and given.runs_query.strip(), "-q")
    _check(spec, "runs_query", "--runs-query", given.runs_query is not None)
    base = RunSelection(include_archived=given.include_archived_runs, query=given.runs_query)
    return _run(ctx, spec, base, given)


@click.command("export-models", cls=Command, kind="exporter")
@_common
@opt.option(
    "-r",
    "--models",
    "runs",
    multiple=True,
    help="Only models and versions whose whole id matches this regular expression, or with the ids in @FILE.",
)
@opt.option("--models-query", help="Only models that match this query in Neptune's query language.")
@opt.option("--include-archived-models", is_flag=True, help="Include archived (trashed) models.")
@_what
@click.pass_context
@opt.collected(ExportArguments)
def export_models(ctx: click.Context, given: ExportArguments) -> int:
    """Export the model registry (Neptune 2.x) into the dataset: models and versions, beside the runs."""
    spec = state_of(ctx).plugins.select(SourceSpec, given.exporter)
    _check(spec, "models", "a model registry", True)
    _check(spec, "archived_runs", "--include-archived-models", given.include_archived_models)
    selection.check_not_empty(given.models_query and given.models_query.strip(), "--models-query")
    _check(spec, "runs_query", "--models-query", given.models_query is not None)
    base = RunSelection(
        include_archived=given.include_archived_models, query=given.models_query, kinds=_MODELS
    )
    return _run(ctx, spec, base, given)


def _check(spec: SourceSpec, capability: str, what: str, asked: bool) -> None:
    if asked and not getattr(spec.capabilities, capability):
        raise UsageError(f"the exporter {spec.name} does not offer {what}")


def _run(ctx: click.Context, spec: SourceSpec, base: RunSelection, given: ExportArguments) -> int:
    from dataclasses import replace

    state = state_of(ctx)
    selected = selection.run_selection(given.runs)
    since, until = selection.period(given.modified_since, given.modified_until)
    _check(spec, "modification_times", "--modified-since and --modified-until", bool(since or until))
    wanted = selection.attributes(
        given.attributes,
        given.classes,
        given.exclude,
        metric_previews=given.include_metric_previews,
        capabilities=spec.capabilities,
    )
    named = _projects(spec, given)
    settings = plugin_settings(state, "exporter", spec)

    prepare_report(None if given.dry_run else given.error_report_file, "--error-report-file")

    from neptune_exporter.cli.export_report import report_export
    from neptune_exporter.cli.progress import shown_progress
    from neptune_exporter.jobs.export import ExportOptions, export_runs

    job = ExportOptions(
        project_ids=named,
        data_path=given.data_path.absolute(),  # a worker may have another working folder
        files_path=given.files_path.absolute(),
        runs=replace(
            base, patterns=selected.patterns, ids=selected.ids, modified_since=since, modified_until=until
        ),
        attributes=wanted,
        force=given.force,
        executor=given.executor,
        workers=given.workers,
        dry_run=given.dry_run,
        workspace=given.workspace,
        project_pattern=given.project_pattern,
        project_exclude_pattern=given.project_exclude_pattern,
    )
    try:
        with shown_progress(quiet=state.no_progress) as progress:
            result = export_runs(spec, settings, job, progress)
        if result.nothing_found:
            raise UsageError("; ".join(result.not_found))
    except UsageError:
        withdraw_report(given.error_report_file)
        raise
    return report_export(result, job, as_json=given.as_json, report=given.error_report_file)


def _projects(spec: SourceSpec, given: ExportArguments) -> tuple[str, ...]:
    """The projects that were named; empty to discover them."""
    capabilities = spec.capabilities
    patterns = given.project_pattern, given.project_exclude_pattern
    selection.check_project_patterns(*patterns)
    selection.check_not_empty(given.workspace, "--workspace")
    if given.workspace is not None or patterns != (None, None):
        if given.project_ids:
            raise UsageError("give either -p or --workspace and the project patterns, not both")
        _check(spec, "discovers_projects", "--workspace and project patterns", True)
        return ()
    named = selection.projects(given.project_ids, use_environment=capabilities.needs_project)
    if not named and capabilities.needs_project:
        discovery = ", or --workspace" if capabilities.discovers_projects else ""
        raise UsageError(
            f"the exporter {spec.name} needs a project: -p workspace/project, or NEPTUNE_PROJECT{discovery}"
        )
    return named
