"""An export that is killed and run again until it is done is like one that was never disturbed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from neptune_exporter.testing.commands import CommandLine
from neptune_exporter.testing.killed_exports import check_killed_exports, exported_facts
from neptune_exporter.testing.loopback import Fault
from neptune_exporter_neptune3_server import (
    FLOATS_PATH,
    FakeFile,
    FakeProject,
    FakeRun,
    FileSeries,
    FloatSeries,
    Histogram,
    HistogramSeries,
    Neptune3Server,
    StringSeries,
    Value,
)

PROJECT = "acme/vision"
RUNS = 48


def make_run(number: int) -> FakeRun:
    steps = [n // 2 for n in range(1500 + number)]
    attributes: dict[str, Value | None] = {
        "n": 2**53 + number,
        "m": FloatSeries(steps, range(len(steps))),
        "nan": FloatSeries([0, 1], [float("nan"), number]),
        "log": StringSeries(range(5), [f"{number} {n}" for n in range(5)]),
        "hist": HistogramSeries([0], [Histogram([0, 1], [number])]),
        "image": FileSeries(range(2), [FakeFile(b"%d %d" % (number, n)) for n in range(2)]),
        "model": FakeFile(b"%d" % number * 50_000),
    }
    return FakeRun(f"run {number}", attributes)


@pytest.fixture
def server(serve: Callable[..., Neptune3Server]) -> Neptune3Server:
    server = serve(FakeProject(PROJECT, [make_run(n) for n in range(RUNS)]))
    server.latency = 0.01
    return server


def exporting(folder: Path, server: Neptune3Server) -> CommandLine:
    folder.mkdir()
    return CommandLine(folder, {"NEPTUNE_API_TOKEN": server.api_token})


EXPORT = ("export", "--exporter", "neptune3", "-p", PROJECT)


def test_killed_at_any_moment(server: Neptune3Server, tmp_path: Path) -> None:
    commands = (exporting(tmp_path / name, server) for name in ("undisturbed", "disturbed"))
    check_killed_exports(*commands, *EXPORT, runs=RUNS)


@pytest.mark.parametrize(
    "failpoint", ["export.rows-written:40", "export.before-publish:5", "export.run-published:3"]
)
def test_killed_at_a_failpoint(server: Neptune3Server, tmp_path: Path, failpoint: str) -> None:
    command = exporting(tmp_path / "disturbed", server)
    command.run_until_killed(failpoint, *EXPORT)
    command.run(*EXPORT)
    found = exported_facts(command.folder)
    assert len(found) == RUNS
    for number in range(RUNS):
        of_run = found[f"{PROJECT}:run {number}"]
        assert sum(n for fact, n in of_run.items() if fact.path == "m") == 1500 + number
        assert sum(n for fact, n in of_run.items() if fact.path == "image") == 2
    command.run("verify")


def test_ctrl_c_does_not_wait_as_long_as_the_server_asks(server: Neptune3Server, tmp_path: Path) -> None:
    server.fail(Fault(path=FLOATS_PATH, status=429, headers={"Retry-After": "250"}, times=100))
    command = replace(exporting(tmp_path / "one", server), seconds=20.0)

    def is_asked() -> bool:
        return any(request.path == FLOATS_PATH for request in server.requests)

    done = command.run_until_interrupted(is_asked, *EXPORT)
    assert done.exit_code == 130
    assert done.output.splitlines()[-1] == "interrupted; run the same command again to go on"
    assert exported_facts(command.folder) == {}
    server.faults.clear()
    assert f"{RUNS} " in exporting(tmp_path / "two", server).run(*EXPORT).output
