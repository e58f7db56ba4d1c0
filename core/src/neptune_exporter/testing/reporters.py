"""The conformance tests of reporters. A plugin's author subclasses `ReporterConformance`:

class TestMyReporter(ReporterConformance):
    writes_json = True

    @pytest.fixture
    def reporter(self):
        return MyReporter(NoSettings())
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

from neptune_exporter.contract.reporter import (
    DatasetSummary,
    ProjectSummary,
    Reporter,
    RunSummary,
    StepStatistics,
)
from neptune_exporter.contract.run import ExportedRun
from neptune_exporter.errors import DatasetError
from neptune_exporter.model import RunKey
from neptune_exporter.testing.corpus import sample_runs, themed_runs
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.runs import SampleFile, SampleRun

DAMAGE = "part 0 does not have the checksum of its receipt"


def summary_of(runs: Iterable[SampleRun], problems: Sequence[str] = ()) -> DatasetSummary:
    """The summary of a dataset that holds these runs."""
    summaries = [_run_summary(run) for run in runs]
    projects = sorted({s.key.project_id for s in summaries})
    return DatasetSummary(
        "exports/data",
        "exports/files",
        [ProjectSummary(p, [s for s in summaries if s.key.project_id == p]) for p in projects],
        problems,
    )


class ReporterConformance:
    """Whether a reporter writes what it is given, and nothing else, for datasets in any state."""

    writes_json: bool = False
    """Whether what it writes is one JSON document."""

    @pytest.fixture
    def reporter(self) -> Reporter:
        raise NotImplementedError("override the fixture reporter")

    def test_reports_every_project(self, reporter: Reporter) -> None:
        text = self._write(reporter, summary_of(sample_runs()))
        for project in summary_of(sample_runs()).projects:
            assert json.dumps(project.project_id)[1:-1] in text, f"{project.project_id} is not in the report"

    def test_reports_an_empty_dataset(self, reporter: Reporter) -> None:
        assert self._write(reporter, summary_of([])).strip()

    def test_reports_runs_without_rows(self, reporter: Reporter) -> None:
        empty = [run for run in themed_runs("people") if not run.rows]
        assert self._write(reporter, summary_of(empty)).strip()

    def test_reports_a_damaged_dataset(self, reporter: Reporter) -> None:
        """Damage is named, and does not hide the rest."""
        summary = summary_of(themed_runs("types"), ["a folder cannot be read"])
        (project,) = summary.projects
        damaged = RunSummary(
            RunKey(project.project_id, "damaged"),
            "damaged",
            {},
            StepStatistics(),
            None,
            None,
            data_bytes=10,
            file_bytes=0,
            files=0,
            problems=[DAMAGE],
        )
        both = ProjectSummary(project.project_id, [*project.runs, damaged])
        text = self._write(reporter, DatasetSummary("d", "f", [both], summary.problems))
        assert "damaged" in text, "a damaged run is not reported as damaged"

    def test_writes_the_same_again(self, reporter: Reporter) -> None:
        summary = summary_of(sample_runs())
        assert self._write(reporter, summary) == self._write(reporter, summary)

    def test_prints_nothing_beside_the_report(
        self, reporter: Reporter, capfd: pytest.CaptureFixture[str]
    ) -> None:
        self._write(reporter, summary_of(sample_runs()))
        assert capfd.readouterr().out == ""

    def _write(self, reporter: Reporter, summary: DatasetSummary) -> str:
        out = io.StringIO()
        reporter.write(summary, _opener(sample_runs()), out)
        text = out.getvalue()
        if self.writes_json:
            json.loads(text, parse_constant=_refuse)
        return text


def _opener(runs: Iterable[SampleRun]) -> Callable[[RunKey], ExportedRun]:
    held = {run.key: run for run in runs}

    def open_run(key: RunKey) -> ExportedRun:
        if key not in held:
            raise DatasetError(f"{key}: {DAMAGE}")
        return MemoryRun(held[key])

    return open_run


def _run_summary(run: SampleRun) -> RunSummary:
    exported = MemoryRun(run)
    entries = [entry for attribute in run.attributes for entry in attribute.entries]
    steps = [float(entry.step) for entry in entries if entry.step is not None]
    longest = max((len({entry.step for entry in a.entries} - {None}) for a in run.attributes), default=0)
    files = [len(entry.value.content) for entry in entries if isinstance(entry.value, SampleFile)]
    first, last = exported.time_span()
    return RunSummary(
        run.key,
        "complete",
        exported.counts(),
        StepStatistics(min(steps, default=None), max(steps, default=None), longest),
        first,
        last,
        data_bytes=100 * run.rows,
        file_bytes=sum(files),
        files=len(files),
        source="memory 1",
    )


def _refuse(constant: str) -> Any:
    raise AssertionError(f"{constant} is not JSON")
