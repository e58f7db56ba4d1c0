"""How numbers and names are told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import Result

from neptune_exporter.cli.output import counted_of
from neptune_exporter.model import RunKey

Run = Callable[..., Result]


@pytest.mark.parametrize(
    ("what", "one"),
    [
        ("log lines", "log line"),
        ("string series entries", "string series entry"),
        ("series", "series"),
        ("string series", "string series"),
        ("text", "text"),
    ],
)
def test_one_is_told_in_the_singular(what: str, one: str) -> None:
    assert counted_of(1, what) == f"1 {one}"
    assert counted_of(0, what) == f"0 {what}"
    assert counted_of(1_204, what) == f"1,204 {what}"


ODD = "RUN\n1 \x07\x1b]0;t\x07\u202e"
SHOWN = "RUN\ufffd1 \ufffd\ufffd]0;t\ufffd\ufffd"


@pytest.fixture
def odd(tracker: ModuleType) -> RunKey:
    """A run whose id would ring the bell, name the window and break the line."""
    tracker.source.put(tracker.a_run(ODD, ODD))
    key: RunKey = tracker.a_run(ODD, ODD).key
    tracker.source.touch(key, datetime(2024, 5, 1, tzinfo=timezone.utc))
    return key


def shown_lines(result: Result) -> list[str]:
    """Every line that a person sees, none with anything but what can be printed."""
    lines = (result.stdout + result.stderr).split("\n")
    assert [line for line in lines if not line.isprintable()] == []
    return lines


def test_names_cannot_steer_the_terminal(run: Run, tracker: ModuleType, odd: RunKey) -> None:
    export, load = ("export", "--exporter", "tracker"), ("load", "--loader", "tracker")
    tracker.source.fail_attribute(odd, "lr", permanent=True)
    shown = shown_lines(run(*export, "-v"))
    permanent = "(not tried again until the run changes, or with --force)"
    assert f"  {SHOWN}:{SHOWN} lr: lr: HTTP 500 {permanent}" in shown
    shown = shown_lines(run(*export))
    assert f"  {SHOWN}:{SHOWN} lr: lr: HTTP 500" in shown
    assert SHOWN in shown_lines(run("projects", "--exporter", "tracker"))
    assert f"{SHOWN}: 1 run" in shown_lines(run("summary"))
    shown_lines(run(*load, "--dry-run"))
    tracker.sink.fail_run(odd)
    shown = shown_lines(run(*load))
    assert any(line.startswith(f"{SHOWN}:{SHOWN}: ") for line in shown), "what is told on the way"
    assert any(line.startswith(f"  {SHOWN}:{SHOWN}: ") for line in shown), "what is listed at the end"
    run(*load)
    shown = shown_lines(run("verify", "--loader", "tracker", "-v"))
    assert any(line.startswith(f"= {SHOWN}:{SHOWN} ") for line in shown)
    tracker.target.runs.pop(odd)
    shown = shown_lines(run("verify", "--loader", "tracker"))
    assert any(line.startswith(f"  {SHOWN}:{SHOWN}: ") for line in shown)
    for part in Path("exports/data").glob("RUN*/*.parquet"):
        part.write_bytes(b"")
    shown = shown_lines(run("verify"))
    assert any(line.startswith(f"damage: {SHOWN}:{SHOWN}: ") for line in shown)
    told = run("summary")
    assert any(line.startswith(f"  {SHOWN}:{SHOWN}: ") for line in shown_lines(told))
    assert told.exit_code == 3
    told = run("summary", "-o", "summary.txt")
    assert told.exit_code == 3
    (line,) = [line for line in shown_lines(told) if "not complete: " in line]
    assert line == f"not complete: {SHOWN}:{SHOWN}; summary.txt says more"


def test_a_traceback_cannot_steer_the_terminal(
    run: Run, tracker: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError(ODD)

    monkeypatch.setattr(tracker.source, "projects", fail)
    shown = shown_lines(run("projects", "--exporter", "tracker", "-v"))
    assert shown[-2].startswith("error: internal error: RuntimeError: RUN 1 \ufffd\ufffd]0;t")
