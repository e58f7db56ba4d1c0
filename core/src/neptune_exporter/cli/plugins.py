"""`plugins`: what is installed, what is broken and why, and every setting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from neptune_exporter.cli import options as opt
from neptune_exporter.cli.command import default_text
from neptune_exporter.cli.output import echo_list, echo_table, on_one_line, print_json
from neptune_exporter.cli.state import state_of
from neptune_exporter.configuration import SettingField, setting_fields
from neptune_exporter.contract.settings import Secret
from neptune_exporter.errors import UsageError

if TYPE_CHECKING:
    from neptune_exporter.plugins import Plugin, PluginRegistry


@click.group("plugins", invoke_without_command=True)
@click.pass_context
def plugins(ctx: click.Context) -> int:
    """List plugins (the same as `plugins list`), or their settings."""
    return int(ctx.invoke(list_)) if ctx.invoked_subcommand is None else 0


@plugins.command("list")
@opt.as_json
@click.pass_context
def list_(ctx: click.Context, as_json: bool = False) -> int:
    """Show every plugin, and why one is broken."""
    registry = state_of(ctx).plugins
    if as_json:
        print_json(_document(registry))
    else:
        _print(registry)
    return 0


@plugins.command("settings")
@click.argument("names", nargs=-1)
@click.option("--markdown", "form", flag_value="markdown", help="Markdown tables, for documentation.")
@click.option("--json", "form", flag_value="json", help="One JSON document.")
@click.pass_context
def settings(ctx: click.Context, names: Sequence[str], form: str | None) -> int:
    """Show every setting, of all plugins or of the ones named.

    A flag counts before a variable, a variable before ./neptune-exporter.toml (or
    --config), that file before the user's own file, and that before the default.
    """
    registry = state_of(ctx).plugins
    found = _settings(registry)
    if unknown := [name for name in names if name not in found]:
        there = f"only {', '.join(found)}" if found else f"no plugin here has any; {registry.adding_all()}"
        raise UsageError(f"{', '.join(unknown)} has no settings: {there}")
    chosen = {name: fields for name, fields in found.items() if not names or name in names}
    _print_as(form, chosen, registry.adding_all())
    return 0


def _print_as(form: str | None, chosen: dict[str, list[SettingField]], adding: str) -> None:
    if form == "json":
        print_json({name: [_record(f) for f in fields] for name, fields in chosen.items()})
    elif form == "markdown":
        click.echo(settings_table(chosen), nl=False)
    elif chosen:
        _print_settings(chosen)
    else:
        click.echo(f"no plugin here has settings; {adding}")


def _print_settings(settings: dict[str, list[SettingField]]) -> None:
    """For a person: a table of flags for each plugin. Variables and keys follow from the flags."""
    for name, fields in settings.items():
        prefix = fields[0].variables[0].removesuffix(fields[0].name.upper())
        click.echo(f"[{name}], as variables {prefix}*")
        rows = []
        for f in fields:
            default = "required" if f.required else default_text(f) or None
            rows.append((f.flag, f.name, default, ", ".join(f.info.env) or None))
        echo_table(("flag", "key", "default", "also the variables"), rows)
        click.echo()
    click.echo("Meanings: --help of the command, or `plugins settings --markdown`.")


def _settings(registry: PluginRegistry) -> dict[str, list[SettingField]]:
    """Settings by plugin name, each once."""
    from neptune_exporter.plugins import KINDS

    found: dict[str, dict[str, SettingField]] = {}
    for kind in KINDS:
        for spec in registry.specs(kind):
            for field in setting_fields(spec.name, spec.settings):
                found.setdefault(spec.name, {}).setdefault(field.name, field)
    return {name: list(fields.values()) for name, fields in sorted(found.items()) if fields}


def settings_table(settings: dict[str, list[SettingField]]) -> str:
    """A Markdown section with a table for each plugin."""
    parts = []
    for name, fields in settings.items():
        lines = [f"### `[{name}]`", "", "| Flag | Variables | Key | Value | Default | Meaning |"]
        lines.append("| --- | --- | --- | --- | --- | --- |")
        for field in fields:
            record = _record(field)
            cells = [
                f"`{field.flag}`",
                ", ".join(f"`{v}`" for v in field.variables),
                f"`{field.name}`",
                record["value"],
                "required" if field.required else f"`{record['default']}`" if record["default"] else "",
                field.info.help,
            ]
            lines.append(
                "| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells) + " |"
            )
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _record(field: SettingField) -> dict[str, Any]:
    return {
        "flag": field.flag,
        "variables": field.variables,
        "key": field.name,
        "value": f"several of {field.expected}" if field.multiple else field.expected,
        "secret": field.type is Secret,
        "required": field.required,
        "default": default_text(field) or None,
        "help": field.info.help,
    }


def _provided(plugin: Plugin) -> dict[str, list[str]]:
    from neptune_exporter.plugins import KINDS, kind_of

    provided: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for spec in plugin.specs:
        provided[kind_of(spec)].append(spec.name)
    return provided


def _document(registry: PluginRegistry) -> dict[str, Any]:
    return {
        "plugins": [
            {
                "name": plugin.name,
                "status": plugin.status,
                "distribution": plugin.distribution,
                "version": plugin.version,
                "entry_point": plugin.entry_point,
                **{f"{kind}s": names for kind, names in _provided(plugin).items()},
                "error": plugin.error,
            }
            for plugin in registry.plugins
        ],
        "conflicts": [
            {"kind": kind, "name": name, "distributions": [p.distribution for p in plugins]}
            for (kind, name), plugins in registry.conflicts().items()
        ],
    }


def _print(registry: PluginRegistry) -> None:
    rows = []
    for plugin in registry.plugins:
        names = _provided(plugin)
        provides = "; ".join(f"{kind} {', '.join(found)}" for kind, found in names.items() if found)
        rows.append((plugin.name, plugin.status, plugin.distribution, plugin.version, provides or None))
    echo_table(("plugin", "status", "distribution", "version", "provides"), rows)
    echo_list(
        "Broken",
        [
            on_one_line(f"{p.name} ({p.origin}, {p.entry_point})", p.error)
            for p in registry.plugins
            if p.error
        ],
    )
    echo_list(
        "Conflicts",
        [
            f"the {kind} {name} is provided by {' and '.join(p.origin for p in found)}"
            for (kind, name), found in registry.conflicts().items()
        ],
    )
