"""`projects`: look before an export."""

from __future__ import annotations

from pathlib import Path

import click

from neptune_exporter.cli import options as opt
from neptune_exporter.cli.command import Command, plugin_settings
from neptune_exporter.cli.export import selected_exporter
from neptune_exporter.cli.output import echo_line, print_json
from neptune_exporter.cli.selection import regular_expression
from neptune_exporter.cli.state import state_of


@click.command("projects", cls=Command, kind="exporter")
@opt.option("--exporter", type=opt.PluginName("exporter"), help="What to read from.  [required]")
@opt.option("--workspace", help="Only projects of this workspace.")
@opt.option("--project-pattern", help="Only projects whose name has a match of this regular expression.")
@opt.option("--project-exclude-pattern", help="Not projects whose name has a match.")
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
    spec = selected_exporter(ctx, exporter)
    for name, value in (
        ("--project-pattern", project_pattern),
        ("--project-exclude-pattern", project_exclude_pattern),
    ):
        if value is not None:
            regular_expression(value, name)
    settings = plugin_settings(state, "exporter", spec)

    from neptune_exporter.jobs.export import ExportOptions, list_projects

    job = ExportOptions(
        project_ids=(),
        data_path=Path(),
        files_path=Path(),
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
