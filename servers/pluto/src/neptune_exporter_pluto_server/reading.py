"""The reading routes of the API service for rows: metrics, logs, files.

As recorded from the real API (pluto-server 3e89082): values that are not finite read as 0 with a flag, -0.0
reads as 0, a number without a fraction reads as an integer, steps beyond 2**53 are rounded.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import orjson

from neptune_exporter.testing.loopback import LoopbackServer, Request, Response
from neptune_exporter_pluto_server.api import authorized
from neptune_exporter_pluto_server.files import download_url
from neptune_exporter_pluto_server.jsonb import js_integer
from neptune_exporter_pluto_server.lines import U64_MAX
from neptune_exporter_pluto_server.listing import Listing
from neptune_exporter_pluto_server.points import Key, Points, newest_of_steps
from neptune_exporter_pluto_server.runs import log_group
from neptune_exporter_pluto_server.shapes import (
    ApiError,
    query_number,
    query_option,
    query_string,
)
from neptune_exporter_pluto_server.state import EPOCH, State
from neptune_exporter_pluto_server.summaries import Summaries

_LAST_TIME = 253402300799999  # the end of 9999, as far as today's ClickHouse shows times (seen there)
_MAX_FILES = 1000
_LOG_TYPES = ("INFO", "ERROR", "WARNING", "DEBUG", "PRINT")
_FLAGS = {"NaN": 1, "Inf": 2, "-Inf": 4}


class Reading:
    """Registers its routes with a server."""

    def __init__(self, state: State) -> None:
        self._state = state

    def register(self, server: LoopbackServer) -> None:
        listing, summaries = Listing(self._state), Summaries(self._state)
        for path, handler in (
            ("metrics/raw", self.raw_metrics),
            ("metrics", self.metrics),
            ("metric-names", self.metric_names),
            ("logs", self.logs),
            ("files", self.files),
            ("list", listing.runs),
            ("projects", listing.projects),
            ("details/by-display-id/(?P<display_id>[^/]+)", listing.details_by_display_id),
            ("details/(?P<run_id>[^/]+)", listing.details),
            ("status/history", listing.status_history),
            ("auth/validate", listing.validate),
            ("statistics", summaries.statistics),
            ("compare", summaries.compare),
            ("leaderboard", summaries.leaderboard),
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
            except ApiError as error:
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
            rows = _sampled(newest_of_steps(points.series(key, each, low, high)), limit)
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
            ({"value": _js(value), "time": _clickhouse_time(time), "step": self._step(step)}, flag)
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
                "annotations": row["annotations"],
                "url": download_url(self._state, key, row["logName"], row["fileName"]),
            }
            for row in rows[:_MAX_FILES]
        ]
        return {"files": files}

    # Parameters and numbers

    def _key(self, request: Request) -> Key:
        run_id = query_number("runId", request.param("runId"))
        return query_string(request, "projectName"), run_id

    def _steps(self, request: Request) -> tuple[int, int | None]:
        low, high = request.param("stepMin"), request.param("stepMax")
        last = None if high is None else min(query_number("stepMax", high, 0, 0), U64_MAX)
        return min(query_number("stepMin", low, 0, 0), U64_MAX), last

    def _step(self, value: int) -> int | str:
        """Beyond 2**53 rounded, by JavaScript, and shown with the digits that it prints."""
        return self._integer(js_integer(value))

    def _integer(self, value: int) -> int | str:
        return str(value) if self._state.settings.quoted_integers else value


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
    moment = EPOCH + timedelta(milliseconds=min(milliseconds, _LAST_TIME))
    return moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{moment.microsecond // 1000:03d}"
