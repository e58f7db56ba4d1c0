"""What a load says of what it did not get: on the screen, in JSON, by its exit code, and with -v."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import Result

from neptune_exporter.dataset.format.layout import temporary
from neptune_exporter.model import RunKey

Run = Callable[..., Result]
RUN_1 = RunKey("acme/vision", "RUN-1")
EXPORT = ("export", "--exporter", "tracker")
LOAD = ("load", "--loader", "tracker")


def test_a_run_that_was_named_and_is_not_there(run: Run, tracker: ModuleType) -> None:
    run(*EXPORT)
    Path("ids.txt").write_text("RUN-1\nRUN-7\n")
    result = run(*LOAD, "-r", "@ids.txt")
    assert result.exit_code == 3
    line = "-r: no run of the dataset matches RUN-7; did you mean RUN-1 or RUN-10?"
    assert "1 run loaded" in result.stdout and f"\n{line}\n" in result.stdout
    told = json.loads(run(*LOAD, "-r", "@ids.txt", "--dry-run", "--json").stdout)
    assert (told["not_found"], told["exit_code"], told["complete"]) == ([line], 3, False)
    for command in (("summary",), ("verify",), ("verify", "--loader", "tracker")):
        result = run(*command, "-r", "@ids.txt")
        assert result.exit_code == 3 and f"{line}\n" in result.output


def test_an_attribute_that_was_not_exported(run: Run, tracker: ModuleType) -> None:
    tracker.source.fail_attribute(RUN_1, "lr", times=1)
    run(*EXPORT)
    result = run(*LOAD)
    assert result.exit_code == 3
    told = "1 attribute could not be exported; missing, wholly or in part: export again if its server still"
    assert told in result.stdout
    assert json.loads(run(*LOAD, "--json").stdout)["export_failures"] == 1


def test_an_attribute_of_which_the_earlier_value_stays(run: Run, tracker: ModuleType) -> None:
    assert run(*EXPORT).exit_code == 0
    tracker.source.fail_attribute(RUN_1, "lr", times=1)
    assert run(*EXPORT, "--force").exit_code == 3
    told = "could not be exported; the value of an earlier export is kept: export again if its server still"
    loaded, found = run(*LOAD), run("verify")
    assert (loaded.exit_code, found.exit_code) == (3, 3)
    assert f"1 attribute {told}" in loaded.stdout
    (gap,) = [line for line in found.stdout.splitlines() if line.startswith("gap: ")]
    assert "; the value of an earlier export is kept: export again if its server still runs" in gap


@pytest.mark.parametrize(
    "command", [LOAD, (*LOAD, "--dry-run"), ("verify",), ("verify", "--loader", "tracker")]
)
def test_a_dataset_without_any_run(command: tuple[str, ...], run: Run, tracker: ModuleType) -> None:
    for folder in ("data", "files"):
        Path("exports", folder).mkdir(parents=True)
    result = run(*command)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert result.stderr.startswith(f"error: the dataset at {Path('exports/data')} holds no run: ")
    assert "matches these options; see `summary`" in run(*command, "-r", "RUN-1").stderr


@pytest.mark.parametrize("command", [LOAD, (*LOAD, "--dry-run"), ("verify",), ("summary",)])
def test_a_project_that_is_not_there(command: tuple[str, ...], run: Run, tracker: ModuleType) -> None:
    run(*EXPORT)
    assert run(*command, "-p", "acme/text,acme/vision").exit_code == 0
    result = run(*command, "-p", "acme/text,acme/visoin")
    assert result.exit_code == 3
    line = "-p: the dataset has no project acme/visoin; did you mean acme/vision?\n"
    assert line in result.output and "acme/vision:" not in result.output


def test_a_summary_of_single_runs_shows_no_project_without_them(run: Run, tracker: ModuleType) -> None:
    run(*EXPORT)
    text = run("summary", "-r", "RUN-1").stdout
    assert text.startswith("1 project, 1 run\n") and "acme/text" not in text


@pytest.mark.parametrize("command", [LOAD, (*LOAD, "--dry-run"), ("verify",), ("summary",)])
def test_a_run_that_is_not_there_and_those_that_are_near(
    command: tuple[str, ...], run: Run, tracker: ModuleType
) -> None:
    run(*EXPORT)
    result = run(*command, "-r", "RUN-11")
    assert result.exit_code == 2
    assert "matches these options; did you mean RUN-1 or RUN-10?\n" in result.stderr


@pytest.mark.parametrize("verbose", [False, True])
def test_the_traceback_of_an_internal_error_is_shown_with_v(
    run: Run, tracker: ModuleType, verbose: bool
) -> None:
    run(*EXPORT)
    tracker.sink.fail_run(RUN_1, ValueError("odd"))
    result = run(*(["-v"] if verbose else []), *LOAD)
    assert result.exit_code == 3
    assert "internal error: ValueError: odd (run with -v for the traceback)" in result.stdout
    assert ("Traceback" in result.stderr) is verbose


def test_what_an_interrupted_export_had_left_is_told(run: Run, tracker: ModuleType) -> None:
    run(*EXPORT)
    (part,) = Path("exports/data").rglob("RUN-1-*_part_0.parquet")
    ours = Path("exports/data") / temporary(part.relative_to("exports/data").as_posix())
    theirs = part.with_name(part.name + ".tmp")
    ours.parent.mkdir(parents=True, exist_ok=True)
    ours.write_bytes(b"half")
    theirs.write_bytes(b"half")
    result = run(*EXPORT)
    assert f"{ours.name}: deleted, an interrupted export had not finished it" in result.stderr
    assert theirs.exists() and not ours.exists()
    (told,) = json.loads(run("verify", "--json").stdout)["findings"]
    assert theirs.name in told["item"] and not told["is_damage"]
