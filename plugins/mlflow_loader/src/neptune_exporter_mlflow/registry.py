"""Neptune's models in MLflow's registry. Their attributes and files are in runs, to which the versions refer.

Seen with MLflow 3.17.2, on SQLite and through its server: a version need not be a model in MLflow's own
format, the registry numbers the versions of a model itself, and names contain no `/` and no `:`.
"""

from __future__ import annotations

import re

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode

from neptune_exporter.model import RunKey, RunKind, workspace_and_project
from neptune_exporter.sinks.metadata import RunMetadata
from neptune_exporter.sinks.names import NameRule, digest
from neptune_exporter_mlflow.names import LONGEST_TAG, beginning

_EXISTS = ErrorCode.Name(RESOURCE_ALREADY_EXISTS)
_MODELS = NameRule(250, "bytes", lambda name: re.sub("[/:]", "_", name))


def register(client: MlflowClient, run: RunMetadata, target_id: str) -> None:
    """Make the registered model of a model or of its version, and the version, which refers to the run."""
    if run.key.kind is RunKind.RUN:
        return
    name = registered_name(run.key)
    description = beginning(run.description, LONGEST_TAG, "(cut here: the run has all of it)")
    tags = {"neptune.project": run.key.project_id, "neptune.run_id": run.key.run_id}
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != _EXISTS:
            raise
    if run.key.kind is RunKind.MODEL:
        client.update_registered_model(name, description)
        for key, value in {**tags, "neptune.target_id": target_id}.items():
            client.set_registered_model_tag(name, key, value)
    else:
        source = client.get_run(target_id).info.artifact_uri
        client.create_model_version(name, source, target_id, tags, description=description)


def versions(client: MlflowClient, target_id: str) -> list[tuple[str, str]]:
    """Name and number of the versions that refer to a run."""
    found = client.search_model_versions(f"run_id = '{target_id}'")
    return [(version.name, version.version) for version in found]


def registered_name(key: RunKey) -> str:
    """Project and model, with a digest where another model could have the same name.

    The id of a version is that of its model, a dash and a number.

    Examples:
        >>> registered_name(RunKey("acme/vision", "VIS-MOD-1", RunKind.MODEL_VERSION))
        'acme.vision.VIS-MOD'
    """
    model = key.run_id if key.kind is RunKind.MODEL else key.run_id.rpartition("-")[0]
    workspace, project = workspace_and_project(key.project_id)
    name = f"{workspace}.{project}.{model}"
    unique = "." not in workspace + project and _MODELS.takes(name)
    return name if unique else _MODELS.marked(name, digest(key.project_id, model))
