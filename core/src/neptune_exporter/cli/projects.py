"""`projects`: look before an export."""

from __future__ import annotations

import click

from neptune_exporter.cli import options as opt
from neptune_exporter.cli.command import Command, plugin_settings
from neptune_exporter.cli.output import echo_line, print_json
from neptune_exporter.cli.selection import check_not_empty, check_project_patterns
from neptune_exporter.cli.state import state_of
from neptune_exporter.contract.specs import SourceSpec
from neptune_exporter.location import Location


@click.command("projects", cls=Command, kind="exporter")
@opt.plugin("--exporter", "exporter", help="What to read from.  [required]")
@opt.option("--workspace", help="Only projects of this workspace.")
@opt.project_patterns
@opt.as_json
@click.pass_context
def projects(
    ctx: click.Context,
    exporter: str | None,
    workspace: str | None,
    project_pattern: str | None,
    project_exclude_pattern: str | None,
    as_json: bool,
) -> int:
    """List the projects that an exporter can discover: what `export` with the same options would read."""
    state = state_of(ctx)
    spec = state.plugins.select(SourceSpec, exporter)
    check_project_patterns(project_pattern, project_exclude_pattern)
    check_not_empty(workspace, "--workspace")
    settings = plugin_settings(state, "exporter", spec)

    from neptune_exporter.jobs.export import ExportOptions, list_projects

    job = ExportOptions(
        project_ids=(),
        data_path=Location.of("."),
        files_path=Location.of("."),
        workspace=workspace,
        project_pattern=project_pattern,
        project_exclude_pattern=project_exclude_pattern,
    )
    found = list_projects(spec, settings, job)
    if as_json:
        print_json({"command": "projects", "exporter": spec.name, "projects": found})
    else:
        for project_id in found:
            echo_line(project_id)
    return 0
