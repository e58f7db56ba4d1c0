"""Where log lines go, and that every message is one line."""

from __future__ import annotations

import io
import logging
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import Result

from neptune_exporter.cli.logs import NOTICE, logging_to
from neptune_exporter.cli.progress import BarProgress, LoggedProgress, shown_progress
from neptune_exporter.cli.time_left import TimeLeft
from neptune_exporter.toolkit import Patience, TransientError

Run = Callable[..., Result]

LEVELS = ("DEBUG", "INFO", "NOTICE", "WARNING")


def say_everything() -> None:
    for name in ("neptune_exporter.part", "library"):
        for level in (logging.DEBUG, logging.INFO, NOTICE, logging.WARNING):
            logging.getLogger(name).log(level, "%s %s", name, logging.getLevelName(level))


@pytest.mark.parametrize(
    ("verbose", "on_stderr"),
    [
        (0, ["neptune_exporter.part NOTICE", "part WARNING", "library WARNING"]),
        (1, ["neptune_exporter.part INFO", "part NOTICE", "part WARNING", "library WARNING"]),
        (
            2,
            [f"{who} {what}" for who in ("part", "library") for what in LEVELS],
        ),
    ],
)
def test_how_much_is_said(
    verbose: int, on_stderr: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with logging_to(tmp_path / "logs" / "run.log", verbose):
        say_everything()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(on_stderr)
    for line, end in zip(lines, on_stderr, strict=True):
        assert line.endswith(end)
    in_file = (tmp_path / "logs" / "run.log").read_text().splitlines()
    assert len(in_file) == {0: 4, 1: 5, 2: 8}[verbose]  # libraries only with -vv, but for warnings
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ", in_file[0])


def test_retries_are_told_seldom(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    failures = iter([TransientError("Pluto cannot be reached")] * 6)

    def call() -> None:
        for failure in failures:
            raise failure

    with logging_to(tmp_path / "run.log", 0):
        Patience(60, 0.001, 0.002).call(call)
    told = capsys.readouterr().err + (tmp_path / "run.log").read_text()
    assert told.count("Pluto cannot be reached; it is tried again for up to 60 s") == 2


def test_logging_is_as_before_afterwards(tmp_path: Path) -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers), logging.getLogRecordFactory())
    with pytest.raises(KeyError), logging_to(tmp_path / "x.log", 2):
        raise KeyError
    assert (root.level, list(root.handlers), logging.getLogRecordFactory()) == before


def test_no_log_file_is_written_unless_asked_for(run: Run, tracker: ModuleType, folder: Path) -> None:
    assert run("projects", "--exporter", "tracker").exit_code == 0
    assert list(folder.iterdir()) == []


def test_an_internal_error_is_one_line_and_with_v_a_traceback(
    run: Run, tracker: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(tracker.source, "projects", fail)
    result = run("projects", "--exporter", "tracker")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "error: internal error: RuntimeError: two lines (run with -v for the traceback)\n"
    )
    assert "Traceback" in run("projects", "--exporter", "tracker", "-v").stderr


