"""What the handlers share: the projects, and switches for what servers differ in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from neptune_exporter.testing.loopback import Request, Response
from neptune_exporter_neptune2_server.attributes import Artifact, ArtifactFile, Attribute, ImageSeries
from neptune_exporter_neptune2_server.errors import bad_request, not_found
from neptune_exporter_neptune2_server.project import FakeContainer, FakeProject
from neptune_exporter_neptune2_server.wire import NonFinite

Routes: TypeAlias = list[tuple[str, str, Callable[[Request], Response]]]
A = TypeVar("A", bound=Attribute)


@dataclass
class Options:
    """May be changed while the server runs."""

    non_finite: NonFinite = "text"
    """How NaN and infinities are written."""
    page_limit: int = 1000
    """The largest page of a series. The client never asks for more; more is answered with 400."""
    zip_polls: int = 0
    """How often a file set's zip is not ready yet. The client waits half a second after the first time."""
    ranges: bool = True
    """Whether downloads honour Range."""
    artifacts: bool = True
    """Whether the server has artifacts; said in its client config."""
    channels: bool = True
    """Whether the server gives steps and times of image series (getChannelValues)."""


class Store:
    def __init__(self, projects: Sequence[FakeProject], options: Options) -> None:
        self.projects = list(projects)
        self.options = options
        self._containers: dict[str, tuple[FakeProject, FakeContainer]] = {}
        self._indexed = 0

    def project(self, identifier: str | None) -> FakeProject:
        """By id or `workspace/name`. Raises ApiError 404."""
        for project in self.projects:
            if identifier in (project.id, project.qualified_name):
                return project
        raise not_found(f"project {identifier}")

    def located(self, container_id: str | None) -> tuple[FakeProject, FakeContainer]:
        """By id or `workspace/project/SYS-ID`. Raises ApiError 404."""
        count = sum(1 + len(project.containers) for project in self.projects)
        if count != self._indexed:  # a test added or removed some
            self._containers = {
                name: (project, container)
                for project in self.projects
                for container in project.everything()
                for name in (container.id, f"{project.qualified_name}/{container.sys_id}")
            }
            self._indexed = count
        found = self._containers.get(container_id or "")
        if found is not None:
            return found
        raise not_found(f"experiment {container_id}", "EXPERIMENT_NOT_FOUND")

    def container(self, request: Request) -> FakeContainer:
        return self.located(request.param("experimentId"))[1]

    def attribute(self, request: Request, kind: type[A]) -> tuple[FakeContainer, str, A]:
        """What `experimentId` and `attribute` name, if it is of this type. Raises ApiError 404."""
        container, path = self.container(request), request.param("attribute") or ""
        attribute = container.attributes.get(path)
        if not isinstance(attribute, kind):
            raise not_found(f"{kind.__name__} {path}")
        return container, path, attribute

    def page(self, request: Request) -> tuple[int, int]:
        """Offset and limit of a page of points. Raises ApiError 400."""
        offset = integer(request, "offset", 0)
        limit = integer(request, "limit", self.options.page_limit)
        if offset < 0 or not 0 <= limit <= self.options.page_limit:
            raise bad_request(f"limit must be between 0 and {self.options.page_limit}, offset not below 0")
        return offset, limit

    def artifact(self, project: FakeProject, artifact_hash: str | None) -> tuple[ArtifactFile, ...]:
        """The listing behind a hash. Raises ApiError 404."""
        for container in project.everything():
            for attribute in container.attributes.values():
                if not isinstance(attribute, Artifact) or attribute.files is None:
                    continue
                if attribute.hash == artifact_hash:
                    return attribute.files
        raise not_found(f"artifact {artifact_hash}")

    def channel(self, channel_id: str) -> tuple[FakeContainer, str, ImageSeries]:
        """The image series with this channel. Raises ApiError 404."""
        for project in self.projects:
            for container in project.everything():
                for path, attribute in container.attributes.items():
                    if isinstance(attribute, ImageSeries) and container.channel_id(path) == channel_id:
                        return container, path, attribute
        raise not_found(f"channel {channel_id}")


def integer(request: Request, name: str, default: int) -> int:
    """An integer parameter. Raises ApiError 400."""
    text = request.param(name)
    try:
        return default if text is None else int(text)
    except ValueError as error:
        raise bad_request(f"{name} is no integer: {text}") from error
