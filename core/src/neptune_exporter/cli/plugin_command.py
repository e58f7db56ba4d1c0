"""Commands that plugins add, as commands of this command line."""

from __future__ import annotations

from itertools import islice
from typing import Any

import click

from neptune_exporter.cli import options as opt
from neptune_exporter.cli.command import Command
from neptune_exporter.cli.option import CommandOption
from neptune_exporter.cli.summary import existing_dataset, nothing_taken
from neptune_exporter.contract.specs import CommandSpec
from neptune_exporter.errors import UsageError
from neptune_exporter.location import Location
from neptune_exporter.plugins import PluginRegistry

_ASKED_FOR_FILES = 100
"""Runs that are asked whether they have files: reading all of another tool's takes seconds."""


def plugin_command(plugins: PluginRegistry, name: str) -> Command:
    """The command of a plugin, with the options of a dataset and our general ones. Raises UsageError if there
    is no such command, or its plugin is broken."""
    spec = plugins.select(CommandSpec, name)
    try:
        own = spec.factory()
    except Exception as error:  # foreign code: whatever it raises is reported in one line
        raise UsageError(f"the command {name} cannot be used: {type(error).__name__}: {error}") from error
    if own.callback is None:
        raise UsageError(f"the command {name} cannot be used: it has no callback")
    callback = own.callback

    @opt.dataset_options
    @click.pass_context
    def command(ctx: click.Context, /, data_path: Location, files_path: Location, **given: Any) -> Any:
        existing_dataset(data_path, files_path)
        from neptune_exporter.dataset import Dataset
        from neptune_exporter.jobs.selecting import check_files_folder
        from neptune_exporter.reading import ExportedDataset

        stored = Dataset(data_path, files_path)
        if not stored.was_begun:
            raise nothing_taken(data_path, files_path)
        try:
            check_files_folder(stored, islice(stored.runs(indexed=True), _ASKED_FOR_FILES))
        except UsageError as error:  # people who have only the data may look at it
            click.echo(f"warning: {error}", err=True)
        return callback(dataset=ExportedDataset(data_path, files_path), **given)

    params = [*reversed(command.__click_params__), *map(_as_ours, own.params)]
    return Command(name, params=params, callback=command, help=own.help or spec.summary)


def _as_ours(param: click.Parameter) -> click.Parameter:
    """An option that is also a variable and a key in the configuration file."""
    if not isinstance(param, click.Option) or isinstance(param, CommandOption):
        return param
    return CommandOption(
        [*param.opts, *([f"/{param.secondary_opts[0]}"] if param.secondary_opts else []), str(param.name)],
        type=param.type,
        default=param.default,
        required=param.required,
        multiple=param.multiple,
        is_flag=param.is_flag,
        flag_value=param.flag_value if param.is_flag else None,
        show_default=param.show_default,
        help=param.help,
    )
