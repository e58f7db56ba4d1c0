"""An export with a line of forks, for the tests of reading."""

from __future__ import annotations

from pathlib import Path

import pytest

from neptune_exporter.jobs.export import ExportOptions, export_runs
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.model import RunKey, SysAttribute
from neptune_exporter.testing.memory_source import MemorySource, memory_source_spec
from neptune_exporter.testing.runs import (
    SampleAttribute,
    SampleFile,
    SampleHistogram,
    SampleRun,
    file,
    file_series,
    float_series,
    histogram_series,
    parameter,
    string_series,
)

PROJECT = "acme/vision"
NAN = float("nan")


def sample(run_id: str, *attributes: SampleAttribute, parent: str = "", at: float = 0.0) -> SampleRun:
    fork = (
        (parameter(SysAttribute.FORK_PARENT, parent), parameter(SysAttribute.FORK_STEP, at)) if parent else ()
    )
    return SampleRun(RunKey(PROJECT, run_id), (*attributes, *fork))


BASE = sample(
    "base",
    parameter("sys/name", "the base"),
    parameter("sys/tags", {"a", "b"}),
    parameter("config/lr", 0.1),
    parameter("config/decay", 0.1),
    parameter("run", "a parameter with the name of a column"),
    float_series("train/loss", [(step, 100.0 - step) for step in range(100)]),
    float_series("train/acc", [(0.5, 0.1), (1, NAN), (1, 0.3), (2, float("inf"))]),
    float_series("step", [(0, 7.0)]),
    string_series("logs/stdout", [(0, "begin"), (1, "end")]),
    histogram_series("hist", [(0, SampleHistogram((0.0, 1.0, 2.0), (3.0, 4.0)))]),
    file("model", b"model bytes", "model.bin"),
    file_series("img", [(0, SampleFile(b"one", "a.png")), (1, SampleFile(b"two", "b.png"))]),
)
FORK = sample(
    "fork",
    parameter("config/lr", 0.2),
    parameter("config/decay", 1),
    float_series("train/loss", [(step, 500.0 + step) for step in range(50, 60)]),
    parent="base",
    at=49.0,
)
GRANDCHILD = sample(
    "grandchild", float_series("train/loss", [(step, 900.0) for step in (54, 55)]), parent="fork", at=53.0
)
ORPHAN = sample("orphan", float_series("train/loss", [(1, 1.0)]), parent="gone", at=0.0)


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder `exports`."""
    folder = tmp_path_factory.mktemp("reading") / "exports"
    source = memory_source_spec(MemorySource([BASE, FORK, GRANDCHILD, ORPHAN]))
    result = export_runs(source, None, ExportOptions((), folder / "data", folder / "files"), Progress())
    assert result.complete
    return folder
