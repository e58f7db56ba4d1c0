"""The same export and load under every executor, also when workers are killed at the worst moments."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from typing import Any

import pytest

from neptune_exporter.testing.commands import CommandLine
from neptune_exporter_pluto_server import RehearsalServer

from .test_export_crashes import FRESH, arguments, assert_healed, assert_same, holdings, undisturbed

__all__ = ["undisturbed"]

TWO = ("--executor", "processes", "-j", "2")
DASK = pytest.param(
    ("--executor", "dask", "-j", "2"),
    marks=pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="Dask is not installed"),
    id="dask",
)
RAY = pytest.param(
    ("--executor", "ray", "-j", "2"),
    marks=pytest.mark.skipif("NEPTUNE_EXPORTER_RAY" not in os.environ, reason="slow: nox -s ray runs it"),
    id="ray",
)
THREADS = pytest.param(("--executor", "threads"), id="threads")
EVERY = [THREADS, pytest.param(TWO, id="processes"), DASK, RAY]
LOAD = ("load", "--loader", "pluto")
QUICK = {"NEPTUNE_EXPORTER_PLUTO_FILE_CHUNK_SLEEP": "0", "NEPTUNE_EXPORTER_PLUTO_VISIBLE_WITHIN": "2"}


@pytest.mark.parametrize("executor", EVERY)
def test_every_executor_exports_the_same(executor, offline_folder, undisturbed, command_line):  # type: ignore[no-untyped-def]
    done = command_line.run(*arguments(offline_folder, *executor, "--log-file", "log.txt"))
    assert_same(holdings(command_line.folder), undisturbed)
    log = (command_line.folder / "log.txt").read_text()
    assert log.count(": exported: rows ") == 3, log  # said by the workers
    assert "149 rows, 5 files (214 B) written" in done.output
    again = command_line.run(*arguments(offline_folder, *executor))
    assert "acme/crash       3         0           3       0" in again.output, again.output


@pytest.fixture(scope="module")
def exported(offline_folder, tmp_path_factory) -> CommandLine:  # type: ignore[no-untyped-def]
    """The folder of an export, and commands that run there."""
    command_line = CommandLine(tmp_path_factory.mktemp("exported"))
    command_line.run(*arguments(offline_folder))
    return command_line


@pytest.fixture(scope="module")
def by_threads(exported: CommandLine) -> dict[str, Any]:
    """What Pluto holds when threads have loaded it."""
    with RehearsalServer(reaper_interval=None) as server:
        return loaded_by(("--executor", "threads"), exported, server)


@pytest.fixture
def server() -> Iterator[RehearsalServer]:
    with RehearsalServer(reaper_interval=None) as server:
        yield server


@pytest.mark.parametrize("executor", EVERY[1:])
def test_every_executor_loads_and_compares_the_same(
    executor: tuple[str, ...], exported: CommandLine, by_threads: dict[str, Any], server: RehearsalServer
) -> None:
    assert loaded_by(executor, exported, server) == by_threads


def loaded_by(
    executor: tuple[str, ...], exported: CommandLine, server: RehearsalServer, places: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Load, compare every value, and tell every row of the server, run by run."""
    environment = {**server.environment(), **QUICK}
    state = ("--pluto-base-dir", f"state-{server.url.rpartition(':')[2]}")
    options = (*executor, *state, *places)
    done = exported.run(*LOAD, *options, **environment)
    assert done.output.startswith(f"executor: {executor[1]}, ")
    compared = exported.run("verify", *LOAD[1:], "--full", *options, **environment)
    assert "3 runs compared" in compared.output
    return {run.name: rows_of(server, run) for run in server.runs.by_id.values()}


def rows_of(server: RehearsalServer, run: Any) -> dict[str, Any]:
    key, store = server.key(run.id), server.store
    names = store.points.visible_names(key)
    points = {
        # As bytes: a NaN is not equal to itself.
        name: [store.points.series(key, name)[each].tobytes() for each in ("step", "time", "value")]
        for name in names
    }
    data, logs = list(store.data_rows(key)), store.log_rows(key)
    files = sorted((row["logName"], row["fileName"], row["fileSize"]) for row in store.file_rows(key))
    parameters = {name: value for name, value in run.config.items() if name != "sys/neptune_exporter"}
    parent = run.parent and run.parent.name
    assert points and data and files and parameters
    return {
        "points": points,
        "data": data,
        "logs": logs,
        "files": files,
        "parameters": parameters,
        "parent": parent,
        "fork": run.fork_step,
        "tags": run.tags,
        "status": run.status,
    }


@pytest.mark.parametrize("failpoint", sorted(FRESH))
def test_a_worker_that_is_killed_costs_its_run_until_the_next_export(  # type: ignore[no-untyped-def]
    failpoint,
    offline_folder,
    undisturbed,
    command_line,
):
    done = command_line.run(
        *arguments(offline_folder, *TWO), expect=None, NEPTUNE_EXPORTER_FAILPOINT=failpoint
    )
    assert done.exit_code in (1, 3), done.output
    assert "its worker process was killed or crashed in the middle of it: export again" in done.output
    assert_healed(command_line, offline_folder, undisturbed)
