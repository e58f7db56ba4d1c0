"""An export leaves the index that a later overview takes."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path

from neptune_exporter.contract import NoSettings
from neptune_exporter.jobs.export import ExportOptions, export_runs
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.model import RunKey
from neptune_exporter.testing.memory_source import MemorySource, memory_source_spec
from neptune_exporter.testing.runs import SampleRun, parameter

RUNS = 21
MODIFIED = datetime(2026, 1, 1, tzinfo=timezone.utc)


def export(folder: Path) -> None:
    keys = [RunKey("acme/many", f"RUN-{n}") for n in range(RUNS)]
    source = MemorySource(SampleRun(key, (parameter("n", 1),), modified_at=MODIFIED) for key in keys)
    options = ExportOptions(("acme/many",), folder / "data", folder / "files", workers=2)
    assert not export_runs(memory_source_spec(source), NoSettings(), options, Progress()).failed


def test_an_export_indexes_the_receipts_that_no_longer_change(tmp_path: Path) -> None:
    export(tmp_path)
    receipts = list((tmp_path / "data").rglob("*.receipt.parquet"))
    index = receipts[0].with_name("index.parquet")
    assert len(receipts) == RUNS and not index.exists()  # they changed just now
    for path in receipts:
        os.utime(path, (1e9, 1e9))
    export(tmp_path)
    assert index.exists()
