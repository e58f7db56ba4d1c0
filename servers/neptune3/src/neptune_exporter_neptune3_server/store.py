"""The projects as the protocol sees them: holders, `sys/` attributes, forks' lineage.

What forks inherit follows the product's documentation (docs.neptune.ai/forking):
every series up to and including the fork step, nothing else. With lineage NONE a
run shows its own points; an experiment also those of the ancestors that belong to
the same experiment (the client's own end-to-end tests expect it).
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from .errors import AccessDeniedError
from .model import SERIES_TYPES, FakeProject, FakeRun, Value, created_at, modified_at


@dataclass(frozen=True)
class Link:
    """One run of a lineage: its points from `fork_step` on, none after `until`."""

    holder: Holder
    fork_step: float
    until: float


@dataclass(frozen=True, eq=False)
class Holder:
    """A run within its project."""

    view: ProjectView
    run: FakeRun
    index: int

    @cached_property
    def sys_id(self) -> str:
        return self.view.project.sys_id(self.index)

    @cached_property
    def experiment_id(self) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.view.project.name}/{self.sys_id}"))

    @cached_property
    def parent(self) -> Holder | None:
        return self.view.by_custom_id.get(self.run.parent) if self.run.parent is not None else None

    def get(self, name: str) -> Value | None:
        """The attribute's value; None where the run has no such attribute."""
        if name in self.run.attributes:
            return self.run.attributes[name]
        if name.startswith("sys/"):
            return self.system.get(name)
        return self._inherited.get(name) if self.view.list_inherited else None

    def items(self) -> Iterator[tuple[str, Value]]:
        """Every attribute, `sys/` ones included."""
        own = self.run.attributes
        yield from ((name, value) for name, value in list(own.items()) if value is not None)
        yield from ((name, value) for name, value in self.system.items() if name not in own)
        if self.view.list_inherited:
            yield from ((name, value) for name, value in self._inherited.items() if name not in own)

    @cached_property
    def system(self) -> dict[str, Value]:
        run, index = self.run, self.index
        modified = modified_at(run, index)
        values: dict[str, Value] = {
            "sys/id": self.sys_id,
            "sys/name": run.experiment or run.custom_run_id or self.sys_id,
            "sys/owner": "tester",
            "sys/creation_time": created_at(run, index),
            "sys/modification_time": modified,
            "sys/ping_time": modified,
            "sys/archived": run.archived,
            "sys/trashed": run.archived,
            "sys/failed": False,
        }
        if run.custom_run_id is not None:
            values["sys/custom_run_id"] = run.custom_run_id
        if run.experiment is not None:
            values["sys/experiment/name"] = run.experiment
            values["sys/experiment/is_head"] = self.view.heads[run.experiment] == index
        if run.parent is not None:
            values["sys/forking/requested_parent"] = run.parent
        if self.parent is not None and run.parent is not None:
            values["sys/forking/parent"] = run.parent
            values["sys/forking/step"] = float(run.fork_step or 0)
            values["sys/forking/depth"] = len(self.lineage(to_the_root=True, by_experiment=False)) - 1
        return values

    def lineage(self, *, to_the_root: bool, by_experiment: bool) -> list[Link]:
        """The runs whose points this one shows, root first, this one last."""
        links: list[Link] = []
        holder: Holder | None = self
        until = math.inf
        while holder is not None and len(links) <= len(self.view.holders):
            fork_step = -math.inf if holder.parent is None else float(holder.run.fork_step or 0)
            links.append(Link(holder, fork_step, until))
            until = min(until, fork_step)
            parent = holder.parent
            same_experiment = (
                by_experiment and parent is not None and parent.run.experiment == holder.run.experiment
            )
            holder = parent if to_the_root or same_experiment else None
        return links[::-1]

    @cached_property
    def _inherited(self) -> dict[str, Value]:
        links = self.lineage(to_the_root=True, by_experiment=False)[:-1]
        return {
            name: value
            for link in links
            for name, value in list(link.holder.run.attributes.items())
            if isinstance(value, SERIES_TYPES)
        }


@dataclass(eq=False)
class ProjectView:
    """A project at the time of one request: made for each, because tests change the data."""

    project: FakeProject
    list_inherited: bool
    holders: list[Holder] = field(init=False)

    def __post_init__(self) -> None:
        self.holders = [Holder(self, run, index) for index, run in enumerate(list(self.project.runs))]

    @cached_property
    def by_custom_id(self) -> dict[str, Holder]:
        return {h.run.custom_run_id: h for h in self.holders if h.run.custom_run_id is not None}

    @cached_property
    def by_identifier(self) -> dict[str, Holder]:
        """`ws/proj/SYS-ID` and `CUSTOM/ws/proj/<custom run id>` (`RunIdentifier` in neptune-query)."""
        name = self.project.name
        found = {f"{name}/{holder.sys_id}": holder for holder in self.holders}
        found.update((f"CUSTOM/{name}/{custom}", holder) for custom, holder in self.by_custom_id.items())
        return found

    @cached_property
    def attribute_names(self) -> set[str]:
        """Of all runs, without the `sys/` ones."""
        return {name for holder in self.holders for name in list(holder.run.attributes)}

    @cached_property
    def heads(self) -> dict[str, int]:
        """The run that stands for each experiment: the one created last."""
        newest: dict[str, tuple[datetime, int]] = {}
        for holder in self.holders:
            if holder.run.experiment is not None:
                candidate = (created_at(holder.run, holder.index), holder.index)
                newest[holder.run.experiment] = max(newest.get(holder.run.experiment, candidate), candidate)
        return {experiment: index for experiment, (_, index) in newest.items()}


@dataclass(eq=False)
class Store:
    """All projects of the server."""

    projects: list[FakeProject]
    list_inherited: bool = False
    """Whether a fork's attributes include the series that it only inherits. Not known of the real server."""

    def view(self, name: str) -> ProjectView:
        """Raises AccessDeniedError for a project that is not there or not accessible, as the real one."""
        for project in self.projects:
            if project.name == name and project.accessible:
                return ProjectView(project, self.list_inherited)
        raise AccessDeniedError(name)

    def views(self, names: Iterable[str]) -> list[ProjectView]:
        """Those that are accessible; raises AccessDeniedError if none is."""
        wanted = list(dict.fromkeys(names))
        known = {project.name for project in self.projects if project.accessible}
        found = [self.view(name) for name in wanted if name in known]
        if not found:
            raise AccessDeniedError(", ".join(wanted))
        return found

    def accessible(self) -> list[ProjectView]:
        return [self.view(project.name) for project in self.projects if project.accessible]

    def project_of(self, identifier: str) -> str:
        """The project of a holder's identifier. Raises AccessDeniedError."""
        parts = identifier.removeprefix("CUSTOM/").split("/")
        if len(parts) < 3:
            raise AccessDeniedError(identifier)
        return "/".join(parts[:2])
