"""Logs sample runs with the real neptune-scale in offline mode."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

from neptune_exporter.model import AttributeType, RunKind, SysAttribute
from neptune_exporter.testing.runs import (
    FIRST_TIME,
    Entry,
    SampleAttribute,
    SampleFile,
    SampleHistogram,
    SampleRun,
    canonical_step,
    parameter,
)

_MAX_STEP = 10**12
_ATOMS = frozenset(
    {
        AttributeType.FLOAT,
        AttributeType.INT,
        AttributeType.STRING,
        AttributeType.BOOL,
        AttributeType.DATETIME,
        AttributeType.STRING_SET,
    }
)
_BY_CREATION = frozenset(
    {
        SysAttribute.NAME,
        SysAttribute.CUSTOM_RUN_ID,
        SysAttribute.CREATION_TIME,
        SysAttribute.FORK_PARENT,
        SysAttribute.FORK_STEP,
    }
)
"""Arguments with which the client creates the run."""


def can_hold(sample: SampleRun) -> bool:
    """Whether the client takes such a run id; it knows neither models nor archived runs."""
    run_id = sample.key.run_id
    return sample.key.kind is RunKind.RUN and not sample.archived and "/" not in run_id


def write_run(sample: SampleRun, directory: Path) -> SampleRun:
    """Log a sample into a folder below `directory`.

    Returns:
        The sample as a reader must find it: without what the client cannot hold, with what it adds.
    """
    from neptune_scale import Run

    held = sample.adapted(_held)
    created = sample.created_at or FIRST_TIME
    parent = sample.parent
    run = Run(
        run_id=sample.key.run_id,
        project=sample.key.project_id,
        mode="offline",
        experiment_name=sample.name,
        creation_time=created,
        fork_run_id=None if parent is None else parent.run_id,
        fork_step=None if sample.fork_step is None else float(sample.fork_step),
        log_directory=directory,
        source_tracking_config=None,
        enable_console_log_capture=False,
    )
    for attribute in held.attributes:
        if attribute.path not in _BY_CREATION:
            _LOGGERS[attribute.type](run, attribute)
    run.close()
    added = [
        parameter(SysAttribute.CUSTOM_RUN_ID, sample.key.run_id),
        parameter(SysAttribute.CREATION_TIME, created),
    ]
    if parent is None:
        added.append(parameter("sys/family", sample.key.run_id))
    return held.plus(*added)


def _held(attribute: SampleAttribute) -> SampleAttribute | None:
    if attribute.path in (SysAttribute.ID, SysAttribute.MODIFICATION_TIME, SysAttribute.FAILED):
        return None  # the server's
    if attribute.type in (AttributeType.FILE_SET, AttributeType.ARTIFACT):
        return None
    if not attribute.type.is_series:
        return attribute
    entries = (_held_entry(entry) for entry in attribute.entries)
    return replace(attribute, entries=tuple(e for e in entries if e is not None))


def _held_entry(entry: Entry) -> Entry | None:
    if entry.step is None or not 0 <= entry.step < _MAX_STEP or entry.timestamp is None:
        return None
    value = entry.value
    if isinstance(value, SampleHistogram) and not _can_count(value):
        return None
    # The client cuts steps after six decimals.
    millionths = int(round(float(entry.step) * 1e6, 6))
    return replace(entry, step=canonical_step(Decimal(millionths) / 10**6))


def _can_count(histogram: SampleHistogram) -> bool:
    return histogram.kind != "COUNTING" or all(v.is_integer() for v in histogram.values)


def _log_atom(run: Any, attribute: SampleAttribute) -> None:
    value = attribute.value
    if attribute.path in (SysAttribute.TAGS, SysAttribute.GROUP_TAGS):
        assert isinstance(value, tuple)
        run.add_tags(list(value), group_tags=attribute.path == SysAttribute.GROUP_TAGS)
    else:
        run.log_configs({attribute.path: list(value) if isinstance(value, tuple) else value})


def _log_floats(run: Any, attribute: SampleAttribute) -> None:
    for entry in attribute.entries:
        run.log_metrics({attribute.path: entry.value}, **_place(entry), preview=entry.preview)


def _log_strings(run: Any, attribute: SampleAttribute) -> None:
    for entry in attribute.entries:
        run.log_string_series({attribute.path: entry.value}, **_place(entry))


def _log_histograms(run: Any, attribute: SampleAttribute) -> None:
    from neptune_scale.types import Histogram

    for entry in attribute.entries:
        sample = entry.value
        assert isinstance(sample, SampleHistogram)
        if sample.kind == "COUNTING":
            histogram = Histogram(list(sample.edges), counts=[int(v) for v in sample.values])
        else:
            histogram = Histogram(list(sample.edges), densities=list(sample.values))
        run.log_histograms({attribute.path: histogram}, **_place(entry))


def _assign_file(run: Any, attribute: SampleAttribute) -> None:
    assert isinstance(attribute.value, SampleFile)
    run.assign_files({attribute.path: attribute.value.content})


def _log_files(run: Any, attribute: SampleAttribute) -> None:
    for entry in attribute.entries:
        assert isinstance(entry.value, SampleFile)
        run.log_files({attribute.path: entry.value.content}, **_place(entry))


def _place(entry: Entry) -> dict[str, Any]:
    assert entry.step is not None and entry.timestamp is not None
    # Naive local times, as most people log them.
    timestamp = entry.timestamp.astimezone().replace(tzinfo=None)
    if timestamp.timestamp() != entry.timestamp.timestamp():  # in the hour that a clock change repeats
        timestamp = datetime.fromtimestamp(entry.timestamp.timestamp(), timezone.utc)
    return {"step": float(entry.step), "timestamp": timestamp}


_LOGGERS: Mapping[AttributeType, Callable[[Any, SampleAttribute], None]] = {
    **dict.fromkeys(_ATOMS, _log_atom),
    AttributeType.FLOAT_SERIES: _log_floats,
    AttributeType.STRING_SERIES: _log_strings,
    AttributeType.HISTOGRAM_SERIES: _log_histograms,
    AttributeType.FILE: _assign_file,
    AttributeType.FILE_SERIES: _log_files,
}
