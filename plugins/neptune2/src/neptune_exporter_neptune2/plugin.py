"""Registers the source. Imports nothing heavy: the client is imported by the factory."""

from __future__ import annotations

from collections.abc import Iterable

from neptune_exporter.contract import Source, SourceCapabilities, SourceSpec, hookimpl
from neptune_exporter_neptune2.settings import Neptune2Settings


def make_source(settings: Neptune2Settings) -> Source:
    """The factory of the source. Raises what `Connection` does."""
    from neptune_exporter_neptune2.source import Neptune2Source

    return Neptune2Source(settings)


@hookimpl
def neptune_exporter_sources() -> Iterable[SourceSpec]:
    return [
        SourceSpec(
            name="neptune2",
            summary="a Neptune 2.x server: runs, models and model versions",
            factory=make_source,
            settings=Neptune2Settings,
            capabilities=SourceCapabilities(
                discovers_projects=True,
                archived_runs=True,
                runs_query=True,
                models=True,
                modification_times=True,
            ),
        )
    ]
