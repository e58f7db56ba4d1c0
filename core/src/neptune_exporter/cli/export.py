"""`export` and `export-models`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from neptune_exporter.cli import options as opt
from neptune_exporter.cli.command import Command, plugin_settings
from neptune_exporter.cli.output import prepare_report
from neptune_exporter.cli.selection import attributes as attribute_selection
from neptune_exporter.cli.selection import period, projects, regular_expression, run_ids
from neptune_exporter.cli.state import state_of
from neptune_exporter.contract.selection import RunSelection
from neptune_exporter.errors import UsageError
from neptune_exporter.model import RunKind

if TYPE_CHECKING:
    from neptune_exporter.contract.specs import SourceSpec

_MODELS = frozenset({RunKind.MODEL, RunKind.MODEL_VERSION})

_common: opt.Decorator[Any] = opt.together(
    opt.option(
        "--exporter",
        type=opt.PluginName("exporter"),
        help="What to read from: neptune2, neptune3, offline.  [required]",
    ),
    opt.option(
        "-p",
        "--project-ids",
        multiple=True,
        help="Project path, workspace/project; several times or with commas.  [env: NEPTUNE_PROJECT]",
    ),
    opt.option("--workspace", help="Every project of this workspace that the exporter can discover."),
    opt.option(
        "--project-pattern",
        help="Of the discovered projects, only those whose name has a match of this regular expression.",
    ),
    opt.option(
        "--project-exclude-pattern", help="Of the discovered projects, not those whose name has a match."
    ),
    opt.dataset_options,
)

_what: opt.Decorator[Any] = opt.together(
    opt.option(
        "-a",
        "--attributes",
        multiple=True,
        help="Attributes: given once, a regular expression; several times, exact names.",
    ),
    opt.option("-c", "--classes", multiple=True, help="Only these: parameters, metrics, series, files."),
    opt.option("--exclude", multiple=True, help="Not these: parameters, metrics, series, files."),
    opt.option("--modified-since", help="Only what was changed since: ISO 8601, or an age (7d, 12h)."),
    opt.option("--modified-until", help="Only what was changed before: ISO 8601, or an age."),
    opt.option("--force", is_flag=True, help="Read again what is up to date."),
    opt.workers(4, "groups of runs"),
    opt.dry_run,
    opt.show_all,
    opt.as_json,
    opt.report_file(
        "--error-report-file",
        help="JSON lines of what failed. Default: errors-<time>.jsonl beside the data, if anything failed.",
    ),
)


@click.command("export", cls=Command, kind="exporter")
@_common
@opt.option(
    "-r",
    "--runs",
    multiple=True,
    help=opt.RUNS_HELP,
)
@opt.option("-q", "--runs-query", help="Only runs that this query in Neptune's language takes.")
@opt.option("--include-archived-runs", is_flag=True, help="Archived (trashed) runs too.")
@opt.option("--include-metric-previews", is_flag=True, help="Neptune 3.x: preview points of metrics too.")
@_what
@click.pass_context
def export(
    ctx: click.Context,
    /,
    runs_query: str | None,
    include_archived_runs: bool,
    include_metric_previews: bool,
    **given: Any,
) -> int:
    """Bring runs from Neptune into the dataset on disk.

    Run it again to go on after an interruption, to try again what failed, and to
    fetch what is new: what is up to date is not read again.
    """
    spec = selected_exporter(ctx, given["exporter"])
    _check(spec, "archived_runs", "--include-archived-runs", include_archived_runs)
    _check(spec, "metric_previews", "--include-metric-previews", include_metric_previews)
    _check(spec, "runs_query", "--runs-query", runs_query is not None)
    base = RunSelection(include_archived=include_archived_runs, query=runs_query)
    return _run(ctx, spec, base, include_metric_previews, **given)


@click.command("export-models", cls=Command, kind="exporter")
@_common
@opt.option(
    "-r",
    "--models",
    "runs",
    multiple=True,
    help="Only models and versions whose whole id matches this regular expression, or whose ids @FILE lists.",
)
@opt.option("--models-query", help="Only models that this query in Neptune's language takes.")
@opt.option("--include-archived-models", is_flag=True, help="Archived (trashed) models too.")
@_what
@click.pass_context
def export_models(
    ctx: click.Context, /, models_query: str | None, include_archived_models: bool, **given: Any
) -> int:
    """Bring the model registry (Neptune 2.x) into the dataset: models and model versions, beside the runs."""
    spec = selected_exporter(ctx, given["exporter"])
    _check(spec, "models", "a model registry", True)
    _check(spec, "archived_runs", "--include-archived-models", include_archived_models)
    _check(spec, "runs_query", "--models-query", models_query is not None)
    base = RunSelection(include_archived=include_archived_models, query=models_query, kinds=_MODELS)
    return _run(ctx, spec, base, False, **given)


def selected_exporter(ctx: click.Context, name: str | None) -> SourceSpec:
    """The exporter that was selected.

    Raises:
        UsageError: none was, or there is none of that name. Says what there is.
    """
    plugins = state_of(ctx).plugins
    if name is None:
        raise UsageError(f"--exporter is missing; available: {plugins.available('exporter')}")
    return plugins.source(name)


def _check(spec: SourceSpec, capability: str, what: str, asked: bool) -> None:
    if asked and not getattr(spec.capabilities, capability):
        raise UsageError(f"the exporter {spec.name} does not offer {what}")


def _run(
    ctx: click.Context,
    spec: SourceSpec,
    base: RunSelection,
    metric_previews: bool,
    *,
    exporter: str,
    project_ids: Sequence[str],
    workspace: str | None,
    project_pattern: str | None,
    project_exclude_pattern: str | None,
    data_path: Path,
    files_path: Path,
    runs: Sequence[str],
    attributes: Sequence[str],
    classes: Sequence[str],
    exclude: Sequence[str],
    modified_since: str | None,
    modified_until: str | None,
    force: bool,
    workers: int,
    dry_run: bool,
    as_json: bool,
    error_report_file: Path | None,
) -> int:
    from dataclasses import replace

    state = state_of(ctx)
    patterns, ids = run_ids(runs)
    since, until = period(modified_since, modified_until)
    _check(spec, "modification_times", "--modified-since and --modified-until", bool(since or until))
    wanted = attribute_selection(
        attributes, classes, exclude, metric_previews=metric_previews, capabilities=spec.capabilities
    )
    named = _projects(spec, project_ids, workspace, project_pattern, project_exclude_pattern)
    settings = plugin_settings(state, "exporter", spec)

    prepare_report(None if dry_run else error_report_file, "--error-report-file")

    from neptune_exporter.cli.export_report import report_export
    from neptune_exporter.cli.progress import shown_progress
    from neptune_exporter.jobs.export import ExportOptions, export_runs

    job = ExportOptions(
        project_ids=named,
        data_path=data_path.absolute(),  # a worker may have another working folder
        files_path=files_path.absolute(),
        runs=replace(base, patterns=patterns, ids=ids, modified_since=since, modified_until=until),
        attributes=wanted,
        force=force,
        workers=workers,
        dry_run=dry_run,
        workspace=workspace,
        project_pattern=project_pattern,
        project_exclude_pattern=project_exclude_pattern,
    )
    with shown_progress(quiet=state.no_progress) as progress:
        result = export_runs(spec, settings, job, progress)
    return report_export(result, job, as_json=as_json, report=error_report_file)


def _projects(
    spec: SourceSpec,
    project_ids: Sequence[str],
    workspace: str | None,
    pattern: str | None,
    exclude: str | None,
) -> tuple[str, ...]:
    """The projects that were named; none if they are to be discovered."""
    capabilities = spec.capabilities
    for option, value in (("--project-pattern", pattern), ("--project-exclude-pattern", exclude)):
        if value is not None:
            regular_expression(value, option)
    if workspace is not None or pattern is not None or exclude is not None:
        if project_ids:
            raise UsageError("give either -p or --workspace and the project patterns, not both")
        _check(spec, "discovers_projects", "--workspace and project patterns", True)
        return ()
    named = projects(project_ids, use_environment=capabilities.needs_project)
    if not named and capabilities.needs_project:
        discovery = ", or --workspace" if capabilities.discovers_projects else ""
        raise UsageError(
            f"the exporter {spec.name} needs a project: -p workspace/project, or NEPTUNE_PROJECT{discovery}"
        )
    return named
