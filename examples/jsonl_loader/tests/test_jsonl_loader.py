"""The loader holds everything, as the conformance kit judges; read back with nothing but json."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from neptune_exporter_jsonl import JsonlSettings, JsonlSink, neptune_exporter_sinks

from neptune_exporter.contract import LoadedRun, LoadOptions
from neptune_exporter.model import RunKey
from neptune_exporter.testing import LoadedEntry, LoadedSample, SampleHistogram, SinkConformance


class TestJsonlSink(SinkConformance):
    capabilities = neptune_exporter_sinks()[0].capabilities

    @pytest.fixture
    def sink_factory(self, tmp_path: Path) -> Callable[[LoadOptions], JsonlSink]:
        self.path = tmp_path
        return lambda options: JsonlSink(JsonlSettings(tmp_path), options)

    @pytest.fixture
    def read_back(self, tmp_path: Path) -> Callable[[RunKey, LoadedRun], LoadedSample]:
        return lambda key, loaded: _sample(tmp_path / loaded.target_id)

    def tamper(self, key: RunKey, loaded: LoadedRun) -> bool:
        path = self.path / loaded.target_id / "run.jsonl"
        path.write_text(path.read_text("utf-8").replace('"value": 0.25', '"value": 0.26'), "utf-8")
        return True


def _sample(folder: Path) -> LoadedSample:
    with (folder / "run.jsonl").open(encoding="utf-8") as lines:
        head, *rows = map(json.loads, lines)
    sections: dict[str, dict[str, Any]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        step, time = _step(row.get("step")), row.get("timestamp")
        value = row.get("value")
        if row["row"] == "FileEntry":
            name = hashlib.sha256(row["file"].encode()).hexdigest()[:24]
            value = (folder / "files" / name).read_bytes()
        elif row["row"] == "Histogram":
            value = SampleHistogram(tuple(row["edges"]), tuple(row["values"]), row["kind"])
        elif row["row"] == "Point":
            value = float(value)
        entry = LoadedEntry(value, step, None if time is None else datetime.fromisoformat(time))
        sections[row["row"]][row["path"]].append(entry)
    parameters = {path: entry.value for path, (entry,) in sections["Parameter"].items()}
    return LoadedSample(
        parameters,
        sections["Point"],
        sections["TextLine"],
        sections["Histogram"],
        sections["FileEntry"],
        name=head["name"],
        parent=head["parent"],
        fork_step=_step(head["fork_step"]),
    )


def _step(step: str | float | None) -> Decimal | float | None:
    return Decimal(step) if isinstance(step, str) else step
