"""An export that is killed and run again until it is done is like one that was never disturbed."""

from __future__ import annotations

from pathlib import Path

import pytest

from neptune_exporter.testing.commands import CommandLine
from neptune_exporter.testing.killed_exports import check_killed_exports, exported_facts
from neptune_exporter_neptune2_server import (
    Attribute,
    FakeProject,
    File,
    FileSet,
    FloatSeries,
    Image,
    ImageSeries,
    Int,
    Neptune2Server,
    StringSeries,
)

from .conftest import Serve

PROJECT = "team/cats"
RUNS = 40
EXPORT = ("export", "--exporter", "neptune2", "-p", PROJECT)


def attributes(number: int) -> dict[str, Attribute]:
    steps = [n // 2 for n in range(1500 + number)]
    return {
        "n": Int(number),
        "m": FloatSeries([float(s) for s in steps], steps),
        "nan": FloatSeries([float("nan"), number]),
        "log": StringSeries([f"{number} {n}" for n in range(5)]),
        "image": ImageSeries(tuple(Image(b"%d %d" % (number, n), float(n)) for n in range(2))),
        "model": File(b"%d" % number * 50_000, "pt"),
        "set": FileSet({"a": b"%d" % number}),
    }


@pytest.fixture
def server(serve: Serve) -> Neptune2Server:
    project = FakeProject("team", "cats")
    for number in range(RUNS):
        project.add_run(attributes(number))
    server = serve(project)
    server.latency = 0.005
    return server


def command_in(folder: Path, server: Neptune2Server) -> CommandLine:
    folder.mkdir()
    return CommandLine(folder, server.environment)


def test_killed_at_any_moment(server: Neptune2Server, tmp_path: Path) -> None:
    commands = (command_in(tmp_path / name, server) for name in ("undisturbed", "disturbed"))
    check_killed_exports(*commands, *EXPORT, runs=RUNS)


@pytest.mark.parametrize(
    "failpoint",
    ["export.rows-written:40", "export.before-publish:5", "export.run-published:3", "dataset.file-written:9"],
)
def test_killed_at_a_failpoint(server: Neptune2Server, tmp_path: Path, failpoint: str) -> None:
    command = command_in(tmp_path / "disturbed", server)
    command.run_until_killed(failpoint, *EXPORT)
    command.run(*EXPORT)
    found = exported_facts(command.folder)
    assert len(found) == RUNS
    for number in range(RUNS):
        of_run = found[f"{PROJECT}:SAN-{number + 1}"]
        assert sum(n for fact, n in of_run.items() if fact.path == "m") == 1500 + number
        assert sum(n for fact, n in of_run.items() if fact.path == "image") == 2
    command.run("verify")
