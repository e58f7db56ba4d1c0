"""The state of one invocation of the command line: root options, and what is found lazily."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from neptune_exporter.configuration import ConfigurationFile
    from neptune_exporter.plugins import PluginRegistry


@dataclass
class State:
    """Made once for each invocation; `ctx.obj` of every command."""

    owns_process: bool = False
    """Whether this is the console script itself, which may replace its process."""
    builtin_only: bool = False
    config: Path | None = None
    verbose: int = 0
    no_progress: bool = False
    show_all: bool = False
    """`--all`: show each problem, instead of one line for many."""
    log_file: Path | None = None
    storage_options: tuple[str, ...] = ()
    """`KEY=VALUE`, as they were given."""
    flags: dict[str, object] = field(default_factory=dict)
    """What the command line gave for settings of plugins, by flag."""

    @cached_property
    def plugins(self) -> PluginRegistry:
        from neptune_exporter.plugins import PluginRegistry

        return PluginRegistry.discover(builtin_only=self.builtin_only)

    @cached_property
    def files(self) -> tuple[ConfigurationFile, ...]:
        from neptune_exporter.configuration import read_configuration
        from neptune_exporter.errors import UsageError

        try:
            here = Path.cwd()
        except FileNotFoundError:
            raise UsageError("the working folder was deleted: change into one that is there") from None
        return read_configuration(self.config, here)


def state_of(ctx: click.Context) -> State:
    """The state of this invocation."""
    return ctx.ensure_object(State)


def keep(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """The callback of options that the state holds. What the command line gives counts before what it gave to
    the program itself (`neptune-exporter -v export`), and that before variables and files."""
    assert param.name is not None
    source, state = ctx.get_parameter_source(param.name), state_of(ctx)
    if source is ParameterSource.COMMANDLINE or (
        source in (ParameterSource.ENVIRONMENT, ParameterSource.DEFAULT_MAP)
        and not getattr(state, param.name)
    ):
        setattr(state, param.name, value)
