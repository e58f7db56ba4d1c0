"""What a dry run of an export refuses, as the export itself would."""

from __future__ import annotations

from pathlib import Path

import pytest

from neptune_exporter.contract import UsageError
from neptune_exporter.jobs.export import ExportOptions, export_runs
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.model import RunKey
from neptune_exporter.testing.memory_source import MemorySource, memory_source_spec
from neptune_exporter.testing.runs import SampleRun, file


def test_a_dry_run_tells_that_the_files_folder_is_another_datasets(tmp_path: Path) -> None:
    source = MemorySource([SampleRun(RunKey("acme/vision", "RUN-1"), (file("model", b"weights"),))])
    options = ExportOptions((), tmp_path / "data", tmp_path / "files")
    assert export_runs(memory_source_spec(source), None, options, Progress()).complete
    options = ExportOptions((), tmp_path / "other", tmp_path / "files", dry_run=True)
    with pytest.raises(UsageError, match="holds the files of the dataset"):
        export_runs(memory_source_spec(source), None, options, Progress())
    assert not (tmp_path / "other").exists()
