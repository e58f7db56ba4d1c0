"""Sample runs of the conformance kit as the local server holds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from neptune_exporter.model import AttributeType, RunKind, SysAttribute
from neptune_exporter.testing import SampleAttribute, SampleFile, SampleHistogram, SampleRun, parameter
from neptune_exporter.testing.runs import Entry

from .model import (
    FakeFile,
    FakeProject,
    FakeRun,
    FileSeries,
    FloatSeries,
    Histogram,
    HistogramSeries,
    StringSeries,
    Value,
)
from .values import millis

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_ABSENT = frozenset({AttributeType.FILE_SET, AttributeType.ARTIFACT})


def held_by_neptune3(samples: Sequence[SampleRun]) -> list[SampleRun]:
    """What of the corpus Neptune 3 can hold: no models, no file sets, a time for every point."""
    runs = (sample for sample in samples if sample.key.kind is RunKind.RUN)
    return [_held(sample, number) for number, sample in enumerate(runs, 1)]


def _held(sample: SampleRun, number: int) -> SampleRun:
    run = sample.adapted(_adapted)
    modified = sample.modified_at or _EPOCH + timedelta(days=20_000)
    own = {a.path for a in run.attributes}
    always = [
        parameter(SysAttribute.ID, f"ID-{number}"),
        parameter(SysAttribute.CUSTOM_RUN_ID, sample.key.run_id),
        parameter(SysAttribute.NAME, sample.key.run_id),
        parameter(SysAttribute.CREATION_TIME, _EPOCH + timedelta(days=19_000)),
        parameter(SysAttribute.MODIFICATION_TIME, modified),
        parameter(SysAttribute.FAILED, False),
        parameter(SysAttribute.ARCHIVED, sample.archived),
        parameter(SysAttribute.TRASHED, sample.archived),
    ]
    unique = [always[0], *(a for a in always[1:] if a.path not in own)]
    return replace(run.plus(*unique), modified_at=modified)


def _adapted(attribute: SampleAttribute) -> SampleAttribute | None:
    if attribute.type in _ABSENT:
        return None
    if not attribute.type.is_series:
        return attribute
    entries = (replace(e, timestamp=e.timestamp or _EPOCH) for e in attribute.entries)
    return replace(attribute, entries=tuple(sorted(entries, key=_step)))


def _step(entry: Entry) -> float:
    return float(entry.step or 0)


def projects_of(samples: Sequence[SampleRun]) -> list[FakeProject]:
    names = dict.fromkeys(sample.key.project_id for sample in samples)
    return [FakeProject(n, [_fake(s) for s in samples if s.key.project_id == n]) for n in names]


def _fake(sample: SampleRun) -> FakeRun:
    """With every attribute given, and those that the server would add by itself taken away."""
    attributes: dict[str, Value | None] = {"sys/owner": None, "sys/ping_time": None}
    attributes.update((a.path, _value(a)) for a in sample.attributes)
    sys_id = sample.parameter(SysAttribute.ID)
    return FakeRun(
        sample.key.run_id,
        attributes,
        archived=sample.archived,
        modified=sample.modified_at,
        sys_id=str(sys_id),
    )


def _value(attribute: SampleAttribute) -> Value:
    if attribute.type.is_series:
        return _series(attribute)
    value = attribute.value
    if isinstance(value, SampleFile):
        return _file(value)
    if isinstance(value, tuple):
        return set(value)
    assert not isinstance(value, SampleHistogram)
    return value


def _series(attribute: SampleAttribute) -> Value:
    entries = attribute.entries
    values: list[Any] = [e.value for e in entries]
    steps = [_step(e) for e in entries]
    times = [millis(e.timestamp or _EPOCH) for e in entries]
    if attribute.type is AttributeType.FLOAT_SERIES:
        return FloatSeries(steps, values, times, [e.preview for e in entries])
    if attribute.type is AttributeType.STRING_SERIES:
        return StringSeries(steps, values, times)
    if attribute.type is AttributeType.FILE_SERIES:
        return FileSeries(steps, list(map(_file, values)), times)
    return HistogramSeries(steps, list(map(_histogram, values)), times)


def _histogram(sample: SampleHistogram) -> Histogram:
    return Histogram(sample.edges, sample.values, sample.kind)


def _file(sample: SampleFile) -> FakeFile:
    return FakeFile(sample.content, "image/png" if sample.name.endswith(".png") else "text/plain")
