"""The hooks, nothing else. They only register; data never flows through them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from neptune_exporter.contract.specs import CommandSpec, ReporterSpec, SinkSpec, SourceSpec

PROJECT = "neptune_exporter"
"""The name of the pluggy project and of the entry point group."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def neptune_exporter_sources() -> Iterable[SourceSpec]:  # type: ignore[empty-body]
    """The source exporters of this plugin."""


@hookspec
def neptune_exporter_sinks() -> Iterable[SinkSpec]:  # type: ignore[empty-body]
    """The loaders of this plugin."""


@hookspec
def neptune_exporter_reporters() -> Iterable[ReporterSpec]:  # type: ignore[empty-body]
    """The summary reporters of this plugin."""


@hookspec
def neptune_exporter_commands() -> Iterable[CommandSpec]:  # type: ignore[empty-body]
    """The commands that this plugin adds to the command line."""
