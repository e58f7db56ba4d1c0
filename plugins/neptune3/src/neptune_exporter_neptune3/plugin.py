"""Registers the source. Imports nothing heavy: the client is imported by the factory."""

from __future__ import annotations

from collections.abc import Iterable

from neptune_exporter.contract import Source, SourceCapabilities, SourceSpec, hookimpl
from neptune_exporter_neptune3.settings import Neptune3Settings


def make_source(settings: Neptune3Settings) -> Source:
    """The factory of the source. Asks the server nothing yet. Raises what `Client` does."""
    from neptune_exporter_neptune3.source import Neptune3Source

    return Neptune3Source(settings)


@hookimpl
def neptune_exporter_sources() -> Iterable[SourceSpec]:
    return [
        SourceSpec(
            name="neptune3",
            summary="a Neptune 3.x server",
            factory=make_source,
            settings=Neptune3Settings,
            capabilities=SourceCapabilities(
                discovers_projects=True,
                archived_runs=True,
                metric_previews=True,
                runs_query=True,
                modification_times=True,
            ),
        )
    ]
