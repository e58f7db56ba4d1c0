"""Warns of variables that begin as ours do and set nothing, such as misspelled ones."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import click

from neptune_exporter.cli.option import VARIABLE_PREFIX, CommandOption
from neptune_exporter.cli.state import state_of
from neptune_exporter.configuration import setting_fields
from neptune_exporter.errors import UsageError
from neptune_exporter.redaction import printable
from neptune_exporter.suggestions import did_you_mean


def warn_of_unknown_variables(ctx: click.Context) -> None:
    """A line on stderr for each variable of the environment that no command and no plugin has. It is no error
    as a key of a file would be: a plugin that is not installed here may have it."""
    given = {name for name, value in os.environ.items() if value and name.startswith(VARIABLE_PREFIX)}
    if not given or state_of(ctx).builtin_only:  # then plugins were not looked for
        return
    known = {*_of_core(), *_of_commands(ctx), *_of_plugins(ctx)}
    elsewhere = tuple(_of_absent_plugins(ctx))
    for name in sorted(given - known):
        if not name.startswith(elsewhere):
            near = did_you_mean(name, known, prefix=VARIABLE_PREFIX)
            line = f"warning: no command and no installed plugin has the variable {name}{near}"
            click.echo(printable(line), err=True)


def _of_core() -> Iterator[str]:
    from neptune_exporter.plugins import DISABLE_VARIABLE
    from neptune_exporter.toolkit import failpoints

    yield from (DISABLE_VARIABLE, failpoints.VARIABLE, failpoints.SIGNAL_VARIABLE)


def _of_commands(ctx: click.Context) -> Iterator[str]:
    root = ctx.find_root()
    assert isinstance(root.command, click.Group)
    for name in root.command.list_commands(root):
        try:
            command = root.command.get_command(root, name)
        except UsageError:  # of a broken plugin: this command does not need it
            continue
        for param in command.params if command is not None else ():
            if isinstance(param, CommandOption):
                yield from param.variables(name)


def _of_plugins(ctx: click.Context) -> Iterator[str]:
    from neptune_exporter.plugins import KINDS

    for kind in KINDS:
        for spec in state_of(ctx).plugins.specs(kind):
            for field in setting_fields(spec.name, spec.settings):
                yield field.variables[0]  # the others are the vendor's


def _of_absent_plugins(ctx: click.Context) -> Iterator[str]:
    """What variables of plugins begin with that are known by name, and are not installed or not usable."""
    from neptune_exporter.plugins import FOLDERS

    plugins = state_of(ctx).plugins
    for name in {*FOLDERS, *plugins.names}:
        if plugins.settings_of(name) is None:
            yield VARIABLE_PREFIX + re.sub(r"\W", "_", name).upper() + "_"
