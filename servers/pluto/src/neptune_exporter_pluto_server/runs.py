"""Projects and runs of the local Pluto, and the rules by which they change."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import Any

from neptune_exporter_pluto_server.columns import FieldValue, column_types, field_values

STATUSES = ("RUNNING", "COMPLETED", "FAILED", "TERMINATED", "CANCELLED")
LOG_TYPES = (
    "METRIC",
    "IMAGE",
    "VIDEO",
    "AUDIO",
    "FILE",
    "TEXT",
    "ARTIFACT",
    "HISTOGRAM",
    "TABLE",
    "DATA",
)
SEVERITY = {"COMPLETED": 0, "TERMINATED": 1, "CANCELLED": 2, "FAILED": 3}
"""Terminal statuses. A client cannot replace one by a lesser one: it gets 200
and nothing happens (pluto-server, `run-status.ts`)."""

MAX_ANCESTORS = 10


@dataclass
class Project:
    id: int
    name: str
    prefix: str
    created_at: int
    updated_at: int
    next_number: int = 1
    columns: dict[str, str] = field(default_factory=dict)
    """Of the run table: key and type, the oldest first. None is ever removed."""


@dataclass(frozen=True)
class StatusEvent:
    """A change of a run's status to another one. `at` is epoch milliseconds."""

    before: str | None
    after: str
    source: str
    at: int
    metadata: Any = None


@dataclass
class Run:
    """A row of the real `runs` table. Times are epoch milliseconds."""

    id: int
    project: Project
    number: int
    name: str
    created_at: int
    updated_at: int
    external_id: str | None = None
    tags: list[str] = field(default_factory=list)
    config: Any = None
    system_metadata: Any = None
    logger_settings: Any = None
    status: str = "RUNNING"
    status_metadata: Any = None
    status_updated: int | None = None
    notes: str | None = None
    parent: Run | None = None
    fork_step: int | None = None
    log_names: dict[str, str] = field(default_factory=dict)
    """Name → log type, in the order in which they were registered."""
    heartbeat: float | None = None
    """Epoch seconds."""
    fields: dict[str, FieldValue] = field(default_factory=dict)
    """Values of the config by flattened key: what the run table shows, and `list` finds runs by."""
    events: list[StatusEvent] = field(default_factory=list)

    def index(self, config: Any) -> None:
        """Take a config, as it was before it was stored, into the run table."""
        values = field_values(config)
        if values is not None:
            self.fields = values
            for key, kind in column_types(values).items():
                self.project.columns.setdefault(key, kind)

    @property
    def display_id(self) -> str:
        return f"{self.project.prefix}-{self.number}"

    @property
    def terminal(self) -> bool:
        return self.status != "RUNNING"


class Runs:
    """All projects and runs. Hold `lock` while reading or changing one."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.projects: dict[str, Project] = {}
        self.by_id: dict[int, Run] = {}
        self._by_external: dict[tuple[str, str], Run] = {}

    def project(self, name: str, created_at: int, updated_at: int) -> Project:
        """The project of this name, which is made if it does not exist."""
        project = self.projects.get(name)
        if project is None:
            project = Project(len(self.projects) + 1, name, run_prefix(name), created_at, updated_at)
            self.projects[name] = project
        return project

    def add(
        self, project: Project, name: str, external_id: str | None, created_at: int, updated_at: int
    ) -> Run:
        run = Run(
            len(self.by_id) + 1, project, project.next_number, name, created_at, updated_at, external_id
        )
        run.events.append(StatusEvent(None, run.status, "api", created_at))
        project.next_number += 1
        self.by_id[run.id] = run
        if external_id is not None:
            self._by_external[project.name, external_id] = run
        return run

    def find(self, project_name: str, external_id: str) -> Run | None:
        return self._by_external.get((project_name, external_id))

    def find_displayed(self, display_id: str, project_name: str | None = None) -> Run | None:
        for run in self.by_id.values():
            if run.display_id == display_id.upper() and project_name in (None, run.project.name):
                return run
        return None

    def in_project(self, name: str) -> list[Run]:
        return [run for run in self.by_id.values() if run.project.name == name]


def change_status(
    run: Run,
    status: str,
    now: int,
    status_updated: int | None = None,
    source: str = "api",
    metadata: Any = None,
) -> bool:
    """Change a run's status; False if the change is ignored (and answered with success).

    `status_updated` is the historical time of the change. Repeating a terminal
    status without it keeps the time that was there.
    """
    if source == "api" and run.terminal and status != "RUNNING" and SEVERITY[status] < SEVERITY[run.status]:
        return False
    repeated = run.terminal and status == run.status
    if status_updated is not None:
        run.status_updated = status_updated
    elif not (repeated and run.status_updated is not None):
        run.status_updated = now
    if status != run.status:
        at = now if status_updated is None else status_updated
        run.events.append(StatusEvent(run.status, status, source, at, metadata))
    run.status = status
    run.updated_at = now
    return True


def owner_of_step(parent: Run, step: int) -> Run:
    """The ancestor that a fork at `step` really branches from: steps up to a
    run's own fork step belong to its parent."""
    owner = parent
    for _ in range(MAX_ANCESTORS):
        if owner.parent is None or owner.fork_step is None or step > owner.fork_step:
            break
        owner = owner.parent
    return owner


def run_prefix(project_name: str) -> str:
    """The letters of a display id: initials, or the beginning of a single word."""
    words = [word for word in re.split(r"[-_\s.]+", project_name) if word]
    if not words:
        return "RUN"
    if len(words) == 1:
        return words[0][:3].upper()
    initials = "".join(word[0] for word in words)
    if len(initials) < 3:
        initials = initials[:-1] + words[-1][: 4 - len(initials)]
    return initials[:4].upper()


def more_than_one_group(tags: list[str]) -> bool:
    return sum(tag.startswith("group:") for tag in tags) > 1


def log_group(log_name: str) -> str:
    return log_name.rpartition("/")[0]
