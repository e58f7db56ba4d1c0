"""Lists projects, and the runs, models and model versions of a project, completely."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from neptune_exporter.contract import RunSelection, SourceError, SourceRun
from neptune_exporter.model import RunKey, RunKind, SysAttribute
from neptune_exporter_neptune2.api import BACKEND, LEADERBOARD, Api, RefusedError
from neptune_exporter_neptune2.values import Attribute

_WIRE_KINDS = {RunKind.RUN: "run", RunKind.MODEL: "model", RunKind.MODEL_VERSION: "modelVersion"}
_MODEL_ID = "sys/model_id"
_COLUMNS = (
    SysAttribute.ID,
    SysAttribute.NAME,
    SysAttribute.MODIFICATION_TIME,
    SysAttribute.TRASHED,
    _MODEL_ID,
)
_WINDOW = 10_000
"""No server gives more of a search (neptune.internal.init.parameters.MAX_SERVER_OFFSET)."""
_PAGE = 1000


@dataclass(frozen=True)
class Listed:
    """A run, model or model version in a search's answer."""

    run: SourceRun
    model_id: str | None = None
    """Of a model version: the `sys/id` of its model."""


def projects(api: Api) -> list[str]:
    """Every project that the token's user may read, sorted.

    Raises:
        AuthenticationError, SourceError
    """
    found: set[str] = set()
    offset = 0
    while True:
        params: dict[str, str | int] = {
            "userRelation": "viewerOrHigher",
            "sortBy": "lastViewed",
            "sortDirection": "descending",
            "offset": offset,
            "limit": _PAGE,
        }
        answer = api.get(f"{BACKEND}/projects", params)
        entries = answer["entries"]
        # Projects of version 1 are of the legacy client, and its API is another one.
        found |= {
            f"{entry['organizationName']}/{entry['name']}"
            for entry in entries
            if entry.get("version", 2) >= 2
        }
        offset += len(entries)
        if not entries or offset >= answer.get("matchingItemCount", 0):
            return sorted(found)


def project_uuid(api: Api, project_id: str) -> str:
    """The id by which searches know a project.

    Raises:
        SourceError: it does not exist, may not be read, or is of the legacy client.
    """
    try:
        answer = api.get(f"{BACKEND}/projects/get", {"projectIdentifier": project_id})
    except RefusedError as error:
        if error.status in (400, 403, 404, 422):
            raise SourceError(
                f"there is no project {project_id} (workspace/project), or this token's user may not read it"
            ) from None
        raise SourceError(f"project {project_id}: {error}") from None
    if answer.get("version", 2) < 2:
        raise SourceError(f"project {project_id} is of Neptune's legacy client, which has another API")
    return str(answer["id"])


def runs(api: Api, project_id: str, selection: RunSelection) -> Iterator[SourceRun]:
    """Everything of a project that the selection takes, ascending by `sys/id`: runs, models, versions.

    Raises:
        AuthenticationError, SourceError
    """
    uuid = project_uuid(api, project_id)
    models: set[str] | None = None
    if selection.query is not None and RunKind.MODEL_VERSION in selection.kinds:
        # A query is about models; their versions come along.
        models = {m.run.key.run_id for m in _search(api, project_id, uuid, RunKind.MODEL, selection)}
    for kind in RunKind:
        if kind not in selection.kinds:
            continue
        for listed in _search(api, project_id, uuid, kind, selection):
            if kind is RunKind.MODEL_VERSION and models is not None and listed.model_id not in models:
                continue
            if _takes(selection, listed.run):
                yield listed.run


def _takes(selection: RunSelection, run: SourceRun) -> bool:
    return selection.matches_id(run.key.run_id) and selection.matches_modified(run.modified_at)


def _search(api: Api, project_id: str, uuid: str, kind: RunKind, selection: RunSelection) -> Iterator[Listed]:
    """All of one kind: page by page, and window by window after the last id of the one before.

    Sorted ascending by `sys/id`: in the default order the windows would repeat the first.
    """
    query = None if kind is RunKind.MODEL_VERSION else selection.query
    conditions = [] if query is None or not query.strip() else [f"({query})"]
    seen: set[str] = set()
    expected: int | None = None
    last: str | None = None
    while True:
        after = [] if last is None else [f"(`{SysAttribute.ID}`:string > {_quoted(last)})"]
        new = None
        for offset in range(0, _WINDOW, _PAGE):
            answer = _page(api, project_id, uuid, kind, " AND ".join([*conditions, *after]), offset)
            if expected is None:
                expected = int(answer.get("matchingItemCount", 0))
            entries = answer["entries"]
            for entry in entries:
                listed = _listed(project_id, kind, entry)
                if listed is None or listed.run.handle in seen:
                    continue
                seen.add(listed.run.handle)
                new = listed.run.key.run_id
                if selection.include_archived or not listed.run.archived:
                    yield listed
            if len(entries) < _PAGE:
                break
        else:
            if new is not None:
                last = new
                continue
        break
    if len(seen) < (expected or 0):
        raise SourceError(
            f"project {project_id}: the server counts {expected} {_plural(kind)} and listed {len(seen)}; "
            "if some were deleted meanwhile, run this again"
        )


def _page(api: Api, project_id: str, uuid: str, kind: RunKind, query: str, offset: int) -> Any:
    body = {
        "sorting": {
            "dir": "ascending",
            "aggregationMode": "none",
            "sortBy": {"name": SysAttribute.ID, "type": "string"},
        },
        "attributeFilters": [{"path": path} for path in _COLUMNS],
        "query": {"query": query},
        "pagination": {"limit": _PAGE, "offset": offset},
    }
    params = {"projectIdentifier": uuid, "type": _WIRE_KINDS[kind]}
    try:
        return api.post(f"{LEADERBOARD}/leaderboard/entries/search", params, body)
    except RefusedError as error:
        hint = f"; is the query right? {query}" if error.status == 400 and query else ""
        raise SourceError(
            f"project {project_id}: its {_plural(kind)} cannot be listed: {error}{hint}"
        ) from None


def _listed(project_id: str, kind: RunKind, entry: Any) -> Listed | None:
    """None for an entry that says no id: the count at the end tells that it is missing."""
    values = {}
    for raw in entry["attributes"]:
        attribute = Attribute.of_json(raw)
        try:
            values[attribute.path] = attribute.value
        except ValueError:
            continue
    run_id, name, modified = (values.get(path) for path in _COLUMNS[:3])
    if not isinstance(run_id, str):
        return None
    run = SourceRun(
        RunKey(project_id, run_id, kind),
        modified if isinstance(modified, datetime) else None,
        name if isinstance(name, str) else None,
        values.get(SysAttribute.TRASHED) is True,
        handle=str(entry["experimentId"]),
    )
    model_id = values.get(_MODEL_ID)
    return Listed(run, model_id if isinstance(model_id, str) else None)


def _plural(kind: RunKind) -> str:
    return f"{kind.value.replace('_', ' ')}s"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
