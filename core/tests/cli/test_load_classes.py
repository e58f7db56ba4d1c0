"""`load -c`: only some attribute classes, said and compared as such; a later load brings the rest."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType

from click.testing import Result

Run = Callable[..., Result]
LOAD = ("load", "--loader", "tracker")


def paths_in(tracker: ModuleType) -> set[str]:
    return {row.path for held in tracker.target.runs.values() for row in held.rows}


def test_only_the_classes_that_were_asked_for_are_loaded(run: Run, tracker: ModuleType) -> None:
    assert run("export", "--exporter", "tracker").exit_code == 0
    planned = json.loads(run(*LOAD, "-c", "parameters", "--dry-run", "--json").stdout)["planned"]
    assert {t for plan in planned for t in plan["rows"]} == {"float", "string"}

    result = run(*LOAD, "-c", "parameters", "--json")
    document = json.loads(result.stdout)
    assert result.exit_code == 0, result.output
    assert paths_in(tracker) == {"sys/name", "lr"}
    left = {(loss["reason"], loss["message"], loss["requested"]) for loss in document["losses"]}
    assert left == {
        ("not-selected", "metrics were left out", True),
        ("not-selected", "files were left out", True),
    }
    assert sum(loss["count"] for loss in document["losses"]) == 3 * (10 + 1)
    assert (document["verdicts"].keys(), document["comparisons"]) == ({"="}, [])

    again = json.loads(run(*LOAD, "-c", "parameters", "--json").stdout)
    assert (len(again["loaded"]), len(again["already_loaded"])) == (0, 3)
    everything = json.loads(run(*LOAD, "--json").stdout)
    assert (len(everything["loaded"]), everything["losses"]) == (3, [])
    assert paths_in(tracker) == {"sys/name", "lr", "train/loss", "model"}


def test_the_name_of_a_run_comes_along(run: Run, tracker: ModuleType) -> None:
    assert run("export", "--exporter", "tracker").exit_code == 0
    assert run(*LOAD, "--exclude", "parameters").exit_code == 0
    assert paths_in(tracker) == {"train/loss", "model"}
    names = {held.name for held in tracker.target.runs.values()}
    assert names == {"name of RUN-1", "name of RUN-10", "name of EXP-2"}


def test_verify_compares_the_classes_that_were_loaded(run: Run, tracker: ModuleType) -> None:
    assert run("export", "--exporter", "tracker").exit_code == 0
    assert run(*LOAD, "-c", "parameters").exit_code == 0
    assert run("verify", "--loader", "tracker", "-c", "parameters", "--full").exit_code == 0
    assert run("verify", "--loader", "tracker").exit_code == 4
    result = run("verify", "-c", "parameters")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
