"""The root command. It imports a subcommand only when that one is called."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from neptune_exporter.cli.exit_codes import report_error
from neptune_exporter.cli.state import State, state_of
from neptune_exporter.errors import UsageError
from neptune_exporter.suggestions import did_you_mean

_COMMANDS = {
    "export": ("export", "Export runs from Neptune into the dataset on disk."),
    "export-models": ("export", "Export the model registry (Neptune 2.x) into the dataset."),
    "projects": ("projects", "List the projects that an exporter can discover."),
    "summary": ("summary", "Show what a dataset holds."),
    "load": ("load", "Load a dataset into a tracker."),
    "verify": ("verify", "Check that a dataset is complete and undamaged, or that a tracker holds it."),
    "plugins": ("plugins", "List plugins and their settings."),
    "completion": ("completion", "Print the completion script for a shell."),
}


def _command(name: str) -> click.Command:
    module = importlib.import_module(f"neptune_exporter.cli.{_COMMANDS[name][0]}")
    command = getattr(module, name.replace("-", "_"))
    assert isinstance(command, click.Command)
    return command


class App(click.Group):
    """Imports a command when it is called, and turns every error into one line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._summaries(ctx))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _COMMANDS:
            return _command(cmd_name)
        if cmd_name not in self._summaries(ctx):
            return None
        from neptune_exporter.cli.plugin_command import plugin_command

        return plugin_command(state_of(ctx).plugins, cmd_name)

    def _summaries(self, ctx: click.Context) -> dict[str, str]:
        """The commands of core, then those of plugins."""
        of_plugins = state_of(ctx).plugins.specs("command")
        return {name: summary for name, (_, summary) in _COMMANDS.items()} | {
            spec.name: spec.summary for spec in of_plugins
        }

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(self._summaries(ctx).items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in _COMMANDS and not ctx.resilient_parsing and not args[0].startswith("-"):
            plugins, names = state_of(ctx).plugins, self.list_commands(ctx)
            if args[0] not in names:
                if (why := plugins.why_no_command(args[0])) is not None:
                    raise UsageError(why)
                near = did_you_mean(args[0], names) or f"; there are {', '.join(names)}"
                raise click.UsageError(f"there is no command {args[0]}{near}")
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--no-plugins" in args:  # anywhere: it must count before the options of plugins are known
            state_of(ctx).builtin_only = True
            args = [arg for arg in args if arg != "--no-plugins"] or ["--help"]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        result = super().invoke(ctx)
        sys.stdout.flush()  # while an error of writing can still be reported
        return result

    def main(  # type: ignore[override]
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> int:
        state = extra.setdefault("obj", State())
        try:
            code = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        except Exception as error:  # noqa: BLE001 - reported in one line, with -v in full
            code = report_error(error, verbose=state.verbose > 0)
        if standalone_mode:
            sys.exit(code or 0)
        return int(code or 0)


@click.command(cls=App, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="neptune-exporter-core", message="%(prog)s %(version)s")
@click.option("--no-plugins", is_flag=True, expose_value=False, help="Use only what is built in.")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="Settings file instead of ./neptune-exporter.toml.",
)
@click.option(
    "-v", "--verbose", count=True, help="Show more, and tracebacks of errors. -vv: also the log of libraries."
)
@click.pass_context
def app(ctx: click.Context, config: Path | None, verbose: int) -> None:
    """Get every byte of your history out of Neptune, prove that it is whole, and load it anywhere.

    Exit codes: 0 complete, 1 failure, 2 wrong usage, 3 partial (what failed is listed),
    4 verification found a difference, 130 interrupted (run the same command again to go on).
    """
    state = state_of(ctx)
    state.config = config
    state.verbose = verbose
