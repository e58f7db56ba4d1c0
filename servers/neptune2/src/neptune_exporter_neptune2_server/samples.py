"""Sample runs of the testing kit as projects of the server, as far as Neptune 2 can hold them."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from neptune_exporter.model import AttributeType, RunKind, SysAttribute
from neptune_exporter.testing.runs import (
    FIRST_TIME,
    Entry,
    SampleAttribute,
    SampleFile,
    SampleRun,
    artifact,
    parameter,
)
from neptune_exporter_neptune2_server.attributes import (
    Artifact,
    ArtifactFile,
    Attribute,
    Bool,
    Datetime,
    File,
    FileSet,
    Float,
    FloatSeries,
    Image,
    ImageSeries,
    Int,
    String,
    StringSeries,
    StringSet,
)
from neptune_exporter_neptune2_server.project import FakeContainer, FakeProject, Kind, stable_id

_KINDS: dict[RunKind, Kind] = {
    RunKind.RUN: "run",
    RunKind.MODEL: "model",
    RunKind.MODEL_VERSION: "modelVersion",
}


def held(sample: SampleRun) -> SampleRun:
    """The sample as a Neptune 2 server has it.

    Without histograms and integers beyond 32 bits; every point has a time; `sys/id` is the run's id.
    """
    run = sample.adapted(_held).plus(
        parameter(SysAttribute.ID, sample.key.run_id), parameter(SysAttribute.TRASHED, sample.archived)
    )
    if sample.modified_at is not None:
        run = run.plus(parameter(SysAttribute.MODIFICATION_TIME, sample.modified_at))
    if sample.key.kind is RunKind.MODEL_VERSION:
        run = run.plus(parameter("sys/model_id", sample.key.run_id.rpartition("-")[0]))
    return run


def projects_of(samples: Iterable[SampleRun]) -> list[FakeProject]:
    """Projects that hold these samples, which must be `held`."""
    projects: dict[str, FakeProject] = {}
    for sample in samples:
        workspace, _, name = sample.key.project_id.partition("/")
        project = projects.setdefault(sample.key.project_id, FakeProject(workspace, name))
        project.containers.append(container_of(sample))
    return list(projects.values())


def container_of(sample: SampleRun) -> FakeContainer:
    key = sample.key
    attributes = {a.path: _attribute(a) for a in sample.attributes}
    return FakeContainer(
        _KINDS[key.kind],
        stable_id("container", key.project_id, key.kind, key.run_id),
        key.run_id,
        attributes,
    )


def _held(attribute: SampleAttribute) -> SampleAttribute | None:
    if attribute.type is AttributeType.HISTOGRAM_SERIES:
        return None
    if attribute.type is AttributeType.INT and not -(2**31) <= int(str(attribute.value)) < 2**31:
        return None
    if attribute.type is AttributeType.ARTIFACT:
        files = [_artifact_json(f) for f in json.loads(_content(attribute.value))]
        return artifact(attribute.path, json.dumps(files).encode())
    if attribute.type.is_series:
        timed = (replace(e, timestamp=e.timestamp or FIRST_TIME) for e in attribute.entries)
        return replace(attribute, entries=tuple(timed))
    return attribute


def _attribute(attribute: SampleAttribute) -> Attribute:
    if attribute.type.is_series:
        return _series(attribute)
    return _MAKERS[attribute.type](attribute.value)


def _series(attribute: SampleAttribute) -> Attribute:
    kind, entries = attribute.type, attribute.entries
    if kind is AttributeType.FILE_SERIES:
        return ImageSeries(tuple(map(_image, entries)))
    steps = [float(e.step or 0) for e in entries]
    times = [_milliseconds(e.timestamp) for e in entries]
    if kind is AttributeType.STRING_SERIES:
        return StringSeries([str(e.value) for e in entries], steps, times)
    return FloatSeries([float(str(e.value)) for e in entries], steps, times)


def _file(value: Any) -> File:
    stem, dot, extension = value.name.rpartition(".")
    return File(value.content, extension if dot else "", value.name if dot and stem else None)


def _image(entry: Entry) -> Image:
    return Image(_content(entry.value), float(entry.step or 0), _milliseconds(entry.timestamp))


def _members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _artifact_json(listed: dict[str, Any]) -> dict[str, Any]:
    """As the server lists it."""
    return {
        "filePath": listed["filePath"],
        "fileHash": listed["fileHash"],
        "type": listed["type"],
        "size": listed.get("size"),
        "metadata": listed.get("metadata", []),
    }


def _artifact_file(listed: dict[str, Any]) -> ArtifactFile:
    metadata = {entry["key"]: entry["value"] for entry in listed["metadata"]}
    return ArtifactFile(listed["filePath"], listed["fileHash"], listed["size"], listed["type"], metadata)


def _content(value: object) -> bytes:
    assert isinstance(value, SampleFile)
    return value.content


def _milliseconds(time: datetime | None) -> int:
    return round((time or FIRST_TIME).timestamp() * 1000)


_MAKERS: dict[AttributeType, Callable[[Any], Attribute]] = {
    AttributeType.FLOAT: Float,
    AttributeType.INT: Int,
    AttributeType.STRING: String,
    AttributeType.BOOL: Bool,
    AttributeType.DATETIME: Datetime,
    AttributeType.STRING_SET: lambda value: StringSet(frozenset(value)),
    AttributeType.FILE: _file,
    AttributeType.FILE_SET: lambda value: FileSet(_members(value.content)),
    AttributeType.ARTIFACT: lambda value: Artifact(tuple(map(_artifact_file, json.loads(value.content)))),
}
"""What makes an attribute of a value, for every type that is no series."""