def test_an_internal_error_of_one_run_is_one_line_and_with_v_a_traceback(
    run: Run, tracker: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(tracker.source, "read", fail)
    export = ("export", "--exporter", "tracker", "-p", "acme/text")
    result = run(*export)
    announced = "executor: threads, 4 at once (an export mostly waits for its source)\n"
    assert (result.exit_code, result.stderr) == (1, announced)
    assert "  acme/text:EXP-2: internal error: RuntimeError: two lines\n" in result.stdout
    assert "Traceback" in run(*export, "-v").stderr


def test_a_missing_sdk_is_one_line(run: Run, tracker: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        import a_client_that_is_nowhere  # noqa: F401

    monkeypatch.setattr(tracker.source, "projects", fail)
    result = run("projects", "--exporter", "tracker")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: the module a_client_that_is_nowhere is not installed")
    assert result.stderr.count("\n") == 1


def test_without_a_terminal_there_is_no_bar_but_messages_are_logged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with logging_to(None, 1), shown_progress(quiet=False) as progress:
        assert type(progress) is LoggedProgress
        progress.start("export acme/vision", 4)
        progress.advance(runs=3, rows=12_345, bytes=6_000_000)
        progress.message("the server is busy")
        progress.finish()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "the server is busy"
    assert re.fullmatch(
        r"export acme/vision: 3 of 4 runs, 12,345 points \([\d,]+/s\), 6\.00 MB \(.*/s\)", lines[1]
    )


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_runs_points_bytes_their_rates_and_the_time_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    for name, value in {"TERM": "xterm", "COLUMNS": "200", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    with shown_progress(quiet=False) as progress:
        assert isinstance(progress, BarProgress)
        progress.start("export acme/vision (1 of 2)")
        progress.start("export acme/vision (1 of 2)", 4)
        progress.advance(rows=12_345, bytes=6_000_000)
        progress.advance(runs=1)
        time.sleep(0.05)  # what is a rate of no time?
        progress.advance(runs=1)
        progress.live.refresh()
        shown = screen.getvalue()
        last = shown.rpartition("\x1b[2K")[2]
        assert last.count("export") == 1, "the stage without a total is still there"
        progress.finish()
    figures = r"2 of 4 runs, 12,345 points \([\d,]+/s\), 6\.00 MB \(\S+ .B/s\)"
    assert re.search(rf"export acme/vision \(1 of 2\) .*{figures}", shown)
    monkeypatch.setattr(sys, "stderr", quiet := Terminal())
    with shown_progress(quiet=True) as progress:
        progress.start("export acme/vision", 4)
        progress.finish()
    assert quiet.getvalue() == ""


@pytest.mark.parametrize("columns", [80, 100, 120])
def test_a_narrow_terminal_has_a_bar_and_the_time_left(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    for name, value in {"TERM": "xterm", "COLUMNS": str(columns), "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    with shown_progress(quiet=False) as progress:
        assert isinstance(progress, BarProgress)
        progress.start(f"export {'a-long-workspace' * 3}/a-long-name (10 of 20)", 34_567)
        progress.live.refresh()
        progress._began -= 1_000
        progress._time_left = TimeLeft(progress._began)
        progress.advance(runs=12_345, rows=987_654_321, bytes=6_000_000_000)
        progress.live.refresh()
        shown = screen.getvalue()
        progress.finish()
    line = shown.rpartition("\r")[2].removeprefix("\x1b[2K").rstrip()
    rates = r"988 M points \([\d,]+/s\), 6\.00 GB \([\d.]+ MB/s\)" if columns >= 120 else r"[\d.]+ MB/s"
    found = re.fullmatch(rf"\S+ (.*)… (━*)[╸ ]*─*━* *12,345 of 34,567 runs, {rates} +30 min left", line)
    assert found, line
    assert len(line) <= columns
    assert found[1] and found[2]


def test_a_line_in_a_log_says_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("neptune_exporter.cli.progress.EVERY", 0.02)
    with logging_to(tmp_path / "run.log", 0):
        for quiet in (False, True):
            with shown_progress(quiet=quiet) as progress:
                progress.start("export acme/vision", 4)
                progress.advance(runs=1)
                for _ in range(500):
                    time.sleep(0.01)
                    if (tmp_path / "run.log").read_text().count("1 of 4 runs") > 1:
                        break
                progress.finish()
            on_stderr = capsys.readouterr().err
            assert ("export acme/vision: 1 of 4 runs" in on_stderr) is not quiet
            in_file = (tmp_path / "run.log").read_text()
            assert in_file.count("1 of 4 runs") > 1
            (tmp_path / "run.log").write_text("")


def test_how_far_it_came_is_said_when_it_is_interrupted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neptune_exporter.cli.progress.is_ending", lambda: True)
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(KeyboardInterrupt), shown_progress(quiet=False) as progress:
        assert isinstance(progress, BarProgress)
        progress.start("export acme/vision", 5_000)
        progress.advance(runs=463)
        progress.finish()  # the job ends, and then waits for the runs that are under way
        progress.advance(runs=1)
        screen.truncate(0)
        progress.live.refresh()
        assert "stopping…" in screen.getvalue()
        raise KeyboardInterrupt
    assert screen.getvalue().endswith("export acme/vision: 464 of 5,000 runs done\n")


def test_a_line_for_each_run_in_the_log_file(run: Run, tracker: ModuleType, tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    for command in (["export", "--exporter"], ["export", "--exporter"], ["load", "--loader"]):
        assert run(*command, "tracker", "--log-file", str(log)).exit_code == 0
    text = log.read_text()
    assert text.count("acme/vision:RUN-1: exported: rows 13, files 1\n") == 2  # its source tells no changes
    assert text.count("acme/vision:RUN-1: loaded as ") == 1


def test_the_bar_shows_figures_and_lets_messages_through() -> None:
    from rich.console import Console

    out = io.StringIO()
    progress = BarProgress(Console(file=out, force_terminal=True, width=120))
    with progress.live:
        progress.start("load [red]acme/vision[/red]", 2)
        progress.advance(runs=1, rows=1_000_000)
        progress.live.refresh()
        assert progress.shown_figures().startswith("1 of 2 runs, 1.00 M points")
        progress.finish()
    assert "load [red]acme/vision[/red]" in out.getvalue()
