"""The reading routes for runs and projects: list, details, status history.

Shapes, refusals and orders as recorded from the real API (pluto-server 3e89082).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from neptune_exporter.testing.loopback import Request
from neptune_exporter_pluto_server.filters import parse_field_filters, parse_filter
from neptune_exporter_pluto_server.runs import STATUSES, Run, log_group
from neptune_exporter_pluto_server.shapes import query_number, refused
from neptune_exporter_pluto_server.state import ORGANIZATION, State, iso_time
from neptune_exporter_pluto_server.summaries import ranking

_MAX_LOG_NAMES = 1000
_SORTS: dict[str, Callable[[Run], Any]] = {
    "createdAt": lambda run: run.created_at,
    "created_at": lambda run: run.created_at,
    "updatedAt": lambda run: run.updated_at,
    "updated_at": lambda run: run.updated_at,
    "name": lambda run: run.name,
    "status": lambda run: STATUSES.index(run.status),
}


class Listing:
    """The handlers of the routes."""

    def __init__(self, state: State) -> None:
        self._state = state

    def runs(self, request: Request) -> dict[str, Any]:
        limit = query_number("limit", request.param("limit"), 50, 1, 200)
        offset = query_number("offset", request.param("offset"), 0, 0, 100_000)
        project = request.param("projectName")
        if not project:
            raise refused("projectName is required unless konduktorJobPrefix is provided", 400)
        with self._state.runs.lock:
            wanted = self._wanted(request)
            runs = [run for run in self._state.runs.in_project(project) if wanted(run)]
            total = len(runs)
            runs = self._sorted(runs, request.param("sort") or "-createdAt")
            with_fields = request.param("includeFieldValues") is not None
            page = [_listed(run, with_fields) for run in runs[offset : offset + limit]]
        return {"runs": page, "total": total}

    def _wanted(self, request: Request) -> Callable[[Run], bool]:
        search = (request.param("search") or "").strip().lower()
        tags = {tag.strip() for tag in (request.param("tags") or "").split(",") if tag.strip()}
        tests: list[Callable[[Run], bool]] = [lambda run: search in run.name.lower()]
        if tags:  # any of them
            tests.append(lambda run: not tags.isdisjoint(run.tags))
        for name, parse in (("filter", parse_filter), ("fieldFilters", parse_field_filters)):
            text = request.param(name)
            if text and self._state.settings.unindexed_configs:
                tests.append(lambda run: False)
            elif text:
                tests.append(parse(text))
        return lambda run: all(test(run) for test in tests)

    def _sorted(self, runs: list[Run], sort: str) -> list[Run]:
        """Runs without the value of a config come last, those without the metric not at all."""
        field, descending = sort.lstrip("+-"), sort.startswith("-")
        family, _, key = field.partition(".")
        if family == "config" and key:
            return _by_config(runs, key.removesuffix(".value"), descending)
        if family == "summary_metrics" and key:
            direction = "DESC" if descending else "ASC"
            return [run for run, _ in ranking(self._state, runs, key, "LAST", direction)]
        order = _SORTS.get(field)
        if order is None:
            raise refused(f"invalid sort field '{field}'", 400)
        return sorted(runs, key=lambda run: (order(run), run.id), reverse=descending)

    def projects(self, request: Request) -> dict[str, Any]:
        with self._state.runs.lock:
            projects = [
                {
                    "id": project.id,
                    "name": project.name,
                    "createdAt": iso_time(project.created_at),
                    "updatedAt": iso_time(project.updated_at),
                    "runCount": len(self._state.runs.in_project(project.name)),
                }
                for project in self._state.runs.projects.values()
            ]
        return {"projects": projects}

    def details(self, request: Request) -> dict[str, Any]:
        """The project that a request names is not looked at."""
        run_id = query_number("runId", request.path_values["run_id"])
        with self._state.runs.lock:
            return described(self._state.run(run_id))

    def details_by_display_id(self, request: Request) -> dict[str, Any]:
        display_id = request.path_values["display_id"]
        prefix, _, number = display_id.partition("-")
        if not prefix or not number.isdigit():
            raise refused("Invalid display ID format. Expected PREFIX-NUMBER (e.g., 'MMP-1')", 400)
        with self._state.runs.lock:
            run = self._state.runs.find_displayed(display_id, request.param("projectName"))
            if run is None:
                raise refused("Run not found", 404)
            found = described(run)
        return {key: value for key, value in found.items() if key not in ("forkedFromRunId", "forkStep")}

    def status_history(self, request: Request) -> dict[str, Any]:
        """Oldest first: the creation, and each change of the status to another one."""
        with self._state.runs.lock:
            run = self._state.run(query_number("runId", request.param("runId")))
            events = [
                {
                    "id": str(number),
                    "runId": run.id,
                    "fromStatus": event.before,
                    "toStatus": event.after,
                    "source": event.source,
                    "metadata": event.metadata,
                    "actorId": None,
                    "apiKeyId": None,
                    "createdAt": iso_time(event.at),
                }
                for number, event in sorted(
                    enumerate(run.events, 1), key=lambda entry: (entry[1].at, entry[0])
                )
            ]
        return {"runId": run.id, "events": events}

    def validate(self, request: Request) -> dict[str, Any]:
        return {
            "valid": True,
            "organization": {"id": ORGANIZATION, "slug": ORGANIZATION},
            "user": {"id": "user"},
        }


def described(run: Run) -> dict[str, Any]:
    names = [
        {"logName": name, "logType": kind, "logGroup": log_group(name) if name else None}
        for name, kind in run.log_names.items()
    ]
    return {
        "id": run.id,
        "name": run.name,
        "number": run.number,
        "displayId": run.display_id,
        "status": run.status,
        "tags": list(run.tags),
        "config": run.config,
        "systemMetadata": run.system_metadata,
        "loggerSettings": run.logger_settings,
        "statusMetadata": run.status_metadata,
        "createdAt": iso_time(run.created_at),
        "updatedAt": iso_time(run.updated_at),
        "statusUpdated": None if run.status_updated is None else iso_time(run.status_updated),
        "projectName": run.project.name,
        "externalId": run.external_id,
        "forkedFromRunId": None if run.parent is None else run.parent.id,
        "forkStep": run.fork_step,
        "logNames": names[:_MAX_LOG_NAMES],
    }


def run_record(run: Run) -> dict[str, Any]:
    """Everything known of a run, for the kept folder: also what no route returns."""
    return {**described(run), "logNames": run.log_names, "notes": run.notes}


def _listed(run: Run, with_fields: bool) -> dict[str, Any]:
    listed = {
        "id": run.id,
        "name": run.name,
        "number": run.number,
        "displayId": run.display_id,
        "projectName": run.project.name,
        "status": run.status,
        "tags": list(run.tags),
        "createdAt": iso_time(run.created_at),
    }
    if with_fields and run.fields:
        listed["_flatConfig"] = {key: value.shown for key, value in run.fields.items()}
        listed["_flatSystemMetadata"] = {}
    return listed


def _by_config(runs: list[Run], key: str, descending: bool) -> list[Run]:
    sign = -1 if descending else 1

    def order(run: Run) -> tuple[bool, float]:
        value = run.fields.get(key)
        number = None if value is None else value.number
        return number is None, math.inf if number is None else sign * number

    newest_first = sorted(runs, key=lambda run: run.created_at, reverse=True)
    return sorted(newest_first, key=order)
