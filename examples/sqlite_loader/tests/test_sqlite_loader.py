"""The loader holds everything, as the conformance kit judges; read back with nothing but sqlite3 and json."""

from __future__ import annotations

import json
import math
import sqlite3
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from neptune_exporter_sqlite import CAPABILITIES, SqliteSettings, make_sink
from neptune_exporter_sqlite.loader import SqliteLoader

from neptune_exporter.contract import LoadedRun, LoadOptions, Sink, SinkError
from neptune_exporter.model import RunKey
from neptune_exporter.testing import (
    LoadedEntry,
    LoadedSample,
    MemoryRun,
    SampleHistogram,
    SinkConformance,
    themed_runs,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class TestSqliteLoader(SinkConformance):
    capabilities = CAPABILITIES
    allowed_losses = ("file-missing", "file-unsafe", "fork-not-native")

    @pytest.fixture
    def sink_factory(self, tmp_path: Path) -> Callable[[LoadOptions], Sink]:
        self.path = tmp_path / "runs.sqlite"
        return lambda options: make_sink(SqliteSettings(self.path), options)

    @pytest.fixture
    def read_back(self, tmp_path: Path) -> Callable[[RunKey, LoadedRun], LoadedSample]:
        return lambda key, loaded: _sample(tmp_path / "runs.sqlite", loaded.target_id)

    def tamper(self, key: RunKey, loaded: LoadedRun) -> bool:
        with closing(sqlite3.connect(self.path)) as db, db:
            db.execute("update points set value = 0.26 where value = 0.25")
        return True


def _sample(path: Path, target_id: str) -> LoadedSample:
    with closing(sqlite3.connect(path)) as db:
        db.row_factory = sqlite3.Row
        (run,) = db.execute("select * from run where id = ?", [target_id])
        rows = {
            table: list(db.execute(f"select * from {table} where run = ?", [target_id]))
            for table in ("parameter", "points", "texts", "histograms", "file")
        }
    contents: dict[str, list[Any]] = {}
    for row in rows["file"]:
        first = contents.setdefault(row["unique_name"], [row, b""])
        first[1] += row["data"]
    manifest = json.loads(contents.pop("neptune/manifest.json")[1])
    multiplier, names = Decimal(manifest["step_multiplier"]), manifest["names"]

    def series(rows: list[Any], value: Callable[[Any], Any]) -> dict[str, list[LoadedEntry]]:
        found: dict[str, list[LoadedEntry]] = defaultdict(list)
        for row in rows:
            step = None if row["step"] is None else Decimal(row["step"]) / multiplier
            time = _EPOCH + timedelta(milliseconds=row["time"])
            found[names.get(row["name"], row["name"])].append(LoadedEntry(value(row), step, time))
        return found

    files: dict[str, list[LoadedEntry]] = defaultdict(list)
    for first, content in contents.values():
        for path_of, entries in series([first], lambda _, content=content: content).items():
            files[path_of] += entries
    return LoadedSample(
        {names.get(row["name"], row["name"]): json.loads(row["value"]) for row in rows["parameter"]},
        series(rows["points"], lambda row: math.nan if row["value"] is None else row["value"]),
        series(rows["texts"], lambda row: row["value"]),
        series(rows["histograms"], lambda row: _histogram(*json.loads(row["value"]))),
        files,
        name=run["name"],
        tags=frozenset(json.loads(run["tags"])),
        parent=run["parent"],
        fork_step=None if run["fork_step"] is None else Decimal(run["fork_step"]),
        created_at=None if run["created"] is None else _EPOCH + timedelta(milliseconds=run["created"]),
        failed=run["status"] == "failed",
        running=run["status"] in ("loading", "active"),
        step_multiplier=multiplier,
    )


def _histogram(kind: str, edges: list[float], values: list[float]) -> SampleHistogram:
    return SampleHistogram(tuple(edges), tuple(values), kind)


def test_a_run_that_another_load_has_finished_meanwhile_stays(tmp_path: Path) -> None:
    """What was unfinished when a load found it may be finished when that load can write: it waited for it."""
    sink = SqliteLoader(tmp_path / "runs.sqlite", LoadOptions())
    (run,) = themed_runs("types")
    loaded = sink.load(MemoryRun(run), None)
    with pytest.raises(SinkError, match="another load has finished it"):
        sink.discard_unfinished(loaded.target_id)
    assert sink.load(MemoryRun(run), None).already_loaded
