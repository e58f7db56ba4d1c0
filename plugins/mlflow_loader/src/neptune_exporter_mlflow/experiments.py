"""The experiments for the loaded runs: named by the user's template, and found again by a tag."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from neptune_exporter.contract import SinkError, chunked
from neptune_exporter.sinks.metadata import RunMetadata
from neptune_exporter.sinks.names import digest
from neptune_exporter.sinks.templates import filled
from neptune_exporter_mlflow.connecting import answered_id
from neptune_exporter_mlflow.names import FILES, fitting
from neptune_exporter_mlflow.settings import MlflowSettings

_TAG, _VALUE = "neptune.loader", "neptune-exporter"
_ASKED_TOGETHER = 100
_NO_EXPERIMENT = "default"


def _all(ask: Callable[..., Any]) -> Iterator[Any]:
    """What is on all pages of an answer."""
    page = ask()
    yield from page
    while page.token:
        page = ask(page_token=page.token)
        yield from page


def _folder(name: str) -> str:
    return f"{FILES.clean(name).replace('/', '_')}-{digest(name)}"


class Experiments:
    """Finds and makes experiments. Errors are MLflow's own."""

    def __init__(self, client: MlflowClient, settings: MlflowSettings) -> None:
        self._client = client
        self._settings = settings
        self._ids: dict[str, str] = {}
        self._lock = threading.Lock()

    def runs(self, query: str) -> list[Run]:
        """All runs that match a filter, of experiments with the loader's tag."""
        marked = f"tags.`{_TAG}` = '{_VALUE}'"
        ids = [e.experiment_id for e in _all(partial(self._client.search_experiments, filter_string=marked))]
        found: list[Run] = []
        for some in chunked(ids, _ASKED_TOGETHER):
            found += _all(partial(self._client.search_runs, some, query))
        return found

    def of(self, run: RunMetadata) -> str:
        """The id of a run's experiment, which is made where it is not there. Raises SinkError if the
        experiment was deleted, which keeps its name taken."""
        name = fitting(filled(self._settings.experiment, run, _NO_EXPERIMENT))
        with self._lock:
            if name not in self._ids:
                self._ids[name] = self._found(name) or self._made(name)
            return self._ids[name]

    def _found(self, name: str) -> str | None:
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            return None
        experiment_id = answered_id(self._client, experiment.experiment_id)
        if experiment.lifecycle_stage != "active":
            raise SinkError(
                f"the experiment {name!r} was deleted in MLflow: restore it (`mlflow experiments restore "
                f"--experiment-id {experiment_id}`) or give another --mlflow-experiment"
            )
        if _TAG not in experiment.tags:
            self._client.set_experiment_tag(experiment_id, _TAG, _VALUE)
        return experiment_id

    def _made(self, name: str) -> str:
        location = self._settings.artifact_location
        if location is not None:
            location = f"{location.rstrip('/')}/{_folder(name)}"
        try:
            return answered_id(self._client, self._client.create_experiment(name, location, {_TAG: _VALUE}))
        except MlflowException:
            found = self._found(name)  # another load has made it meanwhile
            if found is None:
                raise
            return found
