"""Lists projects, and the runs, models and model versions of a project, completely."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import quote

from neptune_exporter.contract import QueryError, RunSelection, SourceError, SourceRun
from neptune_exporter.model import RunKey, RunKind, SysAttribute
from neptune_exporter.toolkit.http_errors import RequestRefusedError
from neptune_exporter_neptune2.api import BACKEND, LEADERBOARD, Api
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
"""Entries of an answer. `_WINDOW` is a multiple of it."""


@dataclass(frozen=True)
class Listed:
    """A run, model or model version in a search's answer."""

    run: SourceRun
    model_id: str | None = None
    """For a model version: the `sys/id` of its model."""


def projects(api: Api) -> list[str]:
    """Every project that the token's user may read, sorted. Raises AuthenticationError or SourceError."""
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
        count, names, total = api.get(f"{BACKEND}/projects", params, _project_page)
        found |= names
        offset += count
        if not count or offset >= total:
            return sorted(found)


def _project_page(answer: Any) -> tuple[int, set[str], int]:
    """How many projects are on the page, their ids, and how many there are in all."""
    entries = answer["entries"]
    # Projects of version 1 are of the legacy client, and its API is another one.
    current = [entry for entry in entries if entry.get("version", 2) >= 2]
    names = {f"{entry['organizationName']}/{entry['name']}" for entry in current}
    return len(entries), names, int(answer.get("matchingItemCount", 0))


def project_uuid(api: Api, project_id: str) -> str:
    """The id by which searches know a project. Raises SourceError if it does not exist, may not be read, or
    is of the legacy client."""
    try:
        uuid, version = api.get(
            f"{BACKEND}/projects/get",
            {"projectIdentifier": project_id},
            lambda answer: (str(answer["id"]), int(answer.get("version", 2))),
        )
    except RequestRefusedError as error:
        if error.status in (400, 403, 404, 422):
            raise SourceError(
                f"there is no project {project_id} (workspace/project), or this token's user may not read it"
            ) from None
        raise SourceError(f"project {project_id}: {error}") from None
    if version < 2:
        raise SourceError(f"project {project_id} is of Neptune's legacy client, which has another API")
    return uuid


def runs(api: Api, project_id: str, selection: RunSelection) -> Iterator[SourceRun]:
    """Everything of a project that the selection takes, ascending by `sys/id`: runs, models, versions. Raises
    AuthenticationError or SourceError."""
    uuid = project_uuid(api, project_id)
    models = _queried_models(api, project_id, uuid, selection)
    for kind in RunKind:
        if kind not in selection.kinds:
            continue
        for listed in _search(api, project_id, uuid, kind, selection.query):
            if kind is RunKind.MODEL_VERSION and models is not None and listed.model_id not in models:
                continue
            run = listed.run
            if selection.takes(run.key, run.modified_at, is_archived=run.archived):
                yield run


def _queried_models(api: Api, project_id: str, uuid: str, selection: RunSelection) -> set[str] | None:
    """The models whose versions are wanted: a query is about models, and their versions come along.

    None if versions of all models are.
    """
    if selection.query is None or RunKind.MODEL_VERSION not in selection.kinds:
        return None
    found = _search(api, project_id, uuid, RunKind.MODEL, selection.query)
    return {m.run.key.run_id for m in found if selection.include_archived or not m.run.archived}


def _search(api: Api, project_id: str, uuid: str, kind: RunKind, query: str | None) -> Iterator[Listed]:
    """All of one kind, window by window: each begins after the last id of the one before.

    Sorted ascending by `sys/id`: in the default order every window would repeat the first.
    """
    seen: set[str] = set()
    expected, last = 0, ""
    while True:
        before, rows = len(seen), 0
        for page in _window(api, project_id, uuid, kind, _conditions(kind, query, last)):
            expected = expected or page.matching  # as it was at the beginning
            rows += page.rows
            for listed in _new(page.listed, seen):
                last = listed.run.key.run_id
                yield listed
        if rows < _WINDOW or len(seen) == before:
            break
    if len(seen) < expected:
        raise SourceError(
            f"project {project_id}: the server counts {expected} {_plural(kind)} and listed {len(seen)}; "
            "if some were deleted meanwhile, run this again"
        )


def _conditions(kind: RunKind, query: str | None, last: str) -> str:
    """What a window asks for: the query, which is not for versions of models, and ids after the last."""
    given = "" if query is None or kind is RunKind.MODEL_VERSION else query.strip()
    conditions = [f"({given})"] if given else []
    if last:
        conditions.append(f"(`{SysAttribute.ID}`:string > {_quoted(last)})")
    return " AND ".join(conditions)


def _new(listed: list[Listed], seen: set[str]) -> list[Listed]:
    new = {each.run.handle: each for each in listed if each.run.handle not in seen}
    seen.update(new)
    return list(new.values())


@dataclass(frozen=True)
class _Page:
    """An answer of a search."""

    matching: int
    """Number of runs that the whole search finds."""
    rows: int
    listed: list[Listed]
    """The rows that have an id. The others are missed when the runs are counted at the end."""


def _window(api: Api, project_id: str, uuid: str, kind: RunKind, query: str) -> Iterator[_Page]:
    """The pages of one search, as far as the server gives them: one at least."""
    for offset in range(0, _WINDOW, _PAGE):
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
        try:
            page = api.post(
                f"{LEADERBOARD}/leaderboard/entries/search",
                {"projectIdentifier": uuid, "type": _WIRE_KINDS[kind]},
                body,
                partial(_read_page, api.address, project_id, kind),
            )
        except RequestRefusedError as error:
            message = f"project {project_id}: its {_plural(kind)} cannot be listed: {error}"
            if error.status == 400 and query:
                raise QueryError(f"{message}; is the query right? {query}") from None
            raise SourceError(message) from None
        yield page
        if page.rows < _PAGE:
            return


def _read_page(address: str, project_id: str, kind: RunKind, answer: Any) -> _Page:
    entries = answer["entries"]
    listed = (_listed(address, project_id, kind, entry) for entry in entries)
    return _Page(
        int(answer["matchingItemCount"]), len(entries), [each for each in listed if each is not None]
    )


def _listed(address: str, project_id: str, kind: RunKind, entry: Any) -> Listed | None:
    """None for an entry without an id."""
    values = {}
    for raw in entry["attributes"]:
        attribute = Attribute.of_json(raw)
        if attribute.path in _COLUMNS:
            with suppress(ValueError):
                values[attribute.path] = attribute.value
    run_id, name, modified = (values.get(path) for path in _COLUMNS[:3])
    if not isinstance(run_id, str):
        return None
    model_id = values.get(_MODEL_ID)
    run = SourceRun(
        RunKey(project_id, run_id, kind),
        modified if isinstance(modified, datetime) else None,
        name if isinstance(name, str) else None,
        values.get(SysAttribute.TRASHED) is True,
        handle=str(entry["experimentId"]),
        url=f"{address}/{quote(project_id)}/{_page_of(kind, run_id, model_id)}",
    )
    return Listed(run, model_id if isinstance(model_id, str) else None)


def _page_of(kind: RunKind, run_id: str, model_id: object) -> str:
    """As the client's `get_url` of runs, models and their versions has it."""
    if kind is RunKind.RUN:
        return f"e/{quote(run_id)}"
    return f"m/{quote(run_id)}" if kind is RunKind.MODEL else f"m/{quote(str(model_id))}/v/{quote(run_id)}"


def _plural(kind: RunKind) -> str:
    return f"{kind.value.replace('_', ' ')}s"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
