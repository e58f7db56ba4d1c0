"""Progress says what is waited for where nothing moves."""

from __future__ import annotations

import io
import logging

import pytest
from rich.console import Console

from neptune_exporter.cli import progress as progress_module
from neptune_exporter.cli.progress import BarProgress, LoggedProgress
from neptune_exporter.toolkit import waiting_for


@pytest.fixture(autouse=True)
def _each_wait_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "_LONG_WAIT", 0.0)


def test_a_line_of_the_log_names_the_wait(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, progress_module.__name__)
    progress = LoggedProgress()
    progress.start("export team/cats", 3)
    with waiting_for("https://neptune.example: floats\nand more"):
        progress.log_line()
    progress.log_line()
    waiting, moving = [record.getMessage() for record in caplog.records]
    assert "0 of 3 runs, waiting for https://neptune.example: floats and more (0 s)" in waiting
    assert "waiting" not in moving


def test_the_bar_names_the_wait() -> None:
    console = Console(file=io.StringIO(), width=200, force_terminal=True)
    progress = BarProgress(console)
    progress.start("export team/cats", 3)
    with waiting_for("the object store: team/cats:R-1 model"):
        console.print(progress.line())
    assert isinstance(console.file, io.StringIO)
    assert "export team/cats: waiting for the object store: team/cats:R-1 model" in console.file.getvalue()
