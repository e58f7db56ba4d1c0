"""What the processes of a load tell each other: JSON, a line each. See `processes` and `load_worker`.

    to a worker                               its answer
    {sink, settings, options, …}              {id: 0, ready: true}
    {id, run, place, parts, found, parent}    {id, loaded: {…}}
    {id, report: true}                        {id, report: {…}}
    {interrupt: true}                         none

An answer may be `{id, error, message}` instead, and between answers come `{log: [level, name, text]}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

from neptune_exporter.configuration import setting_fields
from neptune_exporter.contract import (
    AuthenticationError,
    DatasetError,
    LoadedRun,
    LoadOptions,
    Loss,
    MissingDependencyError,
    MissingFileError,
    NeptuneExporterError,
    Secret,
    SinkError,
    UnsafePathError,
    UsageError,
)
from neptune_exporter.jobs.failing import why_failed
from neptune_exporter.model import RunKey, RunKind

Message: TypeAlias = "Mapping[str, Any]"

_ERRORS: Mapping[str, type[NeptuneExporterError]] = {
    kind.__name__: kind
    for kind in (
        AuthenticationError,
        DatasetError,
        MissingDependencyError,
        MissingFileError,
        SinkError,
        UnsafePathError,
        UsageError,
    )
}


def settings_message(plugin: str, settings: Any) -> Message:
    """The settings of a plugin, secrets included: for a pipe, and nothing else."""
    kind: type = type(settings)
    values: dict[str, Any] = {}
    for field in setting_fields(plugin, kind):
        value = getattr(settings, field.name)
        if isinstance(value, Secret):
            value = value.reveal()
        values[field.name] = str(value) if isinstance(value, Path) else value
    return values


def settings_of(plugin: str, kind: type, message: Message) -> object:
    """The inverse of `settings_message`."""
    values: dict[str, Any] = {}
    for field in setting_fields(plugin, kind):
        value = message[field.name]
        if value is not None and field.multiple:
            value = tuple(value)
        elif value is not None and field.type in (Secret, Path):
            value = field.type(value)
        values[field.name] = value
    return kind(**values)


def options_message(options: LoadOptions) -> Message:
    multiplier = options.step_multiplier
    return {**asdict(options), "step_multiplier": None if multiplier is None else str(multiplier)}


def options_of(message: Message) -> LoadOptions:
    """The inverse of `options_message`."""
    multiplier = message["step_multiplier"]
    return LoadOptions(**{**message, "step_multiplier": None if multiplier is None else Decimal(multiplier)})


def key_message(key: RunKey) -> Message:
    return {"project_id": key.project_id, "run_id": key.run_id, "kind": key.kind.value}


def key_of(message: Message) -> RunKey:
    """The inverse of `key_message`."""
    return RunKey(message["project_id"], message["run_id"], RunKind(message["kind"]))


def loaded_message(loaded: LoadedRun) -> Message:
    losses = [
        {**vars(loss), "run": key_message(loss.run), "count": int(loss.count)} for loss in loaded.losses
    ]
    return {**vars(loaded), "counts": report_message(loaded.counts), "losses": losses}


def loaded_of(message: Message) -> LoadedRun:
    """The inverse of `loaded_message`."""
    losses = tuple(Loss(**{**loss, "run": key_of(loss["run"])}) for loss in message["losses"])
    return LoadedRun(**{**message, "losses": losses})


def report_message(report: Mapping[str, str | int]) -> Message:
    """Numbers may be those of a library, which are none of JSON's."""
    return {label: value if isinstance(value, str) else int(value) for label, value in report.items()}


def error_message(error: Exception, what: object = "") -> Message:
    """An error, by the nearest kind that the contract names; one that nobody foresaw is a `SinkError`."""
    kind = next((k.__name__ for k in type(error).__mro__ if k.__name__ in _ERRORS), SinkError.__name__)
    return {"error": kind, "message": why_failed(what, error)}


def error_of(message: Message) -> NeptuneExporterError:
    """The inverse of `error_message`."""
    return _ERRORS[message["error"]](message["message"])
