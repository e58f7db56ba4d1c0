"""Which attributes there are, and their values.

`query_attribute_definitions_within_project` (JSON) and
`query_attributes_within_project_proto` of neptune-query's generated client.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

from neptune_query.generated.neptune_api.proto.neptune_pb.api.v1.model import attributes_pb2

from neptune_exporter.testing.loopback import Request, Response

from .errors import BadRequestError
from .files import ObjectStore
from .limits import Limits
from .model import BACKEND_TYPES, OTHER_TYPES, Value, backend_type
from .nql import compile_regex
from .reading import count, json_body, project_of, protobuf
from .store import Holder, ProjectView, Store
from .values import attribute_dto

Chosen = Callable[[str, str], bool]
"""Whether an attribute of this name and type is asked for."""

_RUN_BYTES = 50  # what the client counts for an identifier (`split.py`)


class Attributes:
    def __init__(self, store: Store, limits: Limits, objects: ObjectStore) -> None:
        self._store = store
        self._limits = limits
        self._objects = objects

    def definitions(self, request: Request) -> Response:
        body = json_body(request)
        views = self._store.views(body.get("projectIdentifiers") or [])
        chosen = self._filter(body)
        limit, start = self._page(body)
        found = {
            (name, backend_type(value))
            for view in views
            for holder in _holders(view, body)
            for name, value in holder.items()
        }
        entries = sorted(pair for pair in found if chosen(*pair))
        shown = entries[start : start + limit]
        more = start + limit < len(entries)
        return Response.of_json(
            {
                "entries": [{"name": name, "type": kind} for name, kind in shown],
                "nextPage": {"limit": limit, **({"nextPageToken": str(start + limit)} if more else {})},
            }
        )

    def values(self, request: Request) -> Response:
        body = json_body(request)
        view = self._store.view(project_of(request))
        names = body.get("attributeNamesFilter")
        self._check_size(names or [], body.get("experimentIdsFilter") or [])
        chosen = self._filter(body)
        limit, start = self._page(body)
        limit = min(limit, self._limits.values_per_answer)
        result = attributes_pb2.ProtoQueryAttributesResultDTO()
        taken = 0
        for position, (holder, name, value) in enumerate(_values(view, body, names, chosen)):
            if position < start:
                continue
            if taken == limit:
                result.nextPage.nextPageToken = str(start + limit)
                result.nextPage.limit = limit
                break
            taken += 1
            if not result.entries or result.entries[-1].experimentShortId != holder.sys_id:
                result.entries.add(experimentId=holder.experiment_id, experimentShortId=holder.sys_id)
            register = functools.partial(self._objects.register, holder)
            result.entries[-1].attributes.append(attribute_dto(name, value, register))
        return protobuf(result.SerializeToString())

    def _page(self, body: dict[str, Any]) -> tuple[int, int]:
        page = body.get("nextPage") or {}
        limit = count(page.get("limit", self._limits.page), "nextPage.limit", self._limits.page, least=1)
        token = page.get("nextPageToken") or "0"
        if not re.fullmatch(r"\d{1,12}", token):
            raise BadRequestError(f"not a page token: {token!r}")
        return limit, int(token)

    def _check_size(self, names: list[str], runs: list[str]) -> None:
        size = sum(len(name.encode()) for name in names) + _RUN_BYTES * len(runs)
        if size > self._limits.name_bytes:
            raise BadRequestError(f"{size} bytes of names and runs, {self._limits.name_bytes} are allowed")

    def _filter(self, body: dict[str, Any]) -> Chosen:
        is_kind, is_name = _kind_filter(body), self._name_filter(body)
        return lambda name, kind: is_kind(kind) and is_name(name)

    def _name_filter(self, body: dict[str, Any]) -> Callable[[str], bool]:
        """One alternative must hold: all of its regexes match and none of the excluding ones."""
        alternatives = (body.get("attributeNameFilter") or {}).get("mustMatchAny")
        if alternatives is None:
            return _any
        patterns = [
            (each.get("mustMatchRegexes") or [], each.get("mustNotMatchRegexes") or [])
            for each in alternatives
        ]
        size = sum(len(text.encode()) for pair in patterns for text in chain(*pair))
        if size > self._limits.filter_bytes:
            raise BadRequestError(
                f"{size} bytes of regular expressions, {self._limits.filter_bytes} are allowed"
            )
        return _alternatives(patterns)


def _any(_: str) -> bool:
    return True


def _kind_filter(body: dict[str, Any]) -> Callable[[str], bool]:
    types = body.get("attributeFilter")
    if types is None:
        return _any
    kinds = {each["attributeType"] for each in types}
    if not kinds <= {*BACKEND_TYPES.values(), *OTHER_TYPES}:
        raise BadRequestError(f"unknown attribute types: {sorted(kinds)}")
    return kinds.__contains__


def _alternatives(patterns: Sequence[tuple[list[str], list[str]]]) -> Callable[[str], bool]:
    compiled = [(list(map(compile_regex, must)), list(map(compile_regex, never))) for must, never in patterns]

    def holds(name: str) -> bool:
        return any(
            all(p.search(name) for p in must) and not any(p.search(name) for p in never)
            for must, never in compiled
        )

    return holds


def _holders(view: ProjectView, body: dict[str, Any]) -> list[Holder]:
    """The runs asked for, all if none are named; identifiers that do not exist are passed over."""
    wanted = body.get("experimentIdsFilter")
    if wanted is None:
        return view.holders
    return [view.by_identifier[each] for each in dict.fromkeys(wanted) if each in view.by_identifier]


def _values(
    view: ProjectView, body: dict[str, Any], names: list[str] | None, chosen: Chosen
) -> Iterator[tuple[Holder, str, Value]]:
    exact = None if names is None else list(dict.fromkeys(names))
    for holder in _holders(view, body):
        pairs = holder.items() if exact is None else ((name, holder.get(name)) for name in exact)
        for name, value in pairs:
            if value is not None and chosen(name, backend_type(value)):
                yield holder, name, value
