"""Exports of a source that are killed and run again."""

from __future__ import annotations

import random
from pathlib import Path

from neptune_exporter.dataset import Dataset
from neptune_exporter.testing.commands import CommandLine
from neptune_exporter.testing.facts import Facts, difference, facts_of_exported


def exported_facts(folder: Path) -> dict[str, Facts]:
    """What the dataset in the folder of a command holds, by run."""
    dataset = Dataset(folder / "exports" / "data", folder / "exports" / "files")
    return {str(run.key): facts_of_exported(run) for run in dataset.runs()}


def check_killed_exports(undisturbed: CommandLine, disturbed: CommandLine, *export: str, runs: int) -> None:
    """Check that an export that is killed at random moments and run again until it is done is like one that
    was never disturbed.

    Args:
        undisturbed: A command in a folder of its own; so is `disturbed`.
        export: The arguments of the export.
        runs: How many runs it exports: some tens.

    Raises:
        AssertionError: no kill came amid the runs, or the exports differ.
    """
    undisturbed.run(*export)
    expected = exported_facts(undisturbed.folder)
    assert len(expected) == runs
    data = disturbed.folder / "exports" / "data"
    published = disturbed.run_killed_at_random(
        *export,
        kills=8,
        chance=random.Random(7),
        published=lambda: len(list(data.glob("*/_receipts/*.receipt.parquet"))),
    )
    assert any(0 < number < runs for number in published), published
    assert published == sorted(published)  # what could be seen stays
    disturbed.run(*export)
    found = exported_facts(disturbed.folder)
    assert found.keys() == expected.keys()
    for key, wanted in expected.items():
        assert not difference(wanted, found[key]), key
    disturbed.run("verify")
