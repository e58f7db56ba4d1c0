"""An export on Dask whose worker is killed: Dask runs the unit again, and nothing is lost or doubled.

By default at two failpoints, `nox -s kills` takes all of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from neptune_exporter.model import RunKey
from neptune_exporter.testing.commands import CommandLine, preload
from neptune_exporter.testing.facts import Facts
from neptune_exporter.toolkit import failpoints
from neptune_exporter_neptune3_server import Neptune3Server
from neptune_exporter_neptune3_server.synthetic import synthetic_project

from .test_export_crashes import FRESH, arguments, assert_same, holdings, leftovers

pytest.importorskip("distributed")
preload("neptune_exporter_neptune3.source")

LEAN = {("offline", "dataset.before-receipt", 1), ("neptune3", "export.run-published", 3)}
"""Before a run is visible, and after some of the runs that a unit reads together are."""


@dataclass(frozen=True)
class Exported:
    """An export command, and what it gives if nothing disturbs it."""

    arguments: list[str]
    environment: dict[str, str]
    undisturbed: dict[RunKey, Facts]

    @classmethod
    def by(cls, arguments: list[str], folder: Path, **environment: str) -> Exported:
        CommandLine(folder, environment).run(*arguments)
        held = holdings(folder)
        assert len(held) == 3 and all(held.values())
        return cls(arguments, environment, held)


@pytest.fixture(scope="module")
def offline(offline_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Three units of one run each."""
    return Exported.by(arguments(offline_folder), tmp_path_factory.mktemp("offline"))


@pytest.fixture(scope="module")
def neptune3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exported]:
    """One unit of three runs."""
    runs = synthetic_project(runs=3, metrics=3, points=50, strings=5, histograms=2, files=2)
    with Neptune3Server([runs]) as server:
        command = ["export", "--exporter=neptune3", f"--project-ids={runs.name}"]
        folder = tmp_path_factory.mktemp("neptune3")
        yield Exported.by(command, folder, NEPTUNE_API_TOKEN=server.api_token)


class Workers:
    """One worker of Dask. A new process takes its place each time it has died."""

    def __init__(self, cluster: Any, client: Any) -> None:
        self._client = client
        self.executor = ("--executor", cluster.scheduler_address.replace("tcp://", "dask://"), "-j", "1")

    def arm(self, point: str) -> None:
        self._client.run(failpoints.arm, point)

    @property
    def process_id(self) -> int:
        self._client.wait_for_workers(1, timeout=60)
        (number,) = self._client.run(os.getpid).values()
        return int(number)


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    from distributed import Client

    from neptune_exporter.jobs.executors.on_dask import local_cluster

    with local_cluster(1) as cluster, Client(cluster) as client:
        yield Workers(cluster, client)


def _cases() -> Iterator[Any]:
    for source in ("offline", "neptune3"):
        for point in sorted(FRESH):
            for hit in (1, 3):
                is_slow = (source, point, hit) not in LEAN and "NEPTUNE_EXPORTER_KILLS" not in os.environ
                mark = pytest.mark.skipif(is_slow, reason="slow: nox -s kills runs it")
                yield pytest.param(source, f"{point}:{hit}", marks=mark)


@pytest.mark.parametrize(("source", "point"), list(_cases()))
def test_another_worker_does_what_a_killed_one_left(
    request: pytest.FixtureRequest, tmp_path: Path, workers: Workers, source: str, point: str
) -> None:
    exported: Exported = request.getfixturevalue(source)
    command = CommandLine(tmp_path, exported.environment)
    before = workers.process_id
    workers.arm(point)
    command.run(*exported.arguments, *workers.executor)
    assert workers.process_id != before, f"{point} was never passed"
    assert_same(holdings(tmp_path), exported.undisturbed)
    again = command.run(*exported.arguments)
    assert "3         0           3       0" in again.output, again.output
    assert list(leftovers(tmp_path)) == []
    command.run("verify")
