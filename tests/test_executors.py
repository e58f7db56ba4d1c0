"""The same export and load under every executor, also when workers are killed at the worst moments."""

from __future__ import annotations

import importlib.util

import pytest

from .test_export_crashes import FRESH, arguments, assert_healed, assert_same, holdings, undisturbed

__all__ = ["undisturbed"]

TWO = ("--executor", "processes", "-j", "2")
DASK = pytest.param(
    ("--executor", "dask", "-j", "2"),
    marks=pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="Dask is not installed"),
    id="dask",
)
EVERY = [pytest.param(("--executor", "threads"), id="threads"), pytest.param(TWO, id="processes"), DASK]


@pytest.mark.parametrize("executor", EVERY)
def test_every_executor_exports_the_same(executor, offline_folder, undisturbed, command_line):  # type: ignore[no-untyped-def]
    done = command_line.run(*arguments(offline_folder, *executor, "--log-file", "log.txt"))
    assert_same(holdings(command_line.folder), undisturbed)
    log = (command_line.folder / "log.txt").read_text()
    assert log.count(": exported: rows ") == 3, log  # said by the workers
    assert "149 rows, 5 files (214 B) written" in done.output
    again = command_line.run(*arguments(offline_folder, *executor))
    assert "acme/crash       3         0           3       0" in again.output, again.output


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
