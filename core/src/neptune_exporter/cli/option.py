"""Options in sections of the help. Those of commands are also variables and keys in neptune-exporter.toml."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any

import click
from click.core import ParameterSource

VARIABLE_PREFIX = "NEPTUNE_EXPORTER_"
PLACES = "neptune_exporter.places"
"""In `ctx.meta`: for each parameter that is not on the command line, where its value comes from."""


class Option(click.Option):
    """An option that the help lists in a section."""

    def __init__(
        self, *args: Any, section: str = "Options", plugins: Sequence[str] = (), **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.section = section
        self.plugins = plugins
        """The plugins that the option belongs to; empty for an option of the command itself."""


def check_text(text: str) -> None:
    """Raise BadParameter for bytes that are not UTF-8: no project, run or attribute has such a name."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise click.BadParameter(f"{text} is not written in UTF-8") from None


class CommandOption(Option):
    """An option of a command itself: `--data-path` is also a variable and the key `data_path`.

    A flag counts before a variable, a variable before a file (`config_tables`). The variable
    `NEPTUNE_EXPORTER_EXPORT_DATA_PATH` is for one command, `NEPTUNE_EXPORTER_DATA_PATH` for all that have the
    option; the first one counts more. There the separator separates several values: a line break if it is
    None, because values may contain commas, as regular expressions do.
    """

    def __init__(self, *args: Any, separator: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._separator = separator or "\n"

    @property
    def flag(self) -> str:
        """The long flag, `--data-path`."""
        return max(self.opts, key=len)

    @property
    def key(self) -> str:
        """The key in the configuration file: `data_path`."""
        return self.flag.lstrip("-").replace("-", "_")

    def variables(self, command: str) -> tuple[str, str]:
        """The variable of this command only, and that of all commands."""
        own = re.sub(r"\W", "_", command)
        return f"{VARIABLE_PREFIX}{own}_{self.key}".upper(), f"{VARIABLE_PREFIX}{self.key}".upper()

    def value_from_envvar(self, ctx: click.Context) -> Any:
        for variable in self.variables(ctx.command.name or ""):
            if text := os.environ.get(variable):
                ctx.meta.setdefault(PLACES, {})[self.name] = f"the variable {variable}"
                if not self.multiple:
                    return text
                return tuple(part.strip() for part in text.split(self._separator) if part.strip())
        return None

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        try:
            found = super().process_value(ctx, value)
            for text in found if self.multiple and found is not None else (found,):
                if isinstance(text, str) and not text.startswith("@"):  # which names a file
                    check_text(text)
            return found
        except click.BadParameter as error:
            source = ctx.get_parameter_source(self.name or "")
            if source in (ParameterSource.ENVIRONMENT, ParameterSource.DEFAULT_MAP):
                place = ctx.meta[PLACES][self.name]
                raise click.BadParameter(f"{error.message} (from {place})", ctx, self) from None
            raise
