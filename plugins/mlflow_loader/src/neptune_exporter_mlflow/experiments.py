"""The experiments that this tool loads into: made from the user's template, and found again by a tag."""

from __future__ import annotations

import threading

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from neptune_exporter.contract import SinkError
from neptune_exporter.sinks.metadata import RunMetadata
from neptune_exporter.sinks.names import digest
from neptune_exporter_mlflow.names import FILES, fitting
from neptune_exporter_mlflow.settings import MlflowSettings

_TAG, _VALUE = "neptune.loader", "neptune-exporter"
_ASKED_TOGETHER = 100
_NO_EXPERIMENT = "default"


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
        """All runs of experiments with our tag that a filter of tags finds."""
        ids = self._marked()
        found: list[Run] = []
        for start in range(0, len(ids), _ASKED_TOGETHER):
            some, token = ids[start : start + _ASKED_TOGETHER], None
            while True:
                page = self._client.search_runs(some, query, page_token=token)
                found += page
                token = page.token
                if not token:
                    break
        return found

    def _marked(self) -> list[str]:
        ids: list[str] = []
        token = None
        while True:
            page = self._client.search_experiments(
                filter_string=f"tags.`{_TAG}` = '{_VALUE}'", page_token=token
            )
            ids += [str(experiment.experiment_id) for experiment in page]
            token = page.token
            if not token:
                return ids

    def of(self, run: RunMetadata) -> str:
        """The id of a run's experiment, which is made where it is not there.

        Raises:
            SinkError: the experiment was deleted, which keeps its name taken.
        """
        workspace, _, project = run.key.project_id.partition("/")
        name = fitting(
            self._settings.experiment.format(
                workspace=workspace, project=project, experiment=run.experiment or _NO_EXPERIMENT
            )
        )
        with self._lock:
            if name not in self._ids:
                self._ids[name] = self._found(name) or self._made(name)
            return self._ids[name]

    def _found(self, name: str) -> str | None:
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            return None
        if experiment.lifecycle_stage != "active":
            raise SinkError(
                f"the experiment {name!r} was deleted in MLflow: restore it (`mlflow experiments restore "
                f"--experiment-id {experiment.experiment_id}`) or give another --mlflow-experiment"
            )
        if _TAG not in experiment.tags:
            self._client.set_experiment_tag(experiment.experiment_id, _TAG, _VALUE)
        return str(experiment.experiment_id)

    def _made(self, name: str) -> str:
        location = self._settings.artifact_location
        if location is not None:
            location = f"{location.rstrip('/')}/{_folder(name)}"
        try:
            return str(self._client.create_experiment(name, location, {_TAG: _VALUE}))
        except MlflowException:
            found = self._found(name)  # another load has made it meanwhile
            if found is None:
                raise
            return found
