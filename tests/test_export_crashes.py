"""An export that is killed anywhere and run again ends exactly like one that was never disturbed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from neptune_exporter.dataset import Dataset
from neptune_exporter.model import RunKey
from neptune_exporter.testing.commands import CommandLine, failpoints
from neptune_exporter.testing.facts import Facts, difference, facts_of_exported

FRESH = {
    *failpoints("export."),
    "dataset.file-written",
    "dataset.rows-written",
    "dataset.part-written",
    "dataset.pending-written",
    "dataset.parts-named",
    "dataset.before-receipt",
    "dataset.published",
}
"""Passed by any export. `dataset.part-removed` is passed where an older publication had more parts."""
SEVERAL_NEW_PARTS = {"dataset.part-renamed"}
"""Passed where one publication has several parts: too large for here, tested with the dataset."""


def arguments(offline_folder: Path, *more: str) -> list[str]:
    return [
        "export",
        "--exporter=offline",
        f"--offline-path={offline_folder}",
        "--offline-project=acme/crash",
        "--offline-run-id=old",
        *more,
    ]


def holdings(folder: Path) -> dict[RunKey, Facts]:
    dataset = Dataset(folder / "exports/data", folder / "exports/files")
    runs = list(dataset.runs())
    assert all(run.complete for run in runs)
    return {run.key: facts_of_exported(run) for run in runs}


def leftovers(folder: Path) -> Iterator[Path]:
    for path in (folder / "exports").rglob("*"):
        if path.is_file() and (".tmp" in path.name or "pending" in path.name):
            yield path


@pytest.fixture(scope="module")
def undisturbed(offline_folder, tmp_path_factory) -> dict[RunKey, Facts]:  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("undisturbed")
    CommandLine(folder).run(*arguments(offline_folder))
    held = holdings(folder)
    assert len(held) == 3 and all(held.values())
    return held


@pytest.mark.parametrize("hit", [1, 3])
@pytest.mark.parametrize("failpoint", sorted(FRESH))
def test_killed_and_run_again(failpoint, hit, offline_folder, undisturbed, command_line):  # type: ignore[no-untyped-def]
    command_line.run_until_killed(f"{failpoint}:{hit}", *arguments(offline_folder))
    assert_healed(command_line, offline_folder, undisturbed)


@pytest.mark.parametrize("failpoint", sorted(FRESH - {"dataset.file-written"}))
def test_killed_while_adding(failpoint, offline_folder, undisturbed, command_line):  # type: ignore[no-untyped-def]
    """Parameters alone first, then the rest is added beside them."""
    command_line.run(*arguments(offline_folder, "-c", "parameters"))
    command_line.run_until_killed(failpoint, *arguments(offline_folder))
    assert_healed(command_line, offline_folder, undisturbed)


@pytest.mark.parametrize("failpoint", sorted({*FRESH, *failpoints("dataset.")} - SEVERAL_NEW_PARTS))
def test_killed_while_replacing(failpoint, offline_folder, undisturbed, command_line):  # type: ignore[no-untyped-def]
    """Runs of two parts are read anew and become runs of one."""
    command_line.run(*arguments(offline_folder, "-c", "parameters"))
    command_line.run(*arguments(offline_folder))
    command_line.run_until_killed(failpoint, *arguments(offline_folder, "--force"))
    assert_healed(command_line, offline_folder, undisturbed)


def assert_healed(command_line: CommandLine, offline_folder: Path, undisturbed: dict[RunKey, Facts]) -> None:
    command_line.run(*arguments(offline_folder))
    assert_same(holdings(command_line.folder), undisturbed)
    assert list(leftovers(command_line.folder)) == []
    command_line.run("verify")


def assert_same(found: dict[RunKey, Facts], expected: dict[RunKey, Facts]) -> None:
    assert found.keys() == expected.keys()
    for key, facts in expected.items():
        assert difference(facts, found[key]) == "", key
