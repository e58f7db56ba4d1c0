"""Registers the source. Imports nothing heavy: the reading code is imported by the factory."""

from __future__ import annotations

from collections.abc import Iterable

from neptune_exporter.contract import Source, SourceCapabilities, SourceSpec, hookimpl
from neptune_exporter_offline.settings import OfflineSettings


def make_source(settings: OfflineSettings) -> Source:
    """The factory of the source."""
    from neptune_exporter_offline.source import OfflineSource

    return OfflineSource(settings)


@hookimpl
def neptune_exporter_sources() -> Iterable[SourceSpec]:
    return [
        SourceSpec(
            name="offline",
            summary=".neptune folders of both clients that were never synced (no server, no token)",
            factory=make_source,
            settings=OfflineSettings,
            capabilities=SourceCapabilities(
                discovers_projects=True,
                metric_previews=True,
                models=True,
                modification_times=True,
                needs_project=False,
            ),
        )
    ]
