"""Searching runs: `search_leaderboard_entries_proto` and its sister over all projects."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any

from neptune_query.generated.neptune_api.proto.neptune_pb.api.v1.model import (
    leaderboard_entries_pb2 as entries_pb,
)

from neptune_exporter.testing.loopback import Request, Response

from .errors import BadRequestError
from .files import ObjectStore
from .limits import Limits
from .model import BACKEND_TYPES
from .nql import compile_query
from .reading import count, json_body, project_of, protobuf
from .store import Holder, ProjectView, Store
from .values import aggregate, attribute_dto

_NAMES = ("sys/id", "sys/name", "sys/custom_run_id")
"""What a search over all projects returns for a run."""


_NEWEST_FIRST: dict[str, Any] = {
    "sortBy": {"name": "sys/creation_time", "type": "datetime"},
    "dir": "descending",
}


class Search:
    def __init__(self, store: Store, limits: Limits, objects: ObjectStore) -> None:
        self._store = store
        self._limits = limits
        self._objects = objects

    def in_project(self, request: Request) -> Response:
        body = json_body(request)
        view = self._store.view(project_of(request))
        if request.query.get("type") != ["run"]:
            raise BadRequestError("type must be run")
        filters = body.get("attributeFilters")
        names = None if filters is None else [str(each["path"]) for each in filters]
        if names is not None and len(names) > self._limits.projection:
            raise BadRequestError(f"{len(names)} attributes, {self._limits.projection} are allowed")
        return self._answer(body, [view], names)

    def everywhere(self, request: Request) -> Response:
        return self._answer(json_body(request), self._store.accessible(), _NAMES)

    def _answer(
        self, body: dict[str, Any], views: Iterable[ProjectView], names: Sequence[str] | None
    ) -> Response:
        found = _sorted(list(self._matching(body, views)), body.get("sorting"))
        pagination = body.get("pagination") or {}
        limit = count(pagination.get("limit", 100), "pagination.limit", self._limits.page)
        offset = count(pagination.get("offset", 0), "pagination.offset", 2**31)
        result = entries_pb.ProtoLeaderboardEntriesSearchResultDTO(
            matching_item_count=len(found),
            entries=[self._entry(holder, names) for holder in found[offset : offset + limit]],
        )
        return protobuf(result.SerializeToString())

    def _matching(self, body: dict[str, Any], views: Iterable[ProjectView]) -> Iterable[Holder]:
        query = (body.get("query") or {}).get("query")
        condition = compile_query(query) if query else None
        for view in views:
            holders = _leaders(view) if body.get("experimentLeader") else view.holders
            yield from holders if condition is None else filter(condition, holders)

    def _entry(self, holder: Holder, names: Sequence[str] | None) -> entries_pb.ProtoAttributesDTO:
        project = holder.view.project
        workspace, _, name = project.name.partition("/")
        pairs = holder.items() if names is None else ((n, holder.get(n)) for n in dict.fromkeys(names))
        register = functools.partial(self._objects.register, holder)
        return entries_pb.ProtoAttributesDTO(
            experiment_id=holder.experiment_id,
            type="run",
            project_id=project.name,
            organization_id=workspace,
            project_name=name,
            organization_name=workspace,
            attributes=[attribute_dto(n, value, register) for n, value in pairs if value is not None],
        )


def _sorted(holders: list[Holder], sorting: dict[str, Any] | None) -> list[Holder]:
    """By the attribute, then by creation; runs without the attribute last, either way."""
    sorting = sorting or _NEWEST_FIRST
    wanted = sorting.get("sortBy") or {}
    name, kind = str(wanted.get("name")), str(wanted.get("type"))
    direction = sorting.get("dir", "ascending")
    if kind not in BACKEND_TYPES.values() or direction not in ("ascending", "descending"):
        raise BadRequestError(f"cannot sort by {name!r} of type {kind!r}, {direction}")
    aggregation = wanted.get("aggregationMode") or sorting.get("aggregationMode") or "last"
    keyed = [(aggregate(holder.get(name), kind, aggregation), holder) for holder in holders]
    return _ordered(keyed, direction == "descending")


def _ordered(keyed: list[tuple[Any, Holder]], descending: bool) -> list[Holder]:
    present = [pair for pair in keyed if _has_order(pair[0])]
    present.sort(key=itemgetter(0), reverse=descending)
    return [*(holder for _, holder in present), *(holder for key, holder in keyed if not _has_order(key))]


def _has_order(key: object) -> bool:
    """Whether a value can be sorted by: NaN cannot."""
    return isinstance(key, int | float | str) and key == key


def _leaders(view: ProjectView) -> list[Holder]:
    """The newest run of each experiment."""
    heads = set(view.heads.values())
    return [holder for holder in view.holders if holder.index in heads]
