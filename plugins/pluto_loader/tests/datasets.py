"""Datasets on disk, for tests that use the command line."""

from __future__ import annotations

from pathlib import Path

from neptune_exporter.contract import NoSettings, RunSelection, SourceSpec
from neptune_exporter.jobs.export import ExportOptions, export_runs
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.model import RunKind
from neptune_exporter.testing.memory_source import MemorySource
from neptune_exporter.testing.runs import SampleRun


def export(folder: Path, *runs: SampleRun) -> None:
    """Write runs where the commands look for them by default below a folder."""
    source = MemorySource(runs)
    spec = SourceSpec("memory", "in memory", lambda settings: source, NoSettings, MemorySource.CAPABILITIES)
    chosen = RunSelection(include_archived=True, kinds=frozenset(RunKind))
    options = ExportOptions((), folder / "exports/data", folder / "exports/files", runs=chosen)
    assert export_runs(spec, NoSettings(), options, Progress()).complete
