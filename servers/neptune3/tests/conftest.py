"""A server with one of everything, and the unmodified client set up for it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone

import neptune_query
import pytest
from neptune_query.internal import client as client_module
from neptune_query.internal import context

from neptune_exporter_neptune3_server import (
    FakeFile,
    FakeProject,
    FakeRun,
    FileSeries,
    FloatSeries,
    Histogram,
    HistogramSeries,
    Neptune3Server,
    StringSeries,
)

PROJECT = "acme/vision"


def make_project() -> FakeProject:
    root = FakeRun(
        "root",
        {
            "int-value": 2**53 + 1,
            "float-value": 0.5,
            "str-value": 'he said "yes" \\o/',
            "bool-value": True,
            "datetime-value": datetime(2025, 1, 2, 3, 4, 5, 678000, timezone.utc),
            "sys/tags": {"baseline", "night"},
            "metrics/loss": FloatSeries(range(10), [step * 0.1 for step in range(10)]),
            "metrics/odd": FloatSeries(
                [0, 0.5, 0.5, 1_704_067_200_000.25, 1e15],
                [float("nan"), float("inf"), float("-inf"), 0.0, -0.0],
                [0, 1, 2, 1_704_067_200_000, -1],
            ),
            "logs/out": StringSeries(range(5), [f"line {n}" for n in range(5)]),
            "hist/w": HistogramSeries(
                [0, 1.5], [Histogram([0, 1, 2], [3, 4]), Histogram([-1.5, 2], [7], "DENSITY")]
            ),
            "files/model.bin": FakeFile(b"weights" * 1000),
            "files/samples": FileSeries(
                [0, 0.2], [FakeFile(b"<p>0</p>", "text/html"), FakeFile(b"two", "text/plain")]
            ),
        },
        experiment="exp-a",
    )
    fork = FakeRun(
        "fork",
        {
            "int-value": 7,
            "metrics/loss": FloatSeries(range(4, 8), [step * 10.0 for step in range(4, 8)]),
            "logs/out": StringSeries([5, 6], ["fork 5", "fork 6"]),
            "mixed": "a string here",
        },
        experiment="exp-b",
        parent="root",
        fork_step=4,
    )
    grandchild = FakeRun(
        "grandchild",
        {"metrics/loss": FloatSeries([7, 8], [700.0, 800.0]), "mixed": 3},
        experiment="exp-b",
        parent="fork",
        fork_step=6.5,
    )
    archived = FakeRun("old/run 1", {"str-value": "x"}, experiment="exp-old", archived=True)
    return FakeProject(PROJECT, [root, fork, grandchild, archived], key="VIS")


@pytest.fixture(autouse=True)
def bounded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test waits for the half hour that the client would go on trying; no test leaves a client behind."""
    monkeypatch.setenv("NEPTUNE_QUERY_RETRY_SOFT_TIMEOUT", "20")
    before = context.get_context()
    yield
    client_module.clear_cache()
    context.set_context(before)


@pytest.fixture
def project() -> FakeProject:
    return make_project()


@pytest.fixture
def server(project: FakeProject) -> Iterator[Neptune3Server]:
    with Neptune3Server([project]) as running:
        neptune_query.set_api_token(running.api_token)
        yield running
