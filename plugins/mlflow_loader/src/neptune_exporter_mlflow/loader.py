"""Loads runs into MLflow with its public client.

A new run has the tags `neptune.mark`, by which every machine finds it, and `neptune.begun`. The tag
`neptune.record` is written last: it marks the run as complete.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path, PurePosixPath

from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_IMAGES

from neptune_exporter.contract import Comparison, ExportedRun, LoadedRun, LoadOptions, ParameterValue, Verdict
from neptune_exporter.model import RunKind
from neptune_exporter.sinks.comparing import Held
from neptune_exporter.sinks.found import Found
from neptune_exporter.sinks.loader import Loader
from neptune_exporter.sinks.metadata import RunMetadata
from neptune_exporter.sinks.points import Points
from neptune_exporter.sinks.received import FileToSend
from neptune_exporter.sinks.values import as_text
from neptune_exporter.sinks.walk import made_text
from neptune_exporter.toolkit.filekinds import FileKind
from neptune_exporter_mlflow import registry
from neptune_exporter_mlflow.connecting import answered_id, shown, tracking_uri, translated
from neptune_exporter_mlflow.direct import DirectPoints
from neptune_exporter_mlflow.estimate import BATCH_PARAMETERS, BATCH_POINTS
from neptune_exporter_mlflow.experiments import Experiments
from neptune_exporter_mlflow.names import (
    FILES,
    KEYS,
    LONGEST_TAG,
    SHOWN_KINDS,
    beginning,
    fitting,
    image_name,
    is_shown,
    thumbnail,
)
from neptune_exporter_mlflow.reading import LONG_VALUES, RunReader, moment, shown_value
from neptune_exporter_mlflow.settings import CAPABILITIES, MlflowSettings

_BATCH_CHARACTERS = 200_000
"""The characters of parameters in one request, which may have a megabyte."""
_STATUS = {"finished": "FINISHED", "failed": "FAILED"}


class MlflowLoader(Loader):
    """Args:
    client: From `connected`.
    direct: Writes the points instead of the client.
    """

    capabilities = CAPABILITIES
    names = KEYS
    file_names = FILES
    infinity = 1.7976931348623157e308
    tables = True

    def __init__(
        self,
        client: MlflowClient,
        settings: MlflowSettings,
        options: LoadOptions,
        direct: DirectPoints | None = None,
    ) -> None:
        super().__init__(options)
        self._direct = direct
        self.uri = tracking_uri(settings)
        self.client = client
        # Databricks' registry takes only models with a signature, under names of three parts.
        self._has_registry = not self.uri.startswith("databricks")
        self._showing_images: set[str] = set()
        self._experiments = Experiments(client, settings)
        self._turn: AbstractContextManager[object] = (
            threading.Lock() if self.uri.startswith("sqlite") else nullcontext()
        )

    @contextmanager
    def mlflow(self) -> Iterator[MlflowClient]:
        """The client, with its errors translated; one thread at a time where SQLite takes only one."""
        with self._turn, translated(f"MLflow at {shown(self.uri)}"):
            yield self.client

    def find(self, mark: str) -> Sequence[Found]:
        with self.mlflow():
            runs = self._experiments.runs(f"tags.`neptune.mark` = '{mark}'")
        runs.sort(key=lambda run: (run.data.tags.get("neptune.begun", ""), run.info.run_id))
        return [Found(run.info.run_id, run.data.tags.get("neptune.record", "")) for run in runs]

    def discard(self, target_id: str) -> None:
        with self.mlflow() as client:
            run = client.get_run(target_id)
            if "neptune.kind" in run.data.tags and self._has_registry:
                for version in registry.versions(client, target_id):
                    client.delete_model_version(*version)
            if run.info.lifecycle_stage == "active":
                client.delete_run(target_id)

    def begin(self, run: RunMetadata) -> str:
        with self.mlflow() as client:
            experiment = self._experiments.of(run)
            made = client.create_run(experiment, moment(run.created), _tags(run), fitting(run.name))
            return answered_id(client, made.info.run_id)

    def parameters(self, target_id: str, values: Mapping[str, ParameterValue]) -> None:
        texts = {name: as_text(value) for name, value in values.items()}
        shown = {name: shown_value(text) for name, text in texts.items()}
        batch: list[Param] = []
        characters = 0
        for name, text in shown.items():
            if len(batch) == BATCH_PARAMETERS or characters + len(text) > _BATCH_CHARACTERS:
                self._log(target_id, params=batch)
                batch, characters = [], 0
            batch.append(Param(name, text))
            characters += len(text)
        self._log(target_id, params=batch)
        long = {name: text for name, text in texts.items() if shown[name] != text}
        if long:
            self.file(target_id, made_text(LONG_VALUES, json.dumps(long, indent=1).encode()))

    def points(self, target_id: str, names: Sequence[str], points: Points) -> None:
        if self._direct is not None:
            with self._turn:
                self._direct.write(target_id, names, points)
            return
        for start in range(0, len(points), BATCH_POINTS):
            # The newest first: MLflow changes what is the latest of a series with each point that is newer.
            batch = points[start : start + BATCH_POINTS][::-1]
            columns = (batch.series, batch.value, batch.time, batch.step)
            rows = zip(*(column.tolist() for column in columns), strict=True)
            self._log(target_id, [Metric(names[series], *rest) for series, *rest in rows])
            self.check_interrupted()

    def _log(self, target_id: str, metrics: Sequence[Metric] = (), params: Sequence[Param] = ()) -> None:
        with self.mlflow() as client:
            client.log_batch(target_id, metrics=metrics, params=params)

    def file(self, target_id: str, file: FileToSend) -> None:
        folder, name = PurePosixPath(file.unique_name).parent, PurePosixPath(file.unique_name).name
        with tempfile.TemporaryDirectory(prefix="neptune-exporter-") as temporary:
            copy = Path(temporary, name)
            with file.open() as source, copy.open("wb") as target:
                shutil.copyfileobj(source, target)
            self._log_artifact(target_id, copy, folder)
            if is_shown(file.unique_name):
                self._log_artifact(target_id, copy.rename(Path(temporary, thumbnail(name))), folder)
                self._show_images(target_id)

    def _log_artifact(self, target_id: str, copy: Path, folder: PurePosixPath) -> None:
        with self.mlflow() as client:
            client.log_artifact(target_id, str(copy), None if str(folder) == "." else str(folder))

    def _show_images(self, target_id: str) -> None:
        if target_id not in self._showing_images:
            with self.mlflow() as client:
                client.set_tag(target_id, MLFLOW_LOGGED_IMAGES, "True")
            self._showing_images.add(target_id)

    def shown_name(self, path: str, step: int, time: int, kind: FileKind) -> str | None:
        return image_name(path, step, time, kind.extension) if kind.extension in SHOWN_KINDS else None

    def finish(self, target_id: str, run: RunMetadata, record: str) -> None:
        with self.mlflow() as client:
            if run.status in _STATUS:
                client.set_terminated(target_id, _STATUS[run.status], moment(run.ended))
            if self._has_registry:
                registry.register(client, run, target_id)
        self.replace_record(target_id, record)

    def replace_record(self, target_id: str, record: str) -> None:
        with self.mlflow() as client:
            client.set_tag(target_id, "neptune.record", record)

    def load(self, run: ExportedRun, parent: LoadedRun | None) -> LoadedRun:
        """A model version that is gone from the registry is registered again."""
        loaded = super().load(run, parent)
        if loaded.already_loaded and run.key.kind is RunKind.MODEL_VERSION and self._has_registry:
            with self.mlflow() as client:
                if not registry.versions(client, loaded.target_id):
                    registry.register(client, RunMetadata.of(run), loaded.target_id)
        return loaded

    def verify(self, run: ExportedRun, *, full: bool = False) -> Iterator[Comparison]:
        """A model version is also looked for in the registry."""
        yield from super().verify(run, full=full)
        if run.key.kind is RunKind.MODEL_VERSION and self._has_registry:
            for found in [f for f in self.find(RunMetadata.mark_of(run.key)) if f.record][:1]:
                with self.mlflow() as client:
                    there = registry.versions(client, found.target_id)
                verdict = Verdict.EQUAL if len(there) == 1 else Verdict.EXTRA if there else Verdict.MISSING
                expected = registry.registered_name(run.key)
                yield Comparison(run.key, "model version in the registry", verdict, expected, str(there))

    def read_back(self, target_id: str) -> Held:
        with self.mlflow() as client:
            return RunReader(client, target_id, self.mlflow).held()

    def close(self) -> None:
        if self._direct is not None:
            self._direct.close()

    def url(self, target_id: str) -> str | None:
        if not self.uri.startswith("http"):
            return None
        with self.mlflow() as client:
            experiment = client.get_run(target_id).info.experiment_id
        return f"{shown(self.uri).rstrip('/')}/#/experiments/{experiment}/runs/{target_id}"


def _tags(run: RunMetadata) -> dict[str, str]:
    """Tags that MLflow shows, and by which it finds the run. The parameters have in full what is cut here."""
    tags: dict[str, object] = {
        "neptune.mark": run.mark,
        "neptune.begun": f"{time.time_ns():020}",
        "neptune.project": run.key.project_id,
        "neptune.run_id": run.key.run_id,
        "neptune.kind": None if run.key.kind is RunKind.RUN else run.key.kind.value,
        "neptune.url": run.url,
        "neptune.name": None if fitting(run.name) == run.name else run.name,
        "neptune.tags": _listed(run.tags),
        "neptune.group_tags": _listed(run.group_tags),
        "neptune.created": run.created,
        "neptune.ended": None if run.status == "active" else run.ended,
        "neptune.fork.parent": run.fork_parent and run.fork_parent.run_id,
        "neptune.fork.step": run.fork_step,
        "mlflow.parentRunId": run.parent_id,
        "mlflow.note.content": run.description,
        "mlflow.user": run.owner,
    }
    where = "(cut here: the parameters have all of it)"
    there = {key: str(value) for key, value in tags.items() if value not in (None, "")}
    return {key: beginning(text, LONGEST_TAG, where) for key, text in there.items()}


def _listed(tags: Sequence[str]) -> str:
    return json.dumps(tags, ensure_ascii=False) if tags else ""
