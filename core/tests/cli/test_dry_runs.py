"""What dry runs say and estimate, and that they write nothing."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from neptune_exporter.dataset import Dataset

from .test_journey import EXPORT, LOAD, Run, date_all


def test_a_dry_run_writes_nothing(run: Run, tracker: ModuleType, folder: Path) -> None:
    date_all(tracker)
    result = run(*EXPORT, "--dry-run")
    assert result.exit_code == 0
    assert "would read 3 of 3 runs (3 new); nothing was written" in result.stdout
    assert list(folder.iterdir()) == []
    run(*EXPORT)
    nothing = run(*EXPORT, "--dry-run").stdout
    assert (
        "would read 0 of 3 runs; nothing was written\nestimate, for all attributes and without files: 0 rows"
        in nothing
    )
    rehearsed = run(*LOAD, "--dry-run").stdout
    stored = list(Dataset("exports/data", "exports/files").runs())
    rows, size = sum(s.row_count() for s in stored), sum(s.receipt.file_bytes for s in stored if s.receipt)
    assert f"estimate: {rows} rows, {size} B of files, an unknown number of requests\n" in rehearsed
    assert "would load 3 runs; nothing was sent\nthe target was not asked: runs that are loaded" in rehearsed
    assert tracker.target.runs == {}
