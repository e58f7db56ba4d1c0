"""The hooks of a plugin. They only register what the plugin has; data never flows through them."""

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
    """The source exporters of this plugin.

    Examples:
        >>> @hookimpl
        ... def neptune_exporter_sources():
        ...     return [SourceSpec("acme", "runs of an Acme server", lambda settings: AcmeSource(settings))]
        >>> [spec.name for spec in neptune_exporter_sources()]  # what `export --exporter` then takes
        ['acme']
    """


@hookspec
def neptune_exporter_sinks() -> Iterable[SinkSpec]:  # type: ignore[empty-body]
    """The loaders of this plugin.

    Examples:
        >>> @hookimpl
        ... def neptune_exporter_sinks():
        ...     return [SinkSpec("acme", "an Acme server", lambda settings, options: AcmeLoader(options))]
        >>> [spec.name for spec in neptune_exporter_sinks()]  # what `load --loader` then takes
        ['acme']
    """


@hookspec
def neptune_exporter_reporters() -> Iterable[ReporterSpec]:  # type: ignore[empty-body]
    """The summary reporters of this plugin.

    Examples:
        >>> @hookimpl
        ... def neptune_exporter_reporters():
        ...     return [ReporterSpec("names", "Each run with its state.", lambda settings: NamesReporter())]
        >>> [spec.name for spec in neptune_exporter_reporters()]  # what `summary --reporter` then takes
        ['names']
    """


@hookspec
def neptune_exporter_commands() -> Iterable[CommandSpec]:  # type: ignore[empty-body]
    """The commands that this plugin adds to the command line.

    Examples:
        >>> def make_count():
        ...     from acme_exporter.counting import count  # imports click only when the command is called
        ...     return count
        >>> @hookimpl
        ... def neptune_exporter_commands():
        ...     return [CommandSpec("count", "Count the runs.", make_count)]
        >>> [spec.name for spec in neptune_exporter_commands()]  # `neptune-exporter count`
        ['count']
    """
