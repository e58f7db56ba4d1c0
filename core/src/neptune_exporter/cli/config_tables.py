"""The tables of `neptune-exporter.toml` that give options of commands: `[export]`, `[load]`, …, `[general]`.

`[general]` is for every command that has the option. The table of a command counts more.
`configuration` reads the tables of plugins.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from neptune_exporter.cli.option import PLACES, CommandOption
from neptune_exporter.cli.state import state_of
from neptune_exporter.errors import UsageError
from neptune_exporter.suggestions import did_you_mean

if TYPE_CHECKING:
    from neptune_exporter.configuration import ConfigurationFile

GENERAL_TABLE = "general"
"""Options for every command that has them."""
NOT_IN_FILES = frozenset({"config"})
"""Options that decide which file is read."""


def file_values(command: click.Command, ctx: click.Context) -> dict[str, Any]:
    """What the configuration files give for the options of a command, by the name of the parameter. Raises
    UsageError if a table, a key or the type of a value is wrong, in any table of any file."""
    state, name = state_of(ctx), command.name or ""
    values: dict[str, Any] = {}
    options = {option.key: option for option in _options(command)}
    for file in reversed(state.files):  # the most specific last, as it counts most
        _check_tables(file, ctx)
        for table in (GENERAL_TABLE, name):
            for key, value in file.tables.get(table, {}).items():
                if (option := options.get(key)) is not None:
                    place = f"{file.path}: [{table}] {key}"
                    values[str(option.name)] = _converted(option, value, place, file)
                    ctx.meta.setdefault(PLACES, {})[option.name] = place
    return values


def _options(command: click.Command) -> Iterator[CommandOption]:
    for param in command.params:
        if isinstance(param, CommandOption) and param.key not in NOT_IN_FILES:
            yield param


def command_tables(ctx: click.Context) -> dict[str, click.Command]:
    """The commands that have a table in the configuration file: those with options that can be in it."""
    root = ctx.find_root()
    assert isinstance(root.command, click.Group)
    found = {name: root.command.get_command(root, name) for name in root.command.list_commands(root)}
    return {name: command for name, command in found.items() if command and any(_options(command))}


def _check_tables(file: ConfigurationFile, ctx: click.Context) -> None:
    state = state_of(ctx)
    known = {name: {o.key for o in _options(command)} for name, command in command_tables(ctx).items()}
    known[GENERAL_TABLE] = set().union(*known.values())
    for table, content in file.tables.items():
        if table not in known and (keys := state.plugins.settings_of(table)) is not None:
            known[table] = set(keys)
        if table in known:
            _check_keys(file, table, content, known[table])
        elif not state.plugins.may_have_table(table):
            near = did_you_mean(table, [*known, *state.plugins.names])
            raise UsageError(f"{file.path}: no command and no plugin has the table [{table}]{near}")


def _check_keys(file: ConfigurationFile, table: str, content: Any, known: set[str]) -> None:
    for key in content:
        if key not in known:
            hint = did_you_mean(key, known) or f"; it has {', '.join(sorted(known)) or 'none'}"
            raise UsageError(f"{file.path}: [{table}] has no setting {key}{hint}")


def _converted(option: CommandOption, value: object, place: str, file: ConfigurationFile) -> Any:
    """A TOML value as click takes it. Paths are relative to the folder of the file. Raises UsageError if it
    has the wrong type. What is wrong within the type, click says."""
    if option.is_flag:
        return _typed(value, bool, "true or false", place)
    if option.count or isinstance(option.type, click.types.IntParamType):
        return _typed(value, int, "a whole number", place)
    if option.multiple:
        return _texts(value, place)
    number = type(value) in (int, float)  # --step-multiplier
    text: str = _typed(str(value) if number else value, str, "a text", place)
    if isinstance(option.type, click.Path) and "://" not in text:
        return str(file.path.parent / Path(text).expanduser())  # an absolute path stays as it is
    return text


def _texts(value: object, place: str) -> tuple[str, ...]:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise UsageError(f"{place}: must be a text or a list of texts, not {value!r}")
    return tuple(items)


def _typed(value: object, expected: type, name: str, place: str) -> Any:
    if type(value) is not expected:
        raise UsageError(f"{place}: must be {name}, not {value!r}")
    return value
