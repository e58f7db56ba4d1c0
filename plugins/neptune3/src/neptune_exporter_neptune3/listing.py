"""Lists projects, and the runs of a project, completely."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote, quote_plus

from neptune_exporter.contract import QueryError, RunSelection, SourceError, SourceRun
from neptune_exporter.model import RunKey, RunKind, SysAttribute
from neptune_exporter.toolkit.http_errors import RequestRefusedError
from neptune_exporter_neptune3.api import Api

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_OTHER = "; is this a server of Neptune 2.x? Then use --exporter neptune2"
"""Added to the message of a 404: every server of 3.x knows these addresses."""
PAGE = 10_000
"""Runs of a page: what the client asks for (NEPTUNE_QUERY_SYS_ATTRS_BATCH_SIZE)."""
_OVERLAP = 100
"""How many entries two pages share, at most half a page. If up to that many listed runs are deleted between
two pages, the others move up and no run is skipped."""
_ATTEMPTS = 5
"""How often a listing begins again, because runs were deleted meanwhile."""
_COLUMNS = (
    SysAttribute.ID,
    SysAttribute.CUSTOM_RUN_ID,
    SysAttribute.NAME,
    SysAttribute.MODIFICATION_TIME,
    SysAttribute.ARCHIVED,
    SysAttribute.TRASHED,
    SysAttribute.FORK_PARENT,
    SysAttribute.FORK_STEP,
)
_FORK = " fork"
_OLDEST_FIRST = {
    "dir": "ascending",
    "sortBy": {"name": SysAttribute.CREATION_TIME, "type": "datetime"},
}
"""Runs that are created meanwhile come last in this order, so that no page moves."""


def projects(api: Api) -> list[str]:
    """Every project of which the token may read a run, sorted. Raises AuthenticationError or SourceError."""
    found = set()
    try:
        for entry in _entries(api.search_everywhere, {"sorting": _OLDEST_FIRST, "experimentLeader": False}):
            found.add(f"{entry.organization_name}/{entry.project_name}")
    except SourceError as error:
        hint = _OTHER if isinstance(error, RequestRefusedError) and error.status == 404 else ""
        raise SourceError(f"the projects cannot be listed: {error}{hint}") from None
    return sorted(found)


def runs(api: Api, project_id: str, selection: RunSelection) -> Iterator[SourceRun]:
    """Every run of a project that the selection takes, each once.

    A dataset holds one run for each id. If several runs have one id, the listing gives the same one for every
    selection: a wider selection must not replace it by another. The error at the end names the others.

    The server's regular expressions match anywhere in an id and are of another dialect, so ids are matched
    here. Raises AuthenticationError or SourceError.
    """
    if RunKind.RUN not in selection.kinds:
        return
    listed: dict[str, _Listed] = {}
    broken: Exception | None = None
    try:
        for entry in _entries(lambda page: api.search(project_id, page), _search_for(selection)):
            run = _Listed.of(entry)
            listed.setdefault(run.sys_id, run)
    except Exception as error:  # noqa: BLE001 - raised below, after the runs that were listed
        broken = _listing_error(project_id, selection, error)
    taken, passed_over = _one_of_each_id(listed.values(), project_id, api.address, selection)
    taken_ids = {source_run.key.run_id for source_run, _ in taken}
    for source_run, run in taken:
        yield replace(source_run, notes=run.notes(taken_ids))
    if broken is not None:
        raise broken from None
    if passed_over:
        raise SourceError(
            f"project {project_id}: not exported, as of runs with one id only one is, the active before an "
            f"archived one, then the lowest sys/id: {', '.join(passed_over)}. For another one, name it "
            "(--runs-query '`sys/id`:string = \"...\"') and give it folders of its own (-d, -f)"
        )


def _search_for(selection: RunSelection) -> dict[str, Any]:
    body: dict[str, Any] = {
        "attributeFilters": [{"path": path} for path in _COLUMNS],
        "experimentLeader": False,
        "sorting": _OLDEST_FIRST,
    }
    if selection.query is not None and selection.query.strip():
        body["query"] = {"query": selection.query}
    return body


def _one_of_each_id(
    listed: Iterable[_Listed], project_id: str, address: str, selection: RunSelection
) -> tuple[list[tuple[SourceRun, _Listed]], list[str]]:
    """The selected runs, and descriptions of those that are left out because another run has their id."""
    taken: list[tuple[SourceRun, _Listed]] = []
    passed_over: list[str] = []
    for run_id, namesakes in _by_id(listed).items():
        first = min(namesakes, key=_precedence)
        for run in namesakes:
            source_run = run.as_source_run(RunKey(project_id, run_id), address)
            if not selection.takes(source_run.key, run.modified_at, is_archived=run.archived):
                continue
            if run is first:
                taken.append((source_run, run))
            else:
                passed_over.append(f"{run.sys_id} ({run_id}: {first.sys_id} goes before it)")
    return taken, passed_over


def _listing_error(project_id: str, selection: RunSelection, error: Exception) -> Exception:
    if isinstance(error, RequestRefusedError):
        kind = QueryError if error.status == 400 and selection.query else SourceError
        return kind(_why(project_id, selection, error))
    if isinstance(error, SourceError):
        return SourceError(f"the runs of project {project_id} cannot be listed: {error}")
    return error


@dataclass(frozen=True)
class _Listed:
    """What the server lists of a run."""

    sys_id: str
    custom_id: str | None
    name: str | None
    modified_at: datetime | None
    archived: bool
    is_fork: bool
    parent: str | None
    fork_step: float | None

    @classmethod
    def of(cls, entry: Any) -> _Listed:
        """Raises SourceError for a run without `sys/id`: no request could name it."""
        found = {attribute.name: attribute for attribute in entry.attributes}

        def text(path: str) -> str | None:
            attribute = found.get(path)
            has = attribute is not None and attribute.HasField("string_properties")
            return attribute.string_properties.value if attribute is not None and has else None

        sys_id = text(SysAttribute.ID)
        if not sys_id:
            raise SourceError(f"the server lists a run without sys/id (experiment {entry.experiment_id})")
        modified = found.get(SysAttribute.MODIFICATION_TIME)
        return cls(
            sys_id,
            text(SysAttribute.CUSTOM_RUN_ID) or None,
            text(SysAttribute.NAME),
            instant(modified.datetime_properties.value) if modified is not None else None,
            any(
                found[p].bool_properties.value
                for p in (SysAttribute.ARCHIVED, SysAttribute.TRASHED)
                if p in found
            ),
            SysAttribute.FORK_PARENT in found,
            text(SysAttribute.FORK_PARENT),
            _fork_step(found.get(SysAttribute.FORK_STEP)),
        )

    def as_source_run(self, key: RunKey, address: str) -> SourceRun:
        """The run without its notes. Its URL is as neptune-scale's `Run.get_run_url` makes it."""
        page = f"{address}/{quote(key.project_id)}/-/run/?customId="
        return SourceRun(
            key,
            self.modified_at,
            self.name,
            self.archived,
            handle=self.sys_id + _FORK * self.is_fork,
            url="" if self.custom_id is None else page + quote_plus(self.custom_id),
            identity=self.sys_id,
        )

    def notes(self, taken: set[str]) -> tuple[str, ...]:
        """`taken`: the ids of the runs that are exported."""
        notes: list[str] = []
        if self.custom_id is None:
            notes.append("the run has no sys/custom_run_id; its sys/id stands for it")
        if self.parent and self.parent not in taken:
            until = "" if self.fork_step is None else f" up to step {self.fork_step:.15g}"
            notes.append(
                f"a fork of {self.parent}: the points that it inherits{until} are that run's, "
                "which was not exported together with it"
            )
        return tuple(notes)


