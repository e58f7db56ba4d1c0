"""Advice fits the source: nobody is sent to a server that is closed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from neptune_exporter.contract import AttributeFailure, SourceRun
from neptune_exporter.dataset import Dataset
from neptune_exporter.dataset.check.advice import advice, advice_on_failure

from .writing import KEY, series, write


@pytest.mark.parametrize(
    ("source", "url", "expected"),
    [
        (
            "neptune-exporter-offline 0.2.0",
            "",
            "restore from a copy, or export the run again from its .neptune folder",
        ),
        (
            "neptune2 0.2.0",
            "https://app.neptune.ai/org/project/e/RUN-1",
            "restore from a copy: the run came from hosted Neptune (app.neptune.ai), which is closed",
        ),
        (
            "neptune3 0.2.0",
            "https://neptune.example.com/org/project",
            "export the run again if its server still runs, or restore from a copy",
        ),
        (
            "neptune3 0.2.0",
            "https://neptune.ai.example.com/org/project",
            "export the run again if its server still runs, or restore from a copy",
        ),
    ],
)
def test_advice_fits_the_source(dataset: Dataset, source: str, url: str, expected: str) -> None:
    write(dataset, series("loss", [1.0]), run=SourceRun(KEY, url=url))
    run = dataset.run(KEY)
    assert run is not None and run.receipt is not None
    run._receipt = replace(run.receipt, source=source)
    assert advice(run) == expected


def test_force_is_not_advised_where_it_may_lose_rows_of_another_tool(dataset: Dataset) -> None:
    write(dataset, series("loss", [1.0]), run=SourceRun(KEY))
    run = dataset.run(KEY)
    assert run is not None and run.receipt is not None
    again = "export the run again with --force"
    assert advice(run, force=True) == f"{again} if its server still runs, or restore from a copy"
    run._receipt = replace(run.receipt, foreign=True)
    whole = "if its server still has all of the run"
    assert advice(run, force=True) == f"restore from a copy, or, {whole}, {again}"


@pytest.mark.parametrize(
    ("source", "url", "failure", "expected"),
    [
        ("neptune-exporter-offline 0.2.0", "", {}, "export again from its .neptune folder"),
        ("neptune-exporter-offline 0.2.0", "", {"permanent": True}, "its source no longer has it"),
        (
            "neptune2 0.2.0",
            "https://app.neptune.ai/org/project/e/RUN-1",
            {},
            "it was only in hosted Neptune (app.neptune.ai), which is closed",
        ),
        ("neptune3 0.2.0", "https://neptune.example.com/org/p", {}, "export again if its server still runs"),
        (
            "neptune3 0.2.0",
            "https://neptune.example.com/org/p",
            {"permanent": True, "lost": True},
            "export the run again if its server still runs, or restore from a copy",
        ),
    ],
)
def test_advice_on_what_was_not_exported(
    dataset: Dataset, source: str, url: str, failure: dict[str, bool], expected: str
) -> None:
    write(dataset, series("loss", [1.0]), run=SourceRun(KEY, url=url))
    run = dataset.run(KEY)
    assert run is not None and run.receipt is not None
    run._receipt = replace(run.receipt, source=source)
    failed = AttributeFailure(KEY, "lr", None, "HTTP 500", **failure)
    assert advice_on_failure(run, failed) == f"missing, wholly or in part: {expected}"
    kept = replace(failed, kept=True)
    assert advice_on_failure(run, kept) == f"the value of an earlier export is kept: {expected}"


def test_of_another_tools_export_nobody_knows_the_server(existing: Dataset) -> None:
    run = next(existing.runs())
    assert "if its Neptune server still runs (hosted Neptune is closed)" in advice(run)
