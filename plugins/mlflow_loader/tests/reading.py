"""Reads what an MLflow holds with nothing but sqlite3 or psycopg, and the folder of artifacts."""

from __future__ import annotations

import csv
import io
import json
import math
import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg

from neptune_exporter.contract import Step
from neptune_exporter.testing import LoadedEntry, LoadedSample, SampleHistogram

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LARGEST = 1.7976931348623157e308
_OWN = "neptune/"
csv.field_size_limit(1 << 30)
_NO_TEXT = "\ufdd0"


@dataclass(frozen=True)
class Store:
    """A database of MLflow's, here or in PostgreSQL."""

    uri: str

    def _connect(self) -> Any:
        if self.uri.startswith("sqlite"):
            return sqlite3.connect(self.uri.removeprefix("sqlite:///"))
        return psycopg.connect(self.uri)

    def _run(self, query: str, values: Sequence[object]) -> Any:
        return query if self.uri.startswith("sqlite") else query.replace("?", "%s"), values

    def rows(self, query: str, *values: object) -> list[Any]:
        with closing(self._connect()) as db:
            return list(db.execute(*self._run(query, values)).fetchall())

    def write(self, query: str, *values: object) -> int:
        with closing(self._connect()) as db, db:
            return int(db.execute(*self._run(query, values)).rowcount)

    def pairs(self, table: str, run_id: str) -> dict[str, str]:
        return dict(self.rows(f"select key, value from {table} where run_uuid = ?", run_id))

    def artifacts(self, run_id: str) -> dict[str, bytes]:
        ((folder,),) = self.rows("select artifact_uri from runs where run_uuid = ?", run_id)
        paths = [path for path in Path(folder).rglob("*") if path.is_file()]
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}

    def points(self, run_id: str) -> list[Any]:
        columns = "key, step, timestamp, value, is_nan"
        return self.rows(
            f"select {columns} from metrics where run_uuid = ? order by key, step, timestamp, value", run_id
        )


def read_run(store: Store, run_id: str) -> LoadedSample:
    """A run by its original paths, steps and values, as the manifest tells them."""
    tags, files = store.pairs("tags", run_id), store.artifacts(run_id)
    manifest = json.loads(files[f"{_OWN}manifest.json"])
    multiplier = Decimal(manifest["step_multiplier"])
    ((name, start, status),) = store.rows(
        "select name, start_time, status from runs where run_uuid = ?", run_id
    )
    return LoadedSample(
        _parameters(store, run_id, manifest, files),
        _points(store, run_id, manifest),
        _texts(files, manifest),
        _histograms(files),
        _files(files, manifest),
        name=tags.get("neptune.name", name),
        tags=frozenset(json.loads(tags.get("neptune.tags", "[]"))),
        parent=tags.get("mlflow.parentRunId"),
        fork_step=Decimal(tags["neptune.fork.step"]) if "neptune.fork.step" in tags else None,
        created_at=_time(start) if "neptune.created" in tags else None,
        failed=status == "FAILED",
        step_multiplier=multiplier,
    )


def _parameters(
    store: Store, run_id: str, manifest: Mapping[str, Any], files: Mapping[str, bytes]
) -> dict[str, Any]:
    values = store.pairs("params", run_id)
    values |= json.loads(files.get(f"{_OWN}long_parameters.json", b"{}"))
    return {
        manifest["names"].get(name, name): _typed(text, manifest["types"].get(name))
        for name, text in values.items()
    }


def _typed(text: str, kind: str | None) -> Any:
    if kind in (None, "string", "datetime"):
        return text
    if kind == "float":
        return float(text)
    return json.loads(text)


def _points(store: Store, run_id: str, manifest: Mapping[str, Any]) -> dict[str, list[LoadedEntry]]:
    finite = {(name, step, time, value) for name, step, time, value in manifest["finite"]}
    found: dict[str, list[LoadedEntry]] = defaultdict(list)
    for name, step, time, value, is_nan in store.points(run_id):
        if is_nan:
            value = math.nan
        elif abs(value) == _LARGEST and (name, step, time, value) not in finite:
            value = math.copysign(math.inf, value)
        path, exact = manifest["names"].get(name, name), Decimal(step) / Decimal(manifest["step_multiplier"])
        found[path].append(LoadedEntry(value, exact, _time(time)))
    return found


def _texts(files: Mapping[str, bytes], manifest: Mapping[str, Any]) -> dict[str, list[LoadedEntry]]:
    found: dict[str, list[LoadedEntry]] = defaultdict(list)
    for name, path in manifest["tables"].items():
        if not name.endswith(".csv"):
            continue
        # The reader of Python 3.10 takes no character 0.
        content = files[name].decode().replace("\0", _NO_TEXT)
        for row in csv.DictReader(io.StringIO(content, newline="")):
            time = datetime.fromisoformat(row["time"]) if row["time"] else None
            found[path].append(LoadedEntry(row["text"].replace(_NO_TEXT, "\0"), _step(row["step"]), time))
    return found


def _histograms(files: Mapping[str, bytes]) -> dict[str, list[LoadedEntry]]:
    found: dict[str, list[LoadedEntry]] = defaultdict(list)
    for line in files.get(f"{_OWN}histograms.jsonl", b"").splitlines():
        entry = json.loads(line)
        value = SampleHistogram(
            tuple(entry["value"]["edges"]), tuple(entry["value"]["values"]), entry["value"]["kind"]
        )
        found[entry["path"]].append(LoadedEntry(value, _step(entry["step"]), _time(entry["time"])))
    return found


def _files(files: Mapping[str, bytes], manifest: Mapping[str, Any]) -> dict[str, list[LoadedEntry]]:
    found: dict[str, list[LoadedEntry]] = defaultdict(list)
    for name, content in files.items():
        shown = name.replace("+compressed.", ".")
        if shown != name:
            assert files[shown] == content, "a thumbnail of another image"
        elif not name.startswith(_OWN) and name not in manifest["tables"]:
            path, step, time = manifest["files"][name]
            found[path].append(LoadedEntry(content, _step(step), _time(time)))
    return found


def _step(text: str) -> Step | None:
    return Decimal(text) if text else None


def _time(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else _EPOCH + timedelta(milliseconds=milliseconds)
