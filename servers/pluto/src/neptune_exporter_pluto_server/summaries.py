"""What the API answers about whole metrics: statistics, comparison, ranking.

Shapes and numbers as recorded from the real API; what it makes of a metric without finite values is read in
`web/server/lib/queries/metric-summaries.ts`: it leaves it out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from neptune_exporter.testing.loopback import Request
from neptune_exporter_pluto_server.api import run_url
from neptune_exporter_pluto_server.jsonb import js_number
from neptune_exporter_pluto_server.points import newest_of_steps
from neptune_exporter_pluto_server.runs import Run, log_group
from neptune_exporter_pluto_server.shapes import query_number, query_option, query_string, refused
from neptune_exporter_pluto_server.state import State, iso_time

_AGGREGATIONS = ("MIN", "MAX", "AVG", "LAST", "VARIANCE")


@dataclass(frozen=True)
class Summary:
    """Of the finite values of a metric, one a step; `last_step` is that of its last point, finite or not."""

    count: int
    low: float
    high: float
    mean: float
    deviation: float
    last: float
    last_step: int

    def aggregated(self, name: str) -> float:
        variance = self.deviation * self.deviation
        values = (self.low, self.high, self.mean, self.last, variance)
        return dict(zip(_AGGREGATIONS, values, strict=True))[name]


def summary(state: State, run: Run, name: str) -> Summary | None:
    """None where the metric has no finite value that can be seen."""
    points = newest_of_steps(state.store.points.series(state.key_of(run), name))
    values = points["value"][np.isfinite(points["value"])].tolist()
    if not values:
        return None
    mean = sum(values) / len(values)
    squares = sum(value * value for value in values) / len(values)
    return Summary(
        len(values),
        min(values),
        max(values),
        mean,
        math.sqrt(max(squares - mean * mean, 0.0)),
        values[-1],
        int(points["step"][-1]),
    )


class Summaries:
    """The handlers of `statistics`, `compare` and `leaderboard`."""

    def __init__(self, state: State) -> None:
        self._state = state

    def statistics(self, request: Request) -> dict[str, Any]:
        run_id, project = query_number("runId", request.param("runId")), query_string(request, "projectName")
        wanted, group = request.param("logName"), request.param("logGroup")
        run = self._state.run(run_id)
        if run.project.name != project:
            raise refused("Run not found", 404)
        metrics = []
        for name in self._state.store.points.visible_names(self._state.key_of(run)):
            if wanted not in (None, "", name) or group not in (None, log_group(name)):
                continue
            found = summary(self._state, run, name)
            if found is not None:
                metrics.append({"logName": name, "logGroup": log_group(name), **_statistics(found)})
        return {
            "runId": run.id,
            "runName": run.name,
            "projectName": project,
            "url": run_url(self._state, run),
            "metrics": metrics[:100],
        }

    def compare(self, request: Request) -> dict[str, Any]:
        project, name = query_string(request, "projectName"), query_string(request, "logName")
        ids = [int(part) for part in query_string(request, "runIds").split(",") if part.strip().isdigit()]
        if not 0 < len(ids) <= 100:
            raise refused("No valid run IDs provided, or too many", 400)
        return {
            "projectName": project,
            "logName": name,
            "comparisonUrl": f"{self._state.url}/o/rehearsal/projects/{project}?runs={ids}",
            "runs": [
                self._compared(run, name) for run in self._state.runs.in_project(project) if run.id in ids
            ],
        }

    def _compared(self, run: Run, name: str) -> dict[str, Any]:
        found = summary(self._state, run, name)
        return {
            "runId": run.id,
            "runName": run.name,
            "url": run_url(self._state, run),
            "status": run.status,
            "config": run.config,
            "stats": None
            if found is None
            else {
                "count": found.count,
                "min": js_number(found.low),
                "max": js_number(found.high),
                "mean": js_number(found.mean),
                "final": js_number(found.last),
            },
        }

    def leaderboard(self, request: Request) -> dict[str, Any]:
        project, name = query_string(request, "projectName"), query_string(request, "logName")
        aggregation = query_option(request, "aggregation", _AGGREGATIONS) or "LAST"
        direction = query_option(request, "direction", ("ASC", "DESC")) or "ASC"
        limit = min(query_number("limit", request.param("limit"), 20), 100)
        offset = query_number("offset", request.param("offset"), 0)
        ranked = ranking(self._state, self._state.runs.in_project(project), name, aggregation, direction)
        return {
            "projectName": project,
            "logName": name,
            "aggregation": aggregation,
            "direction": direction,
            "runs": [
                {
                    "rank": offset + place,
                    "runId": run.id,
                    "runName": run.name,
                    "status": run.status,
                    "url": run_url(self._state, run),
                    "value": js_number(value),
                    "config": run.config,
                    "tags": list(run.tags),
                    "createdAt": iso_time(run.created_at),
                }
                for place, (run, value) in enumerate(ranked[offset : offset + limit], 1)
            ],
            "total": len(ranked),
        }


def ranking(
    state: State, runs: list[Run], name: str, aggregation: str, direction: str
) -> list[tuple[Run, float]]:
    """The runs that have the metric, in order, with the number that they are ordered by."""
    found = ((run, summary(state, run, name)) for run in runs)
    ranked = [(run, of_run.aggregated(aggregation)) for run, of_run in found if of_run is not None]
    return sorted(ranked, key=lambda entry: entry[1], reverse=direction == "DESC")


def _statistics(found: Summary) -> dict[str, Any]:
    return {
        "count": found.count,
        "min": js_number(found.low),
        "max": js_number(found.high),
        "mean": js_number(found.mean),
        "stddev": js_number(found.deviation),
        "last": {"step": js_number(found.last_step), "value": js_number(found.last)},
    }
