"""What a run is called, when it was, how it ended, where it came from: all that is told beside the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import orjson

from neptune_exporter.contract import ExportedRun, Parameter
from neptune_exporter.model import RunKey, RunKind, SysAttribute
from neptune_exporter.sinks.names import digest, printable, shortened
from neptune_exporter_pluto.config import pairs, parameters_config, readable, storable
from neptune_exporter_pluto.losses import LossBook, LossCode
from neptune_exporter_pluto.settings import MAX_NAME

MAX_TAGS = 50
_MAX_NOTES = 1_000
"""UTF-16 units, for JavaScript counts them. Names have their limit in PostgreSQL, which counts characters."""
_EXTERNAL_ID_PREFIX = "neptune"
"""Without it an id such as RUN-12 would be taken for one of Pluto's own display ids."""
IDENTITY = "external_id"
"""The key of the loader's section by which a run is found: the same for all generations. It never looks like
a number, which Pluto would compare as one."""
_RUNNING_TIME = "sys/running_time"
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class PlutoMetadata:
    """Times in ms since 1970; 0 where nothing tells them."""

    name: str
    full_name: str
    created: int
    ended: int
    status: str
    tags: Sequence[str]
    notes: str
    config: Mapping[str, Any]
    origin: Mapping[str, Any]
    """For the loader's section of the config; texts of any kind are in it as Pluto can store them."""


def external_id(run: RunKey, generation: int) -> str:
    """The id by which any machine finds the run again: no longer than Pluto takes, never another run's."""
    mark = digest(run.project_id, run.kind.value, run.run_id)
    if generation > 1:
        mark += f":{generation}"
    readable_part = printable(f"{run.project_id}/{run.run_id}")[: MAX_NAME - len(mark) - 20]
    return f"{_EXTERNAL_ID_PREFIX}:{readable_part}:{mark}"


def run_name(run: ExportedRun) -> str:
    """`sys/name`, else the run id: what the public page calls the Op name."""
    name = _text(run.parameters().get(SysAttribute.NAME))
    return name if name and name.strip() else run.key.run_id


def collect(run: ExportedRun, prefix: str, losses: LossBook) -> PlutoMetadata:
    """Everything but the data. What does not fit is counted as lost and kept in the config."""
    parameters = run.parameters()
    full_name = prefix + run_name(run)
    name = str(readable(full_name)[0])
    if len(name) > MAX_NAME:
        losses.add(LossCode.LONG_RUN_NAME, 1, SysAttribute.NAME if SysAttribute.NAME in parameters else None)
        name = shortened(name, MAX_NAME, digest(full_name))
    created, ended, before_epoch = _times(run, parameters)
    losses.add(LossCode.TIME_BEFORE_1970, int(before_epoch), SysAttribute.CREATION_TIME)
    tags, beyond = _tags(run.key, parameters)
    for path, some in beyond.items():
        losses.add(LossCode.TAGS_BEYOND_LIMIT, len(some), path)
    description = str(readable(_text(parameters.get(SysAttribute.DESCRIPTION)) or "")[0])
    notes = _beginning(description, _MAX_NOTES)
    losses.add(LossCode.LONG_DESCRIPTION, int(notes != description), SysAttribute.DESCRIPTION)
    config = parameters_config(parameters)
    for key in config.exact:
        renamed = config.renamed.get(key)
        losses.add(LossCode.ROUNDED_NUMBER, 1, key if renamed is None else orjson.loads(f'"{renamed}"'))
    named: dict[str, Mapping[str, Any]] = {
        "converted": config.converted,
        "renamed": config.renamed,
        "exact": config.exact,
        "tags_beyond_limit": beyond,
    }
    origin = _origin(run, parameters) | {key: pairs(value) for key, value in named.items() if value}
    if name != full_name:
        origin["full_name"] = full_name
    return PlutoMetadata(
        name, full_name, created, ended, _status(parameters), tags, notes, config.values, storable(origin)
    )


def _beginning(text: str, units: int) -> str:
    """As much as fits into so many UTF-16 units, without splitting a character."""
    return text.encode("utf-16-le")[: 2 * units].decode("utf-16-le", "ignore")


