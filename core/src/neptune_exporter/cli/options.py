"""Options that several commands share."""

from __future__ import annotations

import errno
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from neptune_exporter.cli.option import CommandOption, check_text
from neptune_exporter.cli.state import keep, state_of
from neptune_exporter.errors import UsageError
from neptune_exporter.location import Location

if TYPE_CHECKING:
    from neptune_exporter.plugins import Kind

_F = TypeVar("_F", bound=Callable[..., Any])
Decorator = Callable[[_F], _F]


class PluginName(click.ParamType):  # type: ignore[type-arg]
    """The name of an exporter, a loader or a reporter; checked when it is selected."""

    def __init__(self, kind: Any) -> None:
        self.name = kind

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        specs = state_of(ctx).plugins.specs(self.name)  # type: ignore[arg-type]
        return [CompletionItem(s.name, help=s.summary) for s in specs if s.name.startswith(incomplete)]


class PositiveDecimal(click.ParamType):  # type: ignore[type-arg]
    """A decimal number above zero, exactly as it is written."""

    name = "decimal"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        try:
            number = Decimal(value)
        except InvalidOperation:
            number = Decimal(0)
        if not number.is_finite() or number <= 0:
            self.fail(f"{value} is not a decimal number above 0", param, ctx)
        return number


class Folder(click.Path):
    """A folder: a path of this machine, or an address of an object store."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, file_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        check_text(str(value))  # Arrow takes no other path
        if not str(value).strip():
            self.fail("the name of the folder is empty", param, ctx)
        try:
            location = Location.of(str(value))
            if location.path is None:
                return location
            location.path.stat()
        except UsageError as error:
            self.fail(str(error), param, ctx)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                self.fail(f"{str(value)[:60]}: {error.strerror}", param, ctx)
        return Location.of(str(super().convert(location.address, param, ctx)))


class PluginOption(CommandOption):
    """An option that takes the name of a plugin. Its help lists those that are installed."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        record = super().get_help_record(ctx)
        if record is None:
            return None
        names, text = record
        kind: Any = self.type.name
        plugins = state_of(ctx).plugins
        installed = "; ".join(f"{spec.name}: {spec.summary}" for spec in plugins.specs(kind))
        return names, f"{text} Installed: {installed or plugins.available(kind)}"


def plugin(declaration: str, kind: Kind, *, help: str, **attributes: Any) -> Decorator[_F]:
    """An option that selects a plugin of this kind."""
    return click.option(declaration, cls=PluginOption, type=PluginName(kind), help=help, **attributes)


@dataclass(frozen=True)
class RunArguments:
    """Which runs of which dataset, as a command's options were typed."""

    data_path: Location
    files_path: Location
    project_ids: Sequence[str]
    runs: Sequence[str]


def collected(record: type[Any]) -> Callable[[Callable[[click.Context, Any], int]], Callable[..., int]]:
    """Call the command with its options as one record, and not with one argument each."""

    def decorate(function: Callable[[click.Context, Any], int]) -> Callable[..., int]:
        @functools.wraps(function)
        def command(ctx: click.Context, /, **given: Any) -> int:
            return function(ctx, record(**given))

        return command

    return decorate


def option(*declarations: str, **attributes: Any) -> Decorator[_F]:
    """`click.option` of our class."""
    return click.option(*declarations, cls=CommandOption, **attributes)


def names(*declarations: str, help: str) -> Decorator[_F]:
    """An option that may be repeated, and takes several names, separated by commas."""
    return option(*declarations, multiple=True, separator=",", help=help)


def together(*options: Decorator[Any]) -> Decorator[_F]:
    """Several decorators as one."""

    def decorate(function: _F) -> _F:
        for add in reversed(options):
            function = add(function)
        return function

    return decorate


_FILE = click.Path(path_type=Path, dir_okay=False)


dataset_options: Decorator[Any] = together(
    option(
        "-d",
        "--data-path",
        type=Folder(),
        default="./exports/data",
        show_default=True,
        help="Folder of parquet files, or its address: s3://BUCKET/FOLDER, gs://…, az://….",
    ),
    option(
        "-f",
        "--files-path",
        type=Folder(),
        default="./exports/files",
        show_default=True,
        help="Folder of files, or address.",
    ),
    option(
        "--storage-option",
        "storage_options",
        multiple=True,
        metavar="KEY=VALUE",
        expose_value=False,
        callback=keep,
        help="For s3://, gs:// and az://: an option of s3fs, gcsfs or adlfs (endpoint_url=URL). Credentials"
        " better come from the environment; KEY=@FILE reads a file. Repeatable.",
    ),
)

RUNS_HELP = "Only runs whose whole id matches this regular expression, or with the ids in @FILE. Repeatable."

selected_runs: Decorator[Any] = together(
    names("-p", "--project-ids", help="Only this project. Repeatable, or separated by commas."),
    option("-r", "--runs", multiple=True, help=RUNS_HELP),
)


show_all: Decorator[Any] = option(
    "--all",
    "show_all",
    is_flag=True,
    expose_value=False,
    callback=keep,
    help="Show each problem by itself. Default: one line for many runs with the same problem.",
)

classes: Decorator[Any] = names(
    "-c", "--classes", help="Only these attribute classes: parameters, metrics, series, files."
)

exclude: Decorator[Any] = names(
    "--exclude", help="Attribute classes to exclude: parameters, metrics, series, files."
)

project_patterns: Decorator[Any] = together(
    option("--project-pattern", help="Only discovered projects whose name matches this regular expression."),
    option(
        "--project-exclude-pattern",
        help="Skip discovered projects whose name matches this regular expression.",
    ),
)

as_json: Decorator[Any] = option(
    "--json", "as_json", is_flag=True, help="One JSON document on stdout, for machines."
)

dry_run: Decorator[Any] = option(
    "--dry-run", is_flag=True, help="Only show what would be done; write nothing."
)


def report_file(*declarations: str, help: str) -> Decorator[Any]:
    """An option that names a file to write or read."""
    return option(*declarations, type=_FILE, help=help)


_COUNT = click.IntRange(min=1)
_COUNT.name = "whole number"  # as messages call it


def workers(threads: int, what: str) -> Decorator[Any]:
    """How much of what happens at once, and where."""
    return together(
        option(
            "--executor",
            help="Where the work is done: threads, processes, dask (on this machine), dask://HOST:PORT "
            "(a scheduler that runs already) or ray. Default: what suits the work.",
        ),
        option(
            "-j",
            "--workers",
            type=_COUNT,
            metavar="INT",
            help=f"How many {what} at once; the plugin may allow fewer. "
            f"Default: {threads} threads, else one for each core, or what the cluster has.",
        ),
    )
