"""A run without its data: its name, times, status, tags and parent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Literal, TypeVar

from neptune_exporter.contract import ExportedRun, Parameter, Step
from neptune_exporter.model import RunKey, SysAttribute
from neptune_exporter.sinks.names import digest

_RUNNING_TIME = "sys/running_time"
_EXPERIMENT = "sys/experiment/name"
_OWNER = "sys/owner"
_LONGEST_RUNNING_TIME = 1e10
"""Seconds. More than three centuries cannot be a running time."""
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

Status = Literal["finished", "failed", "active"]
_T = TypeVar("_T")


@dataclass(frozen=True)
class RunMetadata:
    """A run as a target should show it. Times are ms since 1970; None if unknown.

    Examples:
        >>> metadata = RunMetadata.of(run)
        >>> metadata.name, metadata.status, metadata.tags
        ('baseline', 'finished', ())
    """

    key: RunKey
    mark: str
    """Hex digits by which `find` finds the run again: the same on every machine, unique to the run."""
    name: str
    """With the prefix that the user asked for."""
    created: int | None
    ended: int | None
    status: Status
    tags: tuple[str, ...]
    group_tags: tuple[str, ...]
    description: str
    url: str
    """The run's page in Neptune; empty if the export does not have it."""
    fork_parent: RunKey | None
    fork_step: Step | None
    experiment: str = ""
    """The experiment of Neptune 3.x; empty if the run has none."""
    owner: str = ""
    parent_id: str | None = None
    """The id of the fork parent in the target; None if the run is no fork or its parent was not loaded."""

    @classmethod
    def of(cls, run: ExportedRun, name_prefix: str = "", parent_id: str | None = None) -> RunMetadata:
        """Read it from the run's `sys/` parameters and series times.

        Examples:
            >>> RunMetadata.of(run, name_prefix="neptune/").name
            'neptune/baseline'
        """
        parameters = run.parameters()
        created, ended = created_and_ended(run)
        key = run.key
        return cls(
            key,
            cls.mark_of(key),
            name_prefix + run_name(run),
            created,
            ended,
            status_of(run),
            tuple(value_of(parameters.get(SysAttribute.TAGS), list) or ()),
            tuple(value_of(parameters.get(SysAttribute.GROUP_TAGS), list) or ()),
            value_of(parameters.get(SysAttribute.DESCRIPTION), str) or "",
            run.url,
            run.parent(),
            run.fork_step(),
            value_of(parameters.get(_EXPERIMENT), str) or "",
            value_of(parameters.get(_OWNER), str) or "",
            parent_id,
        )

    @staticmethod
    def mark_of(key: RunKey) -> str:
        return digest(key.project_id, key.kind.value, key.run_id)


def run_name(run: ExportedRun) -> str:
    """`sys/name`, or the run id if that is empty."""
    name = value_of(run.parameters().get(SysAttribute.NAME), str)
    return name if name and name.strip() else run.key.run_id


def created_and_ended(run: ExportedRun) -> tuple[int | None, int | None]:
    """Creation and end, in ms since 1970.

    The end is the last moment that anything was logged or that Neptune counted as running time; the
    modification time is later still (someone added a tag) and is used only where nothing else is known.
    """
    parameters = run.parameters()
    first, last = run.time_span()
    modified = value_of(parameters.get(SysAttribute.MODIFICATION_TIME), datetime)
    created = value_of(parameters.get(SysAttribute.CREATION_TIME), datetime) or first or modified
    if created is None:
        return None, None
    start = milliseconds(created)
    ends = [milliseconds(last)] if last is not None else []
    running = parameters.get(_RUNNING_TIME)
    seconds = running.value if running is not None else None
    if isinstance(seconds, (int, float)) and 0 < seconds < _LONGEST_RUNNING_TIME:
        ends.append(start + int(seconds * 1000))
    if not ends and modified is not None:
        ends.append(milliseconds(modified))
    return start, max([start, *ends])


def status_of(run: ExportedRun) -> Status:
    """How the run ended; `active` if it had not ended when it was exported."""
    parameters = run.parameters()
    failed = parameters.get(SysAttribute.FAILED)
    state = (value_of(parameters.get(SysAttribute.STATE), str) or "").lower()
    if (failed is not None and failed.value is True) or state == "failed":
        return "failed"
    return "active" if state in ("active", "running") else "finished"


def milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970. A time without a zone is taken as UTC."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)
    return (aware - _EPOCH) // timedelta(milliseconds=1)


def value_of(parameter: Parameter | None, kind: type[_T]) -> _T | None:
    """The value of a parameter of this type; None if there is none."""
    return parameter.value if parameter is not None and isinstance(parameter.value, kind) else None
