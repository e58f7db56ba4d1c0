"""Reads a run back from a local Pluto with the SDK's query client; what no route tells, from its store."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import httpx
import numpy as np
from pluto.query import Client

from neptune_exporter.testing.loaded import LoadedEntry, LoadedSample
from neptune_exporter.testing.runs import SampleHistogram
from neptune_exporter_pluto.form.config import SECTION, of_pairs
from neptune_exporter_pluto_server import RehearsalServer

_FLAGS = {"NaN": math.nan, "Inf": math.inf, "-Inf": -math.inf}
_EXACT = "/exact"
_FILE_TYPES = ("IMAGE", "AUDIO", "VIDEO", "TEXT", "ARTIFACT", "FILE")


def read_run(server: RehearsalServer, project: str, run_id: int) -> LoadedSample:
    """What is in Pluto, under the paths and steps that the config says they had."""
    # One client for all files: each makes a TLS context, which takes 30 ms.
    with Client(api_token=server.api_key, host=server.url) as client, httpx.Client(trust_env=False) as http:
        return _Reader(server, client, http, project, run_id).sample()


class _Reader:
    def __init__(
        self, server: RehearsalServer, client: Client, http: httpx.Client, project: str, run_id: int
    ) -> None:
        self._server, self._client, self._http = server, client, http
        self._project, self._run_id = project, run_id
        self._details = client.get_run(project, run_id)
        self._config: dict[str, Any] = dict(self._details["config"])
        self._section = self._config.pop(SECTION)
        self._paths = {name: _unescaped(path) for name, path in of_pairs(self._section.get("names")).items()}
        self._multiplier = Decimal(self._section["step_multiplier"])

    def _path(self, name: str) -> str:
        return self._paths.get(name, name)

    def _names(self, *types: str) -> list[str]:
        return [n["logName"] for n in self._details["logNames"] if n["logType"] in types]

    def _step(self, step: int | str) -> Decimal:
        return Decimal(int(step)) / self._multiplier

    def sample(self) -> LoadedSample:
        parent = self._details["forkedFromRunId"]
        fork_step = self._details["forkStep"]
        return LoadedSample(
            parameters=self._parameters(),
            points=self._points(),
            texts=self._texts(),
            histograms=self._histograms(),
            files=self._files(),
            name=self._details["name"],
            tags=frozenset(self._details["tags"]),
            parent=None if parent is None else str(parent),
            fork_step=None if fork_step is None else self._step(fork_step),
            created_at=_instant(self._details["createdAt"]),
            failed=self._details["status"] == "FAILED",
            running=self._details["status"] == "RUNNING",
            step_multiplier=self._multiplier,
        )

    def _parameters(self) -> dict[str, Any]:
        renamed, converted, exact = (
            of_pairs(self._section.get(key)) for key in ("renamed", "converted", "exact")
        )
        values = {}
        for key, value in self._config.items():
            if converted.get(key) == "text with JSON escapes":
                value = list(map(_unescaped, value)) if isinstance(value, list) else _unescaped(value)
            if key in exact:
                value = float(exact[key])
            elif converted.get(key) == "number as text":
                value = float(value)
            values[_unescaped(renamed[key]) if key in renamed else key] = value
        return values

    def _points(self) -> dict[str, list[LoadedEntry]]:
        points = {}
        for name in self._names("METRIC"):
            rows = self._client._get(
                "/api/runs/metrics",
                {"runId": self._run_id, "projectName": self._project, "logName": name, "limit": 10000},
            )["metrics"]
            points[self._path(name)] = [
                LoadedEntry(
                    _FLAGS.get(r["valueFlag"], float(r["value"])), self._step(r["step"]), _instant(r["time"])
                )
                for r in rows
            ]
        return points

    def _texts(self) -> dict[str, list[LoadedEntry]]:
        texts: dict[str, list[LoadedEntry]] = defaultdict(list)
        for row in self._server.store.string_series(self._server.key(self._run_id)):
            entry = LoadedEntry(row["data"], self._step(row["step"]), _moment(row["time"]))
            texts[self._path(row["logName"])].append(entry)
        streams = {
            ("ERROR" if p.endswith("stderr") else "INFO"): p for p in of_pairs(self._section.get("console"))
        }
        for line in self._client.get_logs(self._project, self._run_id):
            step = Decimal(int(line["lineNumber"]) - 1)
            texts[streams[line["logType"]]].append(LoadedEntry(line["message"], step, _instant(line["time"])))
        return texts

    def _histograms(self) -> dict[str, list[LoadedEntry]]:
        key = self._server.key(self._run_id)
        exact: dict[tuple[str, int, int], list[SampleHistogram]] = defaultdict(list)
        for row in self._server.store.tables(key):
            exact[self._path(row["logName"]).removesuffix(_EXACT), row["step"], row["time"]].append(
                _table(row["data"])
            )
        found: dict[str, list[LoadedEntry]] = defaultdict(list)
        for row in self._server.store.histograms(key):
            path = self._path(row["logName"])
            tables = exact.get((path, row["step"], row["time"]))
            value = tables.pop(0) if tables else _drawing(row["data"])
            found[path].append(LoadedEntry(value, self._step(row["step"]), _moment(row["time"])))
        return found

    def _files(self) -> dict[str, list[LoadedEntry]]:
        own = set(of_pairs(self._section.get("texts")).values())
        files: dict[str, list[LoadedEntry]] = defaultdict(list)
        for row in self._client.get_files(self._project, self._run_id):
            if row["logName"] in own:
                continue
            content = self._http.get(row["url"]).raise_for_status().content
            assert len(content) == int(row["fileSize"])
            entry = LoadedEntry(content, self._step(row["step"]), _instant(row["time"]))
            files[self._path(row["logName"])].append(entry)
        return files


def _unescaped(text: str) -> str:
    return str(json.loads(f'"{text}"'))


def _drawing(data: dict[str, Any]) -> SampleHistogram:
    bins = data["bins"]
    assert all(type(count) is int for count in data["freq"]) and len(data["freq"]) == bins["num"]
    edges = np.linspace(bins["min"], bins["max"], bins["num"] + 1)
    return SampleHistogram(tuple(edges.tolist()), tuple(map(float, data["freq"])))


def _table(data: dict[str, Any]) -> SampleHistogram:
    rows = data["table"]
    kind = data["col"][3]["name"].removeprefix("value (").removesuffix(")")
    edges = (*(float(row[1]) for row in rows), float(rows[-1][2]))
    return SampleHistogram(edges, tuple(float(row[3]) for row in rows), kind)


def _instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc)