def _by_id(listed: Iterable[_Listed]) -> dict[str, list[_Listed]]:
    """The runs by `sys/custom_run_id`, or by `sys/id` if a run has none."""
    listed = list(listed)
    custom = {run.custom_id for run in listed}
    found: dict[str, list[_Listed]] = {}
    for run in listed:
        own = run.sys_id if run.sys_id not in custom else f"{run.sys_id} (sys/id)"
        found.setdefault(run.custom_id or own, []).append(run)
    return found


def _precedence(run: _Listed) -> tuple[bool, int, str]:
    """A sort key: of runs with one id, the first is exported. Active runs come before archived ones, then the
    lowest `sys/id` counts. Nothing that changes when a run is written to may count: the dataset would hold
    another run than is listed."""
    return run.archived, len(run.sys_id), run.sys_id


def _entries(ask: Callable[[dict[str, Any]], Any], body: dict[str, Any]) -> Iterator[Any]:
    """Every entry, some of them twice, whatever the length of the server's pages. Raises SourceError if the
    server listed fewer than it counts, or too many runs are deleted meanwhile."""
    for _ in range(_ATTEMPTS):
        if (yield from _one_pass(ask, body)):
            return
    raise SourceError("runs are being deleted faster than they are listed; run this again later")


def _one_pass(ask: Callable[[dict[str, Any]], Any], body: dict[str, Any]) -> Generator[Any, None, bool]:
    """Page after page. Returns False if so many runs were deleted between two pages that some may be missing.

    If the server does not count the runs, the first short page is the last one
    (`_make_new_sys_attrs_page_params` in the client).
    """
    seen: set[tuple[str, str, str]] = set()
    offset = overlap = 0
    while True:
        page = ask({**body, "pagination": {"limit": PAGE, "offset": offset}})
        keys = [_identity(entry) for entry in page.entries]
        if overlap and seen.isdisjoint(keys[:1]):
            return False  # more was deleted than the pages overlap
        yield from page.entries
        known = len(seen)
        seen.update(keys)
        end = offset + len(keys)
        is_short = len(keys) < PAGE and end >= page.matching_item_count
        if is_short or len(seen) == known:
            break
        overlap = min(_OVERLAP, len(keys) // 2)
        offset = end - overlap
    if len(seen) < page.matching_item_count:
        raise SourceError(
            f"the server counts {page.matching_item_count} runs and listed {len(seen)}; run this again"
        )
    return True


def _identity(entry: Any) -> tuple[str, str, str]:
    ids = (each.string_properties.value for each in entry.attributes if each.name == SysAttribute.ID)
    return entry.organization_name, entry.project_name, next(ids, "")


def _fork_step(attribute: Any) -> float | None:
    if attribute is None:
        return None
    properties = attribute.int_properties if attribute.type == "int" else attribute.float_properties
    return float(properties.value)


def sys_id_of(handle: str) -> str:
    return handle.removesuffix(_FORK)


def is_fork(handle: str) -> bool:
    """Whether a listed run may show series that only its ancestors have."""
    return handle.endswith(_FORK)


def instant(millis: int) -> datetime:
    """Raises OverflowError beyond the year 9999."""
    return EPOCH + timedelta(milliseconds=millis)


def _why(project_id: str, selection: RunSelection, error: RequestRefusedError) -> str:
    if error.status in (403, 404, 422):
        return (
            f"there is no project {project_id} (workspace/project), or this token may not read it ({error})"
            + (_OTHER if error.status == 404 else "")
        )
    hint = f"; is the query right? {selection.query}" if error.status == 400 and selection.query else ""
    return f"the runs of project {project_id} cannot be listed: {error}{hint}"
