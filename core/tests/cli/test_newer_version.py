"""Runs that a newer neptune-exporter wrote: no command changes them or calls them damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import Result

from neptune_exporter.dataset.format import rowless
from neptune_exporter.dataset.format.receipts import VERSION
from neptune_exporter.model import RunKey

Run = Callable[..., Result]
KEY = RunKey("acme/vision", "RUN-1")
EXPORT = ("export", "--exporter", "tracker")


def make_newer(receipt: Path) -> None:
    content = rowless.unsealed(receipt.read_bytes())
    newer = content.replace(b'"version": %d' % VERSION, b'"version": %d, "shape": "new"' % (VERSION + 1))
    assert newer != content
    receipt.write_bytes(rowless.sealed(newer))


def contents() -> dict[Path, bytes]:
    """The runs of the dataset, without the lock."""
    paths = [
        path
        for path in Path("exports").rglob("*")
        if path.is_file() and ".neptune-exporter" not in path.parts
    ]
    return {path: path.read_bytes() for path in paths}


@pytest.fixture
def newer(run: Run, tracker: ModuleType, folder: Path) -> Path:
    """The receipt of a newer version, in a dataset that also has others."""
    assert run(*EXPORT).exit_code == 0
    (receipt,) = Path("exports/data").rglob("RUN-1-*.receipt.parquet")
    make_newer(receipt)
    return receipt


@pytest.mark.parametrize("force", [(), ("--force",)])
def test_an_export_leaves_it_and_takes_the_others(
    run: Run, tracker: ModuleType, newer: Path, force: tuple[str, ...]
) -> None:
    tracker.source.put(tracker.a_run("RUN-1"))
    tracker.source.put(tracker.a_run("RUN-11"))
    before = contents()
    result = run(*EXPORT, *force, "-r", "RUN-1.?")
    assert result.exit_code == 3, result.output
    (line,) = [line for line in result.output.splitlines() if "newer" in line]
    reason = "not exported: a newer neptune-exporter wrote what the dataset has of it"
    assert line.strip() == f"{KEY}: {reason}; upgrade neptune-exporter"
    assert "Run the same command again" not in result.output
    after = contents()
    assert {path for path in before if "RUN-1-" in str(path) and after.get(path) != before[path]} == set()
    assert any("RUN-11-" in path.name for path in after)


def test_a_plan_names_it_and_estimates_the_others(run: Run, tracker: ModuleType, newer: Path) -> None:
    tracker.source.put(tracker.a_run("RUN-11"))
    result = run(*EXPORT, "--dry-run", "-r", "RUN-1.?")
    assert result.exit_code == 3, result.output
    assert f"{KEY}: " in result.output and "upgrade neptune-exporter" in result.output


@pytest.mark.parametrize(
    "command",
    [
        ("summary",),
        ("summary", "--json"),
        ("verify",),
        ("verify", "--record"),
        ("verify", "--workers", "2"),
        ("load", "--loader", "tracker"),
        ("load", "--loader", "tracker", "--dry-run"),
        ("verify", "--loader", "tracker"),
    ],
)
def test_other_commands_stop_and_say_so(run: Run, newer: Path, command: tuple[str, ...]) -> None:
    before = contents()
    result = run(*command)
    assert result.exit_code == 1, result.output
    (line,) = result.stderr.splitlines()
    assert line == (
        f"error: {KEY}: a newer neptune-exporter wrote this run ({newer}): upgrade neptune-exporter"
    )
    assert "damage" not in result.output and contents() == before


@pytest.mark.parametrize("command", [EXPORT, ("verify", "--record")])
def test_its_interrupted_publication_stays(run: Run, newer: Path, command: tuple[str, ...]) -> None:
    """`recover` deletes a pending receipt that is damaged."""
    pending = newer.rename(newer.with_name(newer.name.replace(".receipt.", ".pending.")))
    before = contents()
    result = run(*command)
    assert result.exit_code == 1 and f"{KEY}: a newer neptune-exporter wrote this run" in result.stderr
    assert pending.exists() and contents() == before
