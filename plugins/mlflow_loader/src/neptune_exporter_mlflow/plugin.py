"""Registers the loader. Imports nothing heavy: the loading code is imported by the factory."""

from __future__ import annotations

from collections.abc import Iterable

from neptune_exporter.contract import LoadOptions, Sink, SinkSpec, hookimpl
from neptune_exporter_mlflow.estimate import requests
from neptune_exporter_mlflow.settings import CAPABILITIES, MlflowSettings, divided


def make_sink(settings: MlflowSettings, options: LoadOptions) -> Sink:
    """The factory of the loader. Raises what `connected` and `DirectPoints` do."""
    from neptune_exporter_mlflow.connecting import connected
    from neptune_exporter_mlflow.direct import DirectPoints
    from neptune_exporter_mlflow.loader import MlflowLoader

    client = connected(settings)  # which makes the tables of a new database
    direct = DirectPoints(settings.direct_database.reveal()) if settings.direct_database else None
    return MlflowLoader(client, settings, options, direct)


@hookimpl
def neptune_exporter_sinks() -> Iterable[SinkSpec]:
    return [
        SinkSpec(
            name="mlflow",
            summary="MLflow (server, database, Databricks): metrics, params, tags, artifacts, nested runs",
            factory=make_sink,
            settings=MlflowSettings,
            capabilities=CAPABILITIES,
            divided=divided,
            requests=requests,
        )
    ]
