"""`summary`: what a dataset holds."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

import click
from click.core import ParameterSource

from neptune_exporter.cli import options as opt
from neptune_exporter.cli.command import Command, plugin_settings
from neptune_exporter.cli.exit_codes import ExitCode
from neptune_exporter.cli.output import offer_checksums
from neptune_exporter.cli.selection import project_ids, run_selection
from neptune_exporter.cli.state import state_of
from neptune_exporter.contract.selection import RunSelection
from neptune_exporter.contract.specs import ReporterSpec
from neptune_exporter.errors import UsageError
from neptune_exporter.location import Location
from neptune_exporter.redaction import printable
from neptune_exporter.suggestions import did_you_mean, some


@dataclass(frozen=True)
class SummaryArguments(opt.RunArguments):
    """The options, as they were typed."""

    reporter: str
    as_json: bool
    output: Path | None


@click.command("summary", cls=Command, kind="reporter")
@opt.dataset_options
@opt.selected_runs
@opt.plugin("--reporter", "reporter", default="text", show_default=True, help="How to show it.")
@opt.show_all
@opt.option("--json", "as_json", is_flag=True, help="The same as --reporter json.")
@opt.report_file("-o", "--output", help="Write to this file instead of stdout.")
@click.pass_context
@opt.collected(SummaryArguments)
def summary(ctx: click.Context, given: SummaryArguments) -> int:
    """Tell what a dataset holds: projects, runs, attribute types, steps, times, bytes, damage."""
    state = state_of(ctx)
    spec = state.plugins.select(ReporterSpec, "json" if given.as_json else given.reporter)
    projects, runs = project_ids(given.project_ids), run_selection(given.runs)
    settings = plugin_settings(state, "reporter", spec)
    existing_dataset(given.data_path, given.files_path)

    from neptune_exporter.jobs.summary import summarise_dataset

    found, open_run, not_found = summarise_dataset(given.data_path, given.files_path, projects, runs)
    if not found.runs:
        raise nothing_taken(given.data_path, given.files_path, projects, runs)
    found = replace(found, show_all=state.show_all)
    with _opened(given.output) as stream:
        spec.factory(settings).write(found, open_run, stream)
    not_whole = [str(run.key) for run in found.runs if run.state != "complete"]
    if not_whole and given.output is not None:
        message = f"not complete: {some(not_whole)}; {given.output} says more"
        click.echo(printable(message), err=True)
    for line in not_found:
        click.echo(printable(line), err=True)
    offer_checksums(found.without_checksums)
    return ExitCode.PARTIAL if found.not_read or not_whole or not_found else ExitCode.COMPLETE


@contextlib.contextmanager
def _opened(output: Path | None) -> Iterator[TextIO]:
    """The file to write to, or stdout. Raises UsageError if the file cannot be written."""
    if output is None:
        yield sys.stdout
        return
    try:
        with output.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            yield file
    except OSError as error:
        raise UsageError(f"--output: {output} cannot be written: {error.strerror}") from error


def nothing_taken(
    data_path: Location,
    files_path: Location,
    project_ids: Sequence[str] = (),
    runs: RunSelection | None = None,
) -> UsageError:
    """What to say of a dataset with nothing to do: a proof of nothing must not look like a proof. Without
    projects and runs, all were asked for."""
    from neptune_exporter.dataset import Dataset

    asked = [] if runs is None else [*runs.patterns, *sorted(runs.ids)]
    if project_ids or asked:
        there = Dataset(data_path, files_path).likely_keys()
        ids = [key.run_id for key in there if not project_ids or key.project_id in project_ids]
        more = (did_you_mean(asked[0], ids) if asked else "") or "; see `summary` without -r"
        return UsageError(f"no run of the dataset at {data_path} matches these options{more}")
    if (inner := _data_below(data_path)) is not None:
        return UsageError(f"the dataset at {data_path} holds no run: is it --data-path {inner}?")
    return UsageError(
        f"the dataset at {data_path} holds no run: what was exported was empty, or it is not this --data-path"
    )


def _data_below(path: Location) -> Location | None:
    """The folder of data below a path that holds none itself."""
    from neptune_exporter.dataset import storage_at

    below = (path.child("data"), path.child("exports").child("data"))
    return next((each for each in below if storage_at(each).exists()), None)


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
    if _data_below(data_path) is not None and not dataset.was_begun:
        raise nothing_taken(data_path, files_path)  # its files folder would be called wrong, and is not
    dataset.check_files_to_read()
