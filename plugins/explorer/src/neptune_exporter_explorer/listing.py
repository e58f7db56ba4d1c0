"""The page of runs: rows of the table as the address asks for them, and the columns that there are."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from neptune_exporter.contract import NeptuneExporterError
from neptune_exporter.model import AttributeType
from neptune_exporter_explorer.answers import Json
from neptune_exporter_explorer.query import Query, Runner
from neptune_exporter_explorer.runs import OpenRuns
from neptune_exporter_explorer.statistics import KINDS, metric_of
from neptune_exporter_explorer.table import FACTS, RunRow, RunsTable

_PATIENCE = 0.2
"""Seconds that an answer waits for rows and for values of metrics. Then it says how many are missing."""

_FIRST = 30
"""How many runs are searched for metrics to offer as columns."""


class Listing:
    """Answers requests of the page of runs."""

    def __init__(self, runs: OpenRuns, table: RunsTable) -> None:
        self._runs = runs
        self._table = table
        self._runner = Runner(table)
        self._reading: set[str] = set()
        self._metrics: dict[str, frozenset[str]] = {}
        """Of runs, by their stamps."""
        self._guard = threading.Lock()

    def runs(self, request: Request) -> Response:
        """The rows of a page, the groups, and how much is still to be read."""
        query = _query(request)
        self._table.wait_for_rows(query.offset + query.limit, _PATIENCE, 10)
        pending = self._metrics_of_all(query)
        answer = self._runner.answer(query)
        self._table.read_rows(answer.rows)
        pending += self._metrics_of_page(query, answer.rows)
        return Json(
            {
                "total": answer.total,
                "groups": answer.groups,
                "rows": [self._row(place, query) for place in answer.rows],
                "pending": pending,
                "complete": self._table.complete,
                "listed": self._table.listed,
                "unread": self._table.unread,
                "version": self._table.version,
            }
        )

    def columns(self, request: Request) -> Response:
        """Names of columns that hold a text: parameters of all runs, and metrics of the first ones read."""
        wanted = request.query_params.get("q", "").casefold()
        table = self._table
        table.wait_for_rows(_FIRST, 0, 10)
        table.read_rows(range(min(_FIRST, len(table.rows))))
        found: list[dict[str, Any]] = [{"name": f":{fact}", "type": "fact"} for fact in FACTS]
        found += [
            {"name": path, "type": kind, "differs": self._differs(path)}
            for path, kind in sorted(dict(table.types).items())
        ]
        found += [
            {"name": f"{path}@{kind}", "type": "metric", "runs": runs}
            for path, runs in sorted(self._metric_names().items())
            for kind in KINDS
        ]
        chosen = [column for column in found if wanted in column["name"].casefold()]
        return Json({"columns": chosen[:500], "total": len(chosen)})

    def _differs(self, path: str) -> bool:
        """Whether the first runs have several values of a parameter."""
        first = self._table.columns[path][:_FIRST]
        return any(value != first[0] for value in first)

    def _metric_names(self) -> Counter[str]:
        """Metrics of the first runs, and in how many of these each is."""
        rows = self._table.rows[:_FIRST]
        for row in rows:
            if row.stamp not in self._metrics:
                self._metrics[row.stamp] = self._metrics_of(row)
        return Counter(path for row in rows for path in self._metrics[row.stamp])

    def _metrics_of(self, row: RunRow) -> frozenset[str]:
        try:
            attributes = self._runs[row.key].attributes()
        except (NeptuneExporterError, OSError):  # the page of the run says why
            return frozenset()
        return frozenset(a.path for a in attributes if a.type is AttributeType.FLOAT_SERIES)

    def _row(self, place: int, query: Query) -> dict[str, Any]:
        row = self._table.rows[place]
        return {
            "name": row.name,
            "facts": row.facts,
            "problem": row.problem or row.damage,
            "title": self._table.value(place, "sys/name"),
            "tags": self._table.value(place, "sys/tags") or [],
            "group": self._runner.value(place, query.group) if query.group else None,
            "cells": [self._runner.value(place, column) for column in query.columns],
        }

    def _metrics_of_page(self, query: Query, rows: list[int]) -> int:
        """Read the metrics that the page shows, for a short time; returns how many values are left."""
        ends = time.monotonic() + _PATIENCE
        pending = 0
        for path in dict.fromkeys(metric[0] for c in query.columns if (metric := metric_of(c))):
            for place in rows:
                row = self._table.rows[place]
                if self._table.statistics.known(row.key, row.stamp, path) is None:
                    if time.monotonic() < ends:
                        self._table.statistics.read(row.key, row.stamp, path)
                    else:
                        pending += 1
        return pending

    def _metrics_of_all(self, query: Query) -> int:
        """Start reading the metrics that a sort or filter needs; returns how many values are missing."""
        pending = 0
        for path in self._runner.metrics_needed(query):
            missing = [
                row
                for row in list(self._table.rows)
                if self._table.statistics.known(row.key, row.stamp, path) is None
            ]
            pending += len(missing)
            with self._guard:
                if missing and path not in self._reading:
                    self._reading.add(path)
                    threading.Thread(target=self._read_all, args=(path, missing), daemon=True).start()
        return pending

    def _read_all(self, path: str, rows: list[Any]) -> None:
        try:
            for row in rows:
                self._table.statistics.read(row.key, row.stamp, path)
        finally:
            with self._guard:
                self._reading.discard(path)


def _query(request: Request) -> Query:
    asked = request.query_params
    sort = asked.get("sort") or ":run"
    return Query(
        text=asked.get("q", ""),
        project=asked.get("project") or None,
        sort=sort.removeprefix("-"),
        descending=sort.startswith("-"),
        group=asked.get("group") or None,
        columns=tuple(asked.getlist("column")),
        offset=_natural(asked.get("offset"), 0),
        limit=min(_natural(asked.get("limit"), 100), 1_000),
    )


def _natural(text: str | None, default: int) -> int:
    return int(text) if text and text.isdecimal() else default
