"""Models of Neptune are in MLflow's registry; their versions refer to the runs that hold their data."""

from __future__ import annotations

import pytest

from neptune_exporter.contract import Verdict
from neptune_exporter.model import RunKey, RunKind
from neptune_exporter.sinks.metadata import RunMetadata
from neptune_exporter.sinks.templates import filled
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.runs import SampleRun, file, parameter
from neptune_exporter_mlflow.registry import registered_name

from .conftest import MakeSink

MODEL = SampleRun(RunKey("acme/vision", "VIS-MOD", RunKind.MODEL), (parameter("sys/description", "a net"),))
VERSION = SampleRun(
    RunKey("acme/vision", "VIS-MOD-7", RunKind.MODEL_VERSION), (file("binary", b"onnx", ".onnx"),)
)
NAME = "acme.vision.VIS-MOD"


def test_a_model_and_its_version_are_registered_once(make_sink: MakeSink) -> None:
    """Also where the version is loaded first, and where it is loaded again because it has changed."""
    sink = make_sink()
    changed = SampleRun(VERSION.key, (*VERSION.attributes, parameter("sys/description", "tuned")))
    for each in (VERSION, MODEL, VERSION, changed):
        loaded = sink.load(MemoryRun(each), None)
    model = sink.client.get_registered_model(NAME)
    assert (model.description, model.tags["neptune.run_id"]) == ("a net", "VIS-MOD")
    (version,) = sink.client.search_model_versions("")
    assert (version.name, version.run_id, version.description) == (NAME, loaded.target_id, "tuned")
    assert version.tags == {"neptune.project": "acme/vision", "neptune.run_id": "VIS-MOD-7"}
    assert version.source == sink.client.get_run(loaded.target_id).info.artifact_uri


def test_a_version_that_is_gone_from_the_registry_is_reported_and_registered_again(
    make_sink: MakeSink,
) -> None:
    sink = make_sink()
    sink.load(MemoryRun(VERSION), None)
    assert {c.verdict for c in sink.verify(MemoryRun(VERSION))} == {Verdict.EQUAL}
    sink.confirm(MemoryRun(VERSION))
    sink.client.delete_model_version(NAME, "1")
    missing = [c for c in sink.verify(MemoryRun(VERSION)) if c.verdict is Verdict.MISSING]
    assert [(c.item, c.expected) for c in missing] == [("model version in the registry", NAME)]
    assert sink.load(MemoryRun(VERSION), None).already_loaded
    assert {c.verdict for c in sink.verify(MemoryRun(VERSION))} == {Verdict.EQUAL}


@pytest.mark.parametrize(
    ("project", "name", "experiment"),
    [
        ("acme/vision", "acme.vision.M", "acme-vision"),
        ("a/b/c", "a.b_c.M", "a-b/c"),
        ("vision", ".vision.M", "-vision"),
    ],
)
def test_models_and_experiments_have_one_rule_for_workspaces(
    project: str, name: str, experiment: str
) -> None:
    key = RunKey(project, "M", RunKind.MODEL)
    assert registered_name(key).startswith(name)
    run = RunMetadata.of(MemoryRun(SampleRun(key, ())))
    assert filled("{workspace}-{project}", run) == experiment


@pytest.mark.parametrize(
    ("one", "other"),
    [("a.b/c", "a/b.c"), ("a/b:c", "a/b_c"), ("a/b/c", "a/b_c"), ("a/" + "b" * 300, "a/" + "b" * 301)],
)
def test_no_two_models_get_one_name(one: str, other: str) -> None:
    names = {registered_name(RunKey(project, "M", RunKind.MODEL)) for project in (one, other)}
    assert len(names) == 2
    assert all(len(name.encode()) <= 250 and not set(name) & set("/:") for name in names)
