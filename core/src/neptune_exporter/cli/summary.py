"""`summary`: what a dataset holds."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
from click.core import ParameterSource

from neptune_exporter.cli import options as opt
from neptune_exporter.cli.command import Command, plugin_settings
from neptune_exporter.cli.exit_codes import ExitCode
from neptune_exporter.cli.output import offer_checksums, some
from neptune_exporter.cli.selection import run_ids, split_lists
from neptune_exporter.cli.state import state_of
from neptune_exporter.contract.selection import RunSelection
from neptune_exporter.errors import UsageError
from neptune_exporter.location import Location
from neptune_exporter.redaction import printable


@click.command("summary", cls=Command, kind="reporter")
@opt.dataset_options
@opt.selected_runs
@opt.plugin("--reporter", "reporter", default="text", show_default=True, help="How to show it.")
@opt.show_all
@opt.option("--json", "as_json", is_flag=True, help="The same as --reporter json.")
@opt.report_file("-o", "--output", help="Write to this file instead of stdout.")
@click.pass_context
def summary(
    ctx: click.Context,
    data_path: Location,
    files_path: Location,
    project_ids: Sequence[str],
    runs: Sequence[str],
    reporter: str,
    as_json: bool,
    output: Path | None,
) -> int:
    """Tell what a dataset holds: projects, runs, attribute types, steps, times, bytes, damage."""
    state = state_of(ctx)
    spec = state.plugins.reporter("json" if as_json else reporter)
    patterns, ids = run_ids(runs)
    settings = plugin_settings(state, "reporter", spec)
    existing_dataset(data_path, files_path)

    from neptune_exporter.jobs.summary import summarise_dataset

    wanted = split_lists(project_ids)
    found, open_run = summarise_dataset(
        data_path, files_path, wanted, RunSelection(patterns=patterns, ids=ids)
    )
    if not wanted and not any(project.runs for project in found.projects) and not (patterns or ids):
        raise nothing_taken(data_path, selected=False)
    present = {project.project_id for project in found.projects}
    if unknown := [p for p in wanted if p not in present]:
        raise UsageError(f"the dataset has no project {', '.join(unknown)}")
    if (patterns or ids) and not any(project.runs for project in found.projects):
        raise UsageError(f"the dataset at {data_path} has no run that matches -r")
    found = replace(found, show_all=state.show_all)
    damaged = [str(run.key) for project in found.projects for run in project.runs if run.problems]
    code = ExitCode.PARTIAL if found.not_read or damaged else ExitCode.COMPLETE
    writer = spec.factory(settings)
    if output is None:
        writer.write(found, open_run, sys.stdout)
        offer_checksums(found.without_checksums)
        return code
    try:
        with output.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            writer.write(found, open_run, file)
    except OSError as error:
        raise UsageError(f"--output: {output} cannot be written: {error.strerror}") from error
    if damaged:
        these = some(damaged)
        click.echo(printable(f"damaged or not complete: {these}; {output} says more"), err=True)
    offer_checksums(found.without_checksums)
    return code


def nothing_taken(data_path: Location, selected: bool, suggestion: str = "") -> UsageError:
    """What to say of a dataset with nothing to do: a proof of nothing must not look like a proof."""
    if selected:
        more = suggestion or "; see `summary`"
        return UsageError(f"no run of the dataset at {data_path} matches these options{more}")
    from neptune_exporter.dataset import is_there

    if is_there(inner := data_path.child("data")):
        return UsageError(f"the dataset at {data_path} holds no run: is it --data-path {inner}?")
    return UsageError(
        f"the dataset at {data_path} holds no run: what was exported was empty, or it is not this --data-path"
    )


def existing_dataset(data_path: Location, files_path: Location) -> None:
    """Raises UsageError if there is no folder of data, or the folder of files is not there or another's.

    The default folder of files need not exist: a dataset may have no files.
    """
    from neptune_exporter.dataset import Dataset

    dataset = Dataset(data_path, files_path)
    if not dataset.data.exists():
        raise UsageError(f"there is no dataset at {data_path}: export first, or name it with --data-path")
    source = click.get_current_context().get_parameter_source("files_path")
    is_default = source in (ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)
    if not is_default and not dataset.file_storage.exists():
        raise UsageError(f"there is no folder of files at {files_path}: name it with --files-path")
    dataset.check_files_to_read()