def _times(run: ExportedRun, parameters: Mapping[str, Parameter]) -> tuple[int, int, bool]:
    """Creation and end, and whether the creation was before 1970: Pluto refuses such times.

    The end is the last moment that anything was logged or that Neptune counted as
    running time; the modification time is later still (someone added a tag) and is
    used only where nothing else is known.
    """
    first, last = run.time_span()
    modified = _moment(parameters.get(SysAttribute.MODIFICATION_TIME))
    created = _moment(parameters.get(SysAttribute.CREATION_TIME)) or first or modified
    if created is None:
        return 0, 0, False
    start = max(1, milliseconds(created))  # 0 would say that nothing tells
    ends = [milliseconds(last)] if last is not None else []
    running = parameters.get(_RUNNING_TIME)
    if running is not None and isinstance(running.value, (int, float)) and 0 < running.value < 1e10:
        ends.append(start + int(running.value * 1000))
    if not ends and modified is not None:
        ends.append(milliseconds(modified))
    return start, max([start, *ends]), _since_epoch(created) < 0


def _status(parameters: Mapping[str, Parameter]) -> str:
    """FAILED as Neptune says; a run that was still active when it was exported did not complete."""
    failed = parameters.get(SysAttribute.FAILED)
    if failed is not None and failed.value is True:
        return "FAILED"
    state = (_text(parameters.get(SysAttribute.STATE)) or "").lower()
    if state == "failed":
        return "FAILED"
    return "TERMINATED" if state in ("active", "running") else "COMPLETED"


def _tags(run: RunKey, parameters: Mapping[str, Parameter]) -> tuple[list[str], dict[str, list[str]]]:
    """Tags that Pluto takes, and by attribute the rest: it takes 50, of which one may begin with `group:`."""
    own = ["import:neptune", f"import_project:{run.project_id}"]
    if run.kind is not RunKind.RUN:
        own.append(f"neptune:{run.kind.value}")
    tags = [tag for tag in (str(readable(tag)[0]) for tag in own) if len(tag) <= MAX_NAME]
    beyond: dict[str, list[str]] = {}
    grouped = False
    for path in (SysAttribute.TAGS, SysAttribute.GROUP_TAGS):
        found = parameters.get(path)
        values = found.value if found is not None and isinstance(found.value, list) else []
        for tag in (str(readable(value)[0]) for value in values):
            if tag in tags:
                continue
            is_group = tag.startswith("group:")
            if tag.strip() and len(tag) <= MAX_NAME and len(tags) < MAX_TAGS and not (is_group and grouped):
                tags.append(tag)
                grouped = grouped or is_group
            else:
                beyond.setdefault(path, []).append(tag)
    return tags, beyond


def _origin(run: ExportedRun, parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    key = run.key
    origin: dict[str, Any] = {
        "source": "neptune",
        "project": key.project_id,
        "run_id": key.run_id,
        "kind": key.kind.value,
        IDENTITY: external_id(key, 1),
        "fingerprint": run.fingerprint,
    }
    sys_id = _text(parameters.get(SysAttribute.ID))
    if sys_id:
        origin["sys_id"] = sys_id
    if run.url:
        origin["url"] = run.url
    parent = run.parent()
    if parent is not None:
        origin["fork"] = {"parent": parent.run_id, "step": _plain(run.fork_step())}
    if run.failures:
        failures = {f.attribute_path or "(run)": f.message for f in run.failures[:1000]}
        origin["not_exported"] = pairs(failures)
    if run.notes:
        origin["notes"] = list(run.notes)
    return origin


def _plain(step: object) -> int | float | None:
    if step is None:
        return None
    value = float(str(step))
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _text(parameter: Parameter | None) -> str | None:
    return parameter.value if parameter is not None and isinstance(parameter.value, str) else None


def _moment(parameter: Parameter | None) -> datetime | None:
    return parameter.value if parameter is not None and isinstance(parameter.value, datetime) else None


def milliseconds(moment: datetime) -> int:
    """Since 1970, never negative: Pluto's times are unsigned."""
    return max(0, _since_epoch(moment))


def _since_epoch(moment: datetime) -> int:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)
    return (aware - _EPOCH) // timedelta(milliseconds=1)
