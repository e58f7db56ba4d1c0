"""What a dry run estimates: from what listing says, else from what is there, else it says that it cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from neptune_exporter.cli.export_report import _estimated
from neptune_exporter.contract import RunSize, SourceError, SourceRun
from neptune_exporter.dataset import Dataset
from neptune_exporter.jobs.estimating import Estimate
from neptune_exporter.jobs.export import ExportOptions, ExportResult, export_runs
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.model import RunKey
from neptune_exporter.testing.memory_source import MemorySource, memory_source_spec
from neptune_exporter.testing.runs import SampleRun, float_series

LENGTHS = (10, 20, 600)


class Silent(MemorySource):
    """Lists runs without any hint, or with one of requests."""

    requests: int | None = None

    def runs(self, project_id, selection):  # type: ignore[no-untyped-def]
        for run in super().runs(project_id, selection):
            yield replace(run, size_hint=0, requests_hint=self.requests)


def sample(number: int, length: int) -> SampleRun:
    return SampleRun(
        RunKey("a/b", f"RUN-{number}"), (float_series("x", [(n, 0.5 * n) for n in range(length)]),)
    )


def export(source: MemorySource, folder: Path, *, dry_run: bool) -> ExportResult:
    options = ExportOptions(("a/b",), folder / "data", folder / "files", dry_run=dry_run)
    return export_runs(memory_source_spec(source), None, options, Progress())


def test_what_listing_says_is_summed_up(tmp_path: Path) -> None:
    source = MemorySource([sample(n, length) for n, length in enumerate(LENGTHS)])
    rows = sum(LENGTHS)
    assert export(source, tmp_path, dry_run=True).estimate == Estimate(rows, 3 * 5_000 + rows * 8, None)


class Looked(Silent):
    """Says what runs hold when it is asked for that."""

    asked = 0

    def sizes(self, runs: Sequence[SourceRun]) -> Sequence[RunSize]:
        self.asked += len(runs)
        return [RunSize(rows=100, requests=7) for _ in runs]


def test_some_of_many_runs_are_looked_at(tmp_path: Path) -> None:
    source = Looked([sample(n, 10) for n in range(50)])
    assert export(source, tmp_path, dry_run=True).estimate == Estimate(5_000, 50 * 5_000 + 5_000 * 8, 350)
    assert 0 < source.asked <= 8


class Refusing(Silent):
    def sizes(self, runs: Sequence[SourceRun]) -> Sequence[RunSize]:
        raise SourceError("not now")


def test_a_plan_stands_without_an_estimate(tmp_path: Path) -> None:
    result = export(Refusing([sample(1, 10)]), tmp_path, dry_run=True)
    assert result.estimate == Estimate(None, None, None) and len(result.planned) == 1


def test_nothing_is_said_where_nothing_is_known(tmp_path: Path) -> None:
    assert export(Silent([sample(1, 10)]), tmp_path, dry_run=True).estimate == Estimate(None, None, None)
    source = Silent([sample(1, 10), sample(2, 10)])
    source.requests = 3
    assert export(source, tmp_path, dry_run=True).estimate == Estimate(None, None, 6)


def test_runs_that_are_there_tell_of_others(tmp_path: Path) -> None:
    source = Silent([sample(1, 100), sample(2, 300)])
    assert export(source, tmp_path, dry_run=False).rows == 400
    for number in (3, 4):
        source.put(sample(number, 5))
    estimate = export(source, tmp_path, dry_run=True).estimate
    assert estimate is not None
    # Runs without a modification time are read again: 100 and 300 rows; the new ones count as the mean.
    assert estimate.rows == 100 + 300 + 2 * 200
    size = sum(p.stat().st_size for p in (tmp_path / "data").rglob("*_part_*.parquet"))
    assert estimate.data_bytes == pytest.approx(2 * size, abs=1)


def test_in_words() -> None:
    start = "estimate, for all attributes and without files: "
    assert _estimated(Estimate(1_234, 56_000, 0)) == start + "1,234 rows, 56.0 kB of parquet, 0 requests"
    assert _estimated(Estimate(None, None, None)) == (
        start + "an unknown number of rows, an unknown size, an unknown number of requests"
    )


def test_new_runs_are_not_looked_for_among_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[object] = []
    of_all = Dataset.runs
    monkeypatch.setattr(Dataset, "runs", lambda *args, **kw: looked.append(args) or of_all(*args, **kw))
    assert export(Silent([sample(1, 10)]), tmp_path, dry_run=False).complete
    looked.clear()
    estimate = export(Silent([sample(n, 10) for n in range(2, 7)]), tmp_path, dry_run=True).estimate
    assert estimate is not None and estimate.rows == 50
    assert len(looked) == 1  # for the average
