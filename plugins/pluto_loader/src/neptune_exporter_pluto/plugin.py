"""Registers the loader. Imports nothing heavy: the loading code is imported by the factory."""

from __future__ import annotations

from collections.abc import Iterable

from neptune_exporter.contract import (
    EqualPoints,
    LoadOptions,
    Sink,
    SinkCapabilities,
    SinkSpec,
    UsageError,
    hookimpl,
)
from neptune_exporter_pluto.estimate import requests
from neptune_exporter_pluto.settings import PlutoSettings, divided

CAPABILITIES = SinkCapabilities(
    lowest_step=0,
    highest_step=2**53,
    equal_points=EqualPoints.NEWEST,
    signed_zeros=False,
    earliest_time=0,
    histograms=False,
    verifies=True,
)
"""Pluto's steps are unsigned, a metric has one value a step, a histogram has even bins and whole counts."""


def make_sink(settings: PlutoSettings, options: LoadOptions) -> Sink:
    """The factory of the loader. Raises UsageError for a rehearsal that only compares, and what
    `PlutoSink.connected` or `RehearsalSink.started` does."""
    if settings.rehearse and options.only_compares:
        raise UsageError(
            "--pluto-rehearse starts an empty Pluto, so that `verify` has nothing to compare: "
            "`load --pluto-rehearse` compares what it has loaded"
        )
    if settings.rehearse:
        from neptune_exporter_pluto.rehearse import RehearsalSink

        return RehearsalSink.started(settings, options)
    from neptune_exporter_pluto.sink import PlutoSink

    return PlutoSink.connected(settings, options)


@hookimpl
def neptune_exporter_sinks() -> Iterable[SinkSpec]:
    return [
        SinkSpec(
            name="pluto",
            summary="Pluto (hosted or your own): metrics, histograms, text, logs, files, forks, config",
            factory=make_sink,
            settings=PlutoSettings,
            capabilities=CAPABILITIES,
            divided=divided,
            requests=requests,
        )
    ]
