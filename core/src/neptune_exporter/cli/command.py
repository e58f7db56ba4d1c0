"""Commands with options in named sections, and with the options of plugins."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from neptune_exporter import configuration
from neptune_exporter.cli.config_tables import GENERAL_TABLE, file_values
from neptune_exporter.cli.logs import logging_to
from neptune_exporter.cli.option import CommandOption, Option
from neptune_exporter.cli.process import Typed, hide_arguments
from neptune_exporter.cli.state import State, keep, state_of
from neptune_exporter.cli.unknown_variables import warn_of_unknown_variables
from neptune_exporter.contract import Secret, UsageError
from neptune_exporter.location import Location, options_of

if TYPE_CHECKING:
    from neptune_exporter.plugins import Kind, Spec

GENERAL = "General options"
_SELECTED = "neptune_exporter.selected"
"""In `ctx.meta`: the plugin that the command line names, known before `--help` is written."""


class Command(click.Command):
    """A command that logs, with its options in sections."""

    def __init__(self, *args: Any, kind: Kind | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kind = kind
        """What its plugin options belong to."""
        self.params.extend(_general_options())

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        params = super().get_params(ctx)
        if self.kind is None:
            return params
        options = ctx.meta.get("neptune_exporter.options")
        if options is None:
            options = plugin_options(self.kind, state_of(ctx).plugins.specs(self.kind))
            ctx.meta["neptune_exporter.options"] = options
        return [*params, *options]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = list(args)  # parsing takes them away
        if self.kind is not None:
            ctx.meta[_SELECTED] = _value_of(f"--{self.kind}", given)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            # Options of a plugin that is not there are unknown: that it is missing says more.
            if self.kind is not None:
                from neptune_exporter.plugins import TYPES

                plugins = state_of(ctx).plugins
                if (name := ctx.meta[_SELECTED]) is not None:
                    plugins.select(TYPES[self.kind], name)
                if (why := plugins.why_no_option(error.option_name)) is not None:
                    raise UsageError(why) from error
            raise

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {"Options": []}
        others: list[str] = []
        for param in self.get_params(ctx):
            if (owners := self._not_selected(ctx, param)) is not None:
                others += owners
                continue
            record = param.get_help_record(ctx)
            if record is not None:
                section = getattr(param, "section", GENERAL)  # click's own, --help, has none
                sections.setdefault(section, []).append(record)
        general_options = sections.pop(GENERAL)
        for title, records in [*sections.items(), (GENERAL, general_options)]:
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)
        if others:
            formatter.write_paragraph()
            names = ", ".join(dict.fromkeys(others))
            formatter.write_text(f"Other {self.kind}s have options of their own: {names}.")

    def _not_selected(self, ctx: click.Context, param: click.Parameter) -> Sequence[str] | None:
        """The plugins that an option belongs to, if the command line names another one."""
        owners: Sequence[str] = getattr(param, "plugins", ())
        selected = ctx.meta.get(_SELECTED)
        is_known = self.kind is not None and selected in [
            spec.name for spec in state_of(ctx).plugins.specs(self.kind)
        ]
        return owners if owners and is_known and selected not in owners else None

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        name = self.name or ""
        example = next((p for p in self.params if isinstance(p, CommandOption)), None)
        if example is not None:
            own, common = example.variables(name)
            formatter.write_paragraph()
            formatter.write_text(
                "Each option is also a variable and a key in neptune-exporter.toml, for example"
            )
            # At the beginning of a line, as the text may be broken after any hyphen.
            formatter.write_text(
                f"{example.flag}: {own}, or {common} for all commands; "
                f"{example.key} in [{name}], or in [{GENERAL_TABLE}]."
            )

    def invoke(self, ctx: click.Context) -> Any:
        state = state_of(ctx)
        _give_storage_options(ctx)
        with logging_to(state.log_file, state.verbose):
            warn_of_unknown_variables(ctx)
            return super().invoke(ctx)


def _give_storage_options(ctx: click.Context) -> None:
    """Give the storage options to the locations of the dataset. Raises UsageError if one is not KEY=VALUE."""
    state = state_of(ctx)
    pairs = [pair.partition("=") for pair in state.storage_options]
    if not pairs:
        return
    options = options_of(f"{name}{sign}{_from_file(name, value)}" for name, sign, value in pairs)
    if state.owns_process and ctx.get_parameter_source("storage_options") is ParameterSource.COMMANDLINE:
        secret = {name for name, value in options if isinstance(value, Secret)}
        hide_arguments(_typed_secrets(pairs, secret))
    for name, value in ctx.params.items():
        if isinstance(value, Location):
            ctx.params[name] = replace(value, options=options)


def _typed_secrets(pairs: Iterable[tuple[str, str, str]], secret: Container[str]) -> Iterator[Typed]:
    for name, sign, value in pairs:
        if name in secret and value[:1] != "@":
            yield Typed("--storage-option", value, name + sign)


def _from_file(name: str, value: str) -> object:
    """The value of a storage option, which `@FILE` keeps off the command line."""
    return configuration.from_elsewhere(f"--storage-option {name}", value) if value[:1] == "@" else value


def _value_of(option: str, args: list[str]) -> str | None:
    """What an option is given, in arguments that cannot be parsed."""
    for arg, following in zip_longest(args, args[1:]):
        name, separator, value = arg.partition("=")
        if name == option:
            return value if separator else following
    return None


def _general_options() -> list[click.Parameter]:
    common: dict[str, Any] = {"expose_value": False, "callback": keep, "section": GENERAL}
    return [
        CommandOption(
            ["-v", "--verbose"],
            count=True,
            help="Show more, and tracebacks of errors. -vv: also the log of libraries.",
            **common,
        ),
        CommandOption(
            ["--no-progress"],
            is_flag=True,
            help="Show no progress, neither the bar in a terminal nor the lines without one.",
            **common,
        ),
        CommandOption(
            ["--log-file"],
            type=click.Path(path_type=Path, dir_okay=False),
            help="Append log lines to this file. Default: no log file.",
            **common,
        ),
        CommandOption(
            ["--config"],
            type=click.Path(path_type=Path, dir_okay=False),
            help="Settings file instead of ./neptune-exporter.toml.",
            is_eager=True,  # the values of all others may come from it
            **{**common, "callback": _keep_config},
        ),
    ]


def _keep_config(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Read the configuration files as soon as it is known which."""
    keep(ctx, param, value)
    if not ctx.resilient_parsing and isinstance(ctx.command, Command):
        ctx.default_map = file_values(ctx.command, ctx)


