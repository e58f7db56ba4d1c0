"""The reading routes of the API service, as `pluto.query` of pluto-ml 0.0.29 calls them.

Shapes from that module, from pluto-server `web/server/lib/queries/` and from what
was seen running: values that are not finite read as 0 with a flag, -0.0 reads as
0, and a number without a fraction reads as an integer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import orjson

from neptune_exporter.testing.loopback import LoopbackServer, Request, Response
from neptune_exporter_pluto_server.api import authorized, run_url
from neptune_exporter_pluto_server.files import download_url
from neptune_exporter_pluto_server.points import Key, Points
from neptune_exporter_pluto_server.runs import Run, log_group
from neptune_exporter_pluto_server.shapes import (
    RefusedError,
    query_number,
    query_option,
    query_string,
    refused,
)
from neptune_exporter_pluto_server.state import State

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LAST_TIME = 10413791999999  # the end of ClickHouse's DateTime64(3): 2299-12-31
_MAX_LOG_NAMES = 1000
_MAX_FILES = 1000
_LOG_TYPES = ("INFO", "ERROR", "WARNING", "DEBUG", "PRINT")
_FLAGS = {"NaN": 1, "Inf": 2, "-Inf": 4}
_LISTED = ["id", "name", "number", "displayId", "status", "tags", "config", "createdAt", "updatedAt", "url"]
_SORTS: dict[str, Callable[[Run], Any]] = {
    "createdAt": lambda run: run.created_at,
    "updatedAt": lambda run: run.updated_at,
    "name": lambda run: run.name,
    "status": lambda run: run.status,
}


class Reading:
    """Registers its routes with a server."""

    def __init__(self, state: State) -> None:
        self._state = state

    def register(self, server: LoopbackServer) -> None:
        for path, handler in (
            ("metrics/raw", self.raw_metrics),
            ("metrics", self.metrics),
            ("metric-names", self.metric_names),
            ("logs", self.logs),
            ("files", self.files),
            ("list", self.list),
            ("projects", self.projects),
            ("details/by-display-id/(?P<display_id>[^/]+)", self.details_by_display_id),
            ("details/(?P<run_id>[^/]+)", self.details),
        ):
            server.route("GET", f"/api/runs/{path}", self._route(handler))

    def _route(self, handler: Callable[[Request], dict[str, Any]]) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            try:
                authorized(self._state, request)
                found = handler(request)
                try:
                    return Response(200, orjson.dumps(found), "application/json")
                except TypeError:  # a config with an integer beyond 64 bits
                    return Response.of_json(found)
            except RefusedError as error:
                return error.response

        return answer

    # Metrics

    def raw_metrics(self, request: Request) -> dict[str, Any]:
        """Every stored row of one series by step; `truncated` if they are as many as the limit."""
        key, name = self._key(request), query_string(request, "logName")
        low, high = self._steps(request)
        limit = query_number("limit", request.param("limit"), 50_000, 1, 50_000)
        points = self._state.store.points.page(key, name, low, high, limit)
        rows = [
            {"logGroup": log_group(name), **row, "nonFiniteFlags": _FLAGS.get(flag, 0)}
            for row, flag in self._point_rows(points)
        ]
        return {"rows": rows, "truncated": len(rows) == limit}

    def metrics(self, request: Request) -> dict[str, Any]:
        """One row for a step, the newest time winning; above the limit every k-th."""
        key, name, group = self._key(request), request.param("logName"), request.param("logGroup")
        low, high = self._steps(request)
        limit = query_number("limit", request.param("limit"), 2000, 1, 10_000)
        points = self._state.store.points
        metrics = []
        for each in [name] if name else points.visible_names(key):
            if group and log_group(each) != group:
                continue
            rows = _sampled(_newest(points.series(key, each, low, high)), limit)
            metrics += [
                {"logName": each, "logGroup": log_group(each), **row, "valueFlag": flag}
                for row, flag in self._point_rows(rows)
            ]
        return {"metrics": metrics}

    def metric_names(self, request: Request) -> dict[str, Any]:
        project = query_string(request, "projectName")
        limit = query_number("limit", request.param("limit"), 500)
        wanted, search = request.param("runIds"), (request.param("search") or "").lower()
        ids = {int(part) for part in (wanted or "").split(",") if part.strip().isdigit()}
        points = self._state.store.points
        names = {
            name
            for key in points.owners()
            if key[0] == project and (not ids or key[1] in ids)
            for name in points.visible_names(key)
            if search in name.lower()
        }
        return {"projectName": project, "metricNames": sorted(names)[: min(limit, 500)]}

    def _point_rows(self, rows: Points) -> list[tuple[dict[str, Any], str]]:
        finite = np.isfinite(rows["value"])
        values = np.where(finite, rows["value"], 0.0)
        flags = [""] * len(rows)
        for place in np.flatnonzero(~finite).tolist():
            flags[place] = _flag(float(rows["value"][place]))
        return [
            ({"value": _js(value), "time": _clickhouse_time(time), "step": self._integer(step)}, flag)
            for value, time, step, flag in zip(
                values.tolist(), rows["time"].tolist(), rows["step"].tolist(), flags, strict=True
            )
        ]

    # Logs and files

    def logs(self, request: Request) -> dict[str, Any]:
        kind = query_option(request, "logType", _LOG_TYPES)
        limit = query_number("limit", request.param("limit"), 1000, 1, 10_000)
        offset = query_number("offset", request.param("offset"), 0, 0)
        rows, total = self._state.store.logs.page(
            self._key(request), "lineNumber", {"logType": kind}, offset, limit
        )
        logs = [
            {
                "time": _clickhouse_time(row["time"]),
                "logType": row["logType"],
                "lineNumber": self._integer(row["lineNumber"]),
                "message": row["message"],
                "step": self._integer(0),
            }
            for row in rows
        ]
        return {"logs": logs, "total": total}

    def files(self, request: Request) -> dict[str, Any]:
        """Announced files, whether or not their bytes ever came."""
        key, name, group = self._key(request), request.param("logName"), request.param("logGroup")
        rows = [
            row
            for row in self._state.store.files.read(key).to_pylist()
            if name in (None, "", row["logName"]) and group in (None, "", log_group(row["logName"]))
        ]
        rows.sort(key=lambda row: (row["step"], row["sampleIndex"], row["fileName"]))
        files = [
            {
                "fileName": row["fileName"],
                "fileType": row["fileType"],
                "fileSize": self._integer(row["fileSize"]),
                "logName": row["logName"],
                "logGroup": log_group(row["logName"]),
                "time": _clickhouse_time(row["time"]),
                "step": self._integer(row["step"]),
                "caption": row["caption"],
                "annotations": None,
                "url": download_url(self._state, key, row["logName"], row["fileName"]),
            }
            for row in rows[:_MAX_FILES]
        ]
        return {"files": files}

    # Runs

    def list(self, request: Request) -> dict[str, Any]:
        project = query_string(request, "projectName")
        limit = query_number("limit", request.param("limit"), 50, 1, 200)
        offset = query_number("offset", request.param("offset"), 0, 0, 100_000)
        if request.param("filter"):
            raise refused("The rehearsal server does not know the filter parameter", 400)
        search = (request.param("search") or "").strip().lower()
        tags = {tag.strip() for tag in (request.param("tags") or "").split(",") if tag.strip()}
        sort = request.param("sort") or "-createdAt"
        order = _SORTS.get(sort.lstrip("+-"))
        if order is None:
            raise refused(f"The rehearsal server cannot sort by {sort}", 400)
        with self._state.runs.lock:
            runs = [
                run
                for run in self._state.runs.in_project(project)
                if search in run.name.lower() and tags <= set(run.tags)
            ]
            runs.sort(key=order, reverse=sort.startswith("-"))
            page = [self._listed(run) for run in runs[offset : offset + limit]]
        return {"runs": page, "total": len(runs)}

    def _listed(self, run: Run) -> dict[str, Any]:
        details = self.described(run)
        return {name: details[name] for name in _LISTED}

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
        run_id = query_number("runId", request.path_values["run_id"])
        with self._state.runs.lock:
            run = self._state.run(run_id)
            if request.param("projectName") not in (None, run.project.name):
                raise refused("Run not found", 404)
            return self.described(run)

    def details_by_display_id(self, request: Request) -> dict[str, Any]:
        display_id = request.path_values["display_id"]
        prefix, _, number = display_id.partition("-")
        if not prefix or not number.isdigit():
            raise refused("Invalid display ID format. Expected PREFIX-NUMBER (e.g., 'MMP-1')", 400)
        with self._state.runs.lock:
            run = self._state.runs.find_displayed(display_id, request.param("projectName"))
            if run is None:
                raise refused("Run not found", 404)
            return self.described(run)

    def described(self, run: Run) -> dict[str, Any]:
        names = [
            {"logName": name, "logType": kind, "logGroup": log_group(name)}
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
            "url": run_url(self._state, run),
            "logNames": names[:_MAX_LOG_NAMES],
        }

    # Parameters and numbers

    def _key(self, request: Request) -> Key:
        run_id = query_number("runId", request.param("runId"))
        return query_string(request, "projectName"), run_id

    def _steps(self, request: Request) -> tuple[int, int | None]:
        low, high = request.param("stepMin"), request.param("stepMax")
        return query_number("stepMin", low, 0, 0), None if high is None else query_number(
            "stepMax", high, 0, 0
        )

    def _integer(self, value: int) -> int | str:
        return str(value) if self._state.settings.quoted_integers else value


def run_record(reading: Reading, run: Run) -> dict[str, Any]:
    """Everything known of a run, for the kept folder: also what no route tells."""
    return {**reading.described(run), "logNames": run.log_names, "notes": run.notes}


def _newest(rows: Points) -> Points:
    """Rows sorted by step and time: the last of each step."""
    last = np.ones(len(rows), np.bool_)
    last[:-1] = rows["step"][1:] != rows["step"][:-1]
    return np.asarray(rows[last])


def _sampled(rows: Points, limit: int) -> Points:
    total = len(rows)
    if total <= limit:
        return rows
    places = np.arange(1, total + 1)
    return np.asarray(rows[(places % math.ceil(total / limit) == 1) | (places == total)])


def _flag(value: float) -> str:
    return "NaN" if math.isnan(value) else "Inf" if value > 0 else "-Inf"


def _js(value: float) -> float | int:
    # the digits beyond 2^53 that JavaScript prints are not those of the double, but
    # they are the same double; only their being an integer matters to a reader
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _clickhouse_time(milliseconds: int) -> str:
    moment = _EPOCH + timedelta(milliseconds=min(milliseconds, _LAST_TIME))
    return moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{moment.microsecond // 1000:03d}"


def iso_time(milliseconds: int) -> str:
    try:
        moment = _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return "+275760-09-13T00:00:00.000Z"
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
