"""What this plugin registers. Importing it imports no server."""

from __future__ import annotations

from collections.abc import Iterable

import click

from neptune_exporter.contract import CommandSpec, hookimpl


def _view() -> click.Command:
    from neptune_exporter_explorer.command import view

    return view


@hookimpl
def neptune_exporter_commands() -> Iterable[CommandSpec]:
    return [CommandSpec("view", "Look at a dataset in the browser.", _view)]