def plugin_options(kind: Kind, specs: list[Spec]) -> list[Option]:
    """The options of all plugins of a kind. Plugins that share a flag share one option."""
    by_flag: dict[str, list[configuration.SettingField]] = {}
    for spec in specs:
        for field in configuration.setting_fields(spec.name, spec.settings):
            by_flag.setdefault(field.flag, []).append(field)
    return [_plugin_option(kind, flag, fields) for flag, fields in by_flag.items()]


def _plugin_option(kind: Kind, flag: str, fields: list[configuration.SettingField]) -> Option:
    def keep(ctx: click.Context, param: click.Parameter, value: Any) -> None:
        if param.name is not None and ctx.get_parameter_source(param.name) is ParameterSource.COMMANDLINE:
            state_of(ctx).flags[flag] = value

    field = fields[0]
    names = [f.plugin for f in fields]
    owners = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    given: Mapping[str, Any]
    if field.type is bool:
        given = {"type": bool, "is_flag": True}
        flag_declaration = f"{flag}/--no-{flag.removeprefix('--')}"
    else:
        metavar = (
            "SECRET" if field.type is Secret else "|".join(field.info.choices) or field.type.__name__.upper()
        )
        given = {"type": str, "multiple": field.multiple, "metavar": metavar.replace("STR", "TEXT")}
        flag_declaration = flag
    section = f"Options of the {owners} {kind}"
    if len(names) > 1:
        section += "s"
    else:
        section += f", also as variables {field.variables[0].removesuffix(field.name.upper())}*"
    return Option(
        [flag_declaration, f"setting_{flag.strip('-').replace('-', '_')}"],
        section=section,
        help=_help(field),
        plugins=names,
        default=None,
        expose_value=False,
        callback=keep,
        **given,
    )


def _help(field: configuration.SettingField) -> str:
    notes = []
    if field.type is Secret:
        notes.append("better not on the command line: @FILE reads a file, - standard input")
    if field.info.env:
        notes.append("env: " + ", ".join(field.info.env))
    if field.required:
        notes.append("required")
    elif shown := default_text(field):
        notes.append(f"default: {shown}")
    return field.info.help + (f"  [{'; '.join(notes)}]" if notes else "")


def default_text(field: configuration.SettingField) -> str:
    """The default for a person; empty where there is nothing to show."""
    value = field.default
    if field.required or value is None or value == () or value == "" or isinstance(value, Secret):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def plugin_settings(state: State, kind: Kind, spec: Spec) -> object:
    """The settings of the selected plugin. Values of other plugins are not looked at. Raises UsageError if a
    value is wrong or missing, or a flag of another plugin was given."""
    fields = {field.flag: field for field in configuration.setting_fields(spec.name, spec.settings)}
    for flag in state.flags:
        if flag not in fields:
            raise UsageError(f"{flag} is not an option of the {kind} {spec.name}")
    if state.owns_process:
        typed = [(f, v) for f, v in state.flags.items() if fields[f].type is Secret and isinstance(v, str)]
        hide_arguments(Typed(flag, value) for flag, value in typed if not configuration.is_reference(value))
    return configuration.resolve_settings(
        spec.name, spec.settings, flags=state.flags, environ=os.environ, files=state.files
    )
