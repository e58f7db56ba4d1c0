"""The table of runs, models or model versions: filtering, sorting, paging.

Ten thousand rows are the end of paging, as on the real server (its index allows no
more; `neptune.internal.init.parameters.MAX_SERVER_OFFSET`): a client goes on by
filtering on the column it sorts by. Strings sort by code point, so `SAN-10` comes
before `SAN-2`, and a filter `sys/id > "SAN-10"` agrees with that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from neptune_exporter_neptune2_server import nql
from neptune_exporter_neptune2_server.errors import bad_request
from neptune_exporter_neptune2_server.project import FakeContainer, FakeProject
from neptune_exporter_neptune2_server.wire import NonFinite, attribute_json

MAX_WINDOW = 10_000
"""The largest offset + limit."""

_NUMERIC = ("int", "float")


def search_entries(
    project: FakeProject, kinds: Iterable[str], body: Mapping[str, Any], mode: NonFinite
) -> Any:
    """The answer of `searchLeaderboardEntries`. Raises ApiError for a query or page that is not good."""
    try:
        predicate = nql.parse(_part(body, "query").get("query") or "")
    except nql.NqlError as error:
        raise bad_request("Syntax error") from error
    page = _page(_part(body, "pagination"))
    filters = body.get("attributeFilters")
    wanted = None if filters is None else {entry["path"] for entry in filters}
    matching = [container for container in _of_kinds(project, kinds) if predicate(container)]
    rows = _sorted(matching, _part(body, "sorting"))[page]
    return {
        "matchingItemCount": len(matching),
        "entries": [_entry(project, container, wanted, mode) for container in rows],
    }


def _page(pagination: Mapping[str, Any]) -> slice:
    limit, offset = int(pagination.get("limit", 100)), int(pagination.get("offset", 0))
    if limit < 0 or offset < 0 or offset + limit > MAX_WINDOW:
        raise bad_request(f"offset + limit must be between 0 and {MAX_WINDOW}")
    return slice(offset, offset + limit)


def search_attributes(project: FakeProject, kinds: Iterable[str], text: str, limit: int | None) -> Any:
    """The answer of `searchLeaderboardAttributes`: names containing the text, with every type they have."""
    found = {
        (path, attribute.type)
        for container in _of_kinds(project, kinds)
        for path, attribute in container.attributes.items()
        if text.lower() in path.lower()
    }
    return {"entries": [{"name": name, "type": kind} for name, kind in sorted(found)[:limit]]}


def _of_kinds(project: FakeProject, kinds: Iterable[str]) -> list[FakeContainer]:
    wanted = set(kinds)
    return [c for c in project.containers if not wanted or c.kind in wanted]


def _part(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = body.get(name)
    return part if isinstance(part, Mapping) else {}


def _sorted(containers: list[FakeContainer], sorting: Mapping[str, Any]) -> list[FakeContainer]:
    column = _part(sorting, "sortBy")
    name, kind = column.get("name", "sys/creation_time"), column.get("type", "datetime")
    kinds = _NUMERIC if kind in _NUMERIC else (kind,)
    descending = sorting.get("dir", "descending") != "ascending"
    present: list[tuple[Any, str, FakeContainer]] = []
    missing: list[FakeContainer] = []
    for container in containers:
        attribute = container.attributes.get(name)
        value = nql.comparable(attribute) if attribute is not None and attribute.type in kinds else None
        if value is None:
            missing.append(container)
        else:
            present.append((value, container.id, container))
    present.sort(key=lambda row: row[:2], reverse=descending)
    return [row[2] for row in present] + missing


def _entry(project: FakeProject, container: FakeContainer, wanted: set[str] | None, mode: NonFinite) -> Any:
    return {
        "experimentId": container.id,
        "type": container.kind,
        "organizationId": project.workspace_id,
        "organizationName": project.workspace,
        "projectId": project.id,
        "projectName": project.name,
        "attributes": [
            attribute_json(container, path, attribute, mode)
            for path, attribute in sorted(container.attributes.items())
            if wanted is None or path in wanted
        ],
    }
