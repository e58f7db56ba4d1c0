"""What dry runs say and estimate, and that they write nothing."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from neptune_exporter.cli.load import _estimated
from neptune_exporter.dataset import Dataset
from neptune_exporter.jobs.estimating import PlannedLoad
from neptune_exporter.jobs.load import LoadResult
from neptune_exporter.model import AttributeType, RunKey

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


def test_a_dry_run_says_that_it_does_not_check_attributes(run: Run, tracker: ModuleType) -> None:
    said = "-a was not checked: which attributes a run has is known only once it is read\n"
    assert said in run(*EXPORT, "--dry-run", "-a", "train/lozz").stdout
    assert "-a" not in run(*EXPORT, "--dry-run").stdout.split()


def test_the_requests_of_a_load_are_without_the_comparison() -> None:
    """That may take many times as many: the Pluto loader asks for each metric."""
    rows = {AttributeType.FLOAT_SERIES: 5}
    planned = [PlannedLoad(RunKey("acme/vision", run), rows, 0, 600) for run in ("a", "b")]
    estimate = "estimate: 10 rows, 0 B of files, about 1,200 requests"
    assert _estimated(LoadResult(planned=planned), False) == estimate
    assert (
        _estimated(LoadResult(planned=planned), True) == f"{estimate}, and more for the comparison at the end"
    )


def test_an_export_of_another_tool_has_files_of_an_unknown_size(run: Run, tracker: ModuleType) -> None:
    existing = Path(__file__).parents[3] / "tests" / "data" / "existing-export"
    arguments = ("-d", str(existing / "data"), "-f", str(existing / "files"))
    result = run("load", "--loader", "tracker", *arguments, "--dry-run")
    assert ", files of an unknown size, " in result.stdout and "0 B of files" not in result.stdout
