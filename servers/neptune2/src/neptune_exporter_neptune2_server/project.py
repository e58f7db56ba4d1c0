"""Projects, and the runs, models and model versions in them, as a test declares them."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Literal

from neptune_exporter_neptune2_server.attributes import (
    Attribute,
    Bool,
    Datetime,
    Float,
    Int,
    RunState,
    String,
    StringSet,
)

Kind = Literal["run", "model", "modelVersion", "project"]
Role = Literal["viewer", "member", "manager"]

CREATED = datetime(2024, 1, 1, tzinfo=timezone.utc)
"""When the first run of a project was created; the others follow by the minute."""


def stable_id(*parts: str) -> str:
    """The same UUID for the same parts, so that two servers with the same data agree."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "\n".join(parts)))


@dataclass
class FakeContainer:
    """A run, model, model version or project: attributes by their literal path.

    Nothing keeps a test from having both `x` and `x/y`, or `a//b`: a server holds
    what the client cannot build.
    """

    kind: Kind
    id: str
    sys_id: str
    attributes: dict[str, Attribute] = field(default_factory=dict)

    def __getitem__(self, path: str) -> Attribute:
        return self.attributes[path]

    def __setitem__(self, path: str, attribute: Attribute) -> None:
        self.attributes[path] = attribute

    @property
    def trashed(self) -> bool:
        attribute = self.attributes.get("sys/trashed")
        return isinstance(attribute, Bool) and attribute.value

    @trashed.setter
    def trashed(self, value: bool) -> None:
        self.attributes["sys/trashed"] = Bool(value)

    def touch(self, at: datetime) -> None:
        """Say that it was modified at this time."""
        self.attributes["sys/modification_time"] = Datetime(at)

    def channel_id(self, path: str) -> str:
        """The id under which the server keeps the points of an image series."""
        return stable_id("channel", self.id, path)


@dataclass
class FakeProject:
    """A project and all that is in it, in the order of creation."""

    workspace: str
    name: str
    key: str = "SAN"
    role: Role = "member"
    """Of the token's user in this project."""
    version: int = 2
    """1 is a project of the legacy client, which the client refuses."""
    archived: bool = False
    containers: list[FakeContainer] = field(default_factory=list)
    """Runs, models and model versions."""

    def __post_init__(self) -> None:
        self._last_number: Counter[str] = Counter()
        self.itself = FakeContainer("project", self.id, self.key, _system(self.key, self.name, CREATED))

    @property
    def id(self) -> str:
        return stable_id("project", self.workspace, self.name)

    @property
    def workspace_id(self) -> str:
        return stable_id("workspace", self.workspace)

    @property
    def qualified_name(self) -> str:
        return f"{self.workspace}/{self.name}"

    def add_run(
        self,
        attributes: Mapping[str, Attribute] | None = None,
        *,
        number: int | None = None,
        trashed: bool = False,
    ) -> FakeContainer:
        """A run named `KEY-number`, by default the next number. Attributes may replace `sys/*` ones."""
        number = self._next_number("") if number is None else number
        self._last_number[""] = max(number, self._last_number[""])
        return self._add("run", f"{self.key}-{number}", attributes, trashed, {"sys/state": RunState("idle")})

    def add_model(
        self, key: str, attributes: Mapping[str, Attribute] | None = None, *, trashed: bool = False
    ) -> FakeContainer:
        """A model named `KEY-key`."""
        return self._add("model", f"{self.key}-{key}", attributes, trashed, {})

    def add_model_version(
        self,
        model: FakeContainer,
        attributes: Mapping[str, Attribute] | None = None,
        *,
        stage: str = "none",
        trashed: bool = False,
    ) -> FakeContainer:
        """The next version of a model, named `MODEL-ID-number`."""
        number = self._next_number(model.sys_id)
        special: dict[str, Attribute] = {"sys/model_id": String(model.sys_id), "sys/stage": String(stage)}
        return self._add("modelVersion", f"{model.sys_id}-{number}", attributes, trashed, special)

    def everything(self) -> Iterator[FakeContainer]:
        yield self.itself
        yield from self.containers

    def find(self, sys_id: str) -> FakeContainer:
        """The container with this `sys/id`; KeyError if it does not exist."""
        for container in self.everything():
            if container.sys_id == sys_id:
                return container
        raise KeyError(sys_id)

    def _next_number(self, parent: str) -> int:
        self._last_number[parent] += 1
        return self._last_number[parent]

    def _add(
        self,
        kind: Kind,
        sys_id: str,
        attributes: Mapping[str, Attribute] | None,
        trashed: bool,
        special: Mapping[str, Attribute],
    ) -> FakeContainer:
        created = CREATED + timedelta(minutes=len(self.containers))
        container = FakeContainer(
            kind,
            stable_id("container", self.workspace, self.name, sys_id),
            sys_id,
            {**_system(sys_id, sys_id.lower(), created), **special, **(attributes or {})},
        )
        container.trashed = trashed
        self.containers.append(container)
        return container


def _system(sys_id: str, name: str, created: datetime) -> dict[str, Attribute]:
    later = created + timedelta(minutes=10)
    return {
        "sys/id": String(sys_id),
        "sys/name": String(name),
        "sys/creation_time": Datetime(created),
        "sys/modification_time": Datetime(later),
        "sys/ping_time": Datetime(later),
        "sys/owner": String("ada"),
        "sys/description": String(""),
        "sys/tags": StringSet(frozenset()),
        "sys/failed": Bool(False),
        "sys/trashed": Bool(False),
        "sys/running_time": Float(600.0),
        "sys/monitoring_time": Int(600),
        "sys/size": Float(0.0),
    }
