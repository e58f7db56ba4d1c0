"""The built-in reporters keep to the contract, and the kit finds those that do not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TextIO

import pytest

from neptune_exporter.contract import DatasetSummary, ExportedRun, NoSettings, Reporter
from neptune_exporter.model import RunKey
from neptune_exporter.reporters import neptune_exporter_reporters
from neptune_exporter.testing import ReporterConformance

OpenRun = Callable[[RunKey], ExportedRun]


def _built_in(name: str) -> Reporter:
    (reporter,) = [spec.factory(NoSettings()) for spec in neptune_exporter_reporters() if spec.name == name]
    return reporter


class TestText(ReporterConformance):
    @pytest.fixture
    def reporter(self) -> Reporter:
        return _built_in("text")


class TestHtml(ReporterConformance):
    @pytest.fixture
    def reporter(self) -> Reporter:
        return _built_in("html")


class TestJson(ReporterConformance):
    writes_json = True

    @pytest.fixture
    def reporter(self) -> Reporter:
        return _built_in("json")


class TestReadsRuns(ReporterConformance):
    """A reporter that asks for the runs themselves, the damaged ones too."""

    @pytest.fixture
    def reporter(self) -> Reporter:
        class Counter(Reporter):
            def write(self, summary: DatasetSummary, open_run: OpenRun, out: TextIO) -> None:
                out.write("runs:\n")
                for project in summary.projects:
                    for run in project.runs:
                        whole = run.state == "complete"
                        rows = sum(b.num_rows for b in open_run(run.key).batches()) if whole else run.state
                        out.write(f"{run.key} {rows}\n")

        return Counter()


class _NotJson(Reporter):
    def write(self, summary: DatasetSummary, open_run: OpenRun, out: TextIO) -> None:
        steps = [float("nan") for project in summary.projects for run in project.runs]
        json.dump({"steps": steps, "projects": [p.project_id for p in summary.projects]}, out)


def test_a_json_reporter_must_write_json() -> None:
    conformance = ReporterConformance()
    conformance.writes_json = True
    conformance.test_reports_an_empty_dataset(_NotJson())
    with pytest.raises(AssertionError, match="NaN is not JSON"):
        conformance.test_reports_every_project(_NotJson())
    with pytest.raises(AssertionError, match="a damaged run is not reported as damaged"):
        conformance.writes_json = False
        conformance.test_reports_a_damaged_dataset(_NotJson())
