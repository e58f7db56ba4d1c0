"""Progress on stderr: a bar in a terminal, a line every 30 seconds elsewhere, and messages everywhere."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import click

from neptune_exporter.cli.logs import NOTICE
from neptune_exporter.cli.time_left import TimeLeft
from neptune_exporter.interruption import is_ending
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.redaction import one_line, printable
from neptune_exporter.reporters.table import size
from neptune_exporter.toolkit import longest_wait

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_log = logging.getLogger(__name__)
_Shown = TypeVar("_Shown", bound="LoggedProgress")

EVERY = 30.0
"""Seconds between two lines of progress in a log."""
_LONG_WAIT = 10.0
"""Seconds from which on a wait for a server is shown."""
_ROOM_FOR_ALL_FIGURES = 120
"""Columns of a terminal. In a narrower one the bar is short, and of points and bytes only a rate is shown."""


class LoggedProgress(Progress):
    """No bar: messages, finished stages and a line every 30 seconds go to the log, as notices if there is no
    bar, as INFO beside one."""

    def __init__(self, level: int = NOTICE) -> None:
        self._lock = threading.Lock()
        self._level = level
        self._stage = ""
        self._total: int | None = None
        self._began = 0.0
        self._time_left = TimeLeft(0.0)
        self.runs = self.rows = self.bytes = 0

    def start(self, stage: str, total: int | None = None) -> None:
        with self._lock:
            self._stage, self._total, self._began = printable(stage), total, time.monotonic()
            self._time_left = TimeLeft(self._began)
            self.runs = self.rows = self.bytes = 0

    def advance(self, runs: int = 0, rows: int = 0, bytes: int = 0) -> None:
        with self._lock:
            self.runs += runs
            self.rows += rows
            self.bytes += bytes
            if runs:
                self._time_left.advance(self.runs, time.monotonic())

    def message(self, text: str) -> None:
        _log.log(NOTICE, "%s", text)

    def finish(self) -> None:
        with self._lock:
            _log.info("%s: %s", self._stage, self._figures())
            if not is_ending():  # otherwise what is under way may still end
                self._stage = ""

    @property
    def interrupted(self) -> str:
        """How far an interrupted stage came: `464 of 5,000 runs done`."""
        with self._lock:
            is_counted = self._stage and self._total is not None
            return f"{self._stage}: {self._runs()} done" if is_counted else ""

    def log_line(self) -> None:
        """Log how far the stage under way is."""
        with self._lock:
            if self._stage:
                line = ", ".join(filter(None, (self._figures(), self._left(), _waits())))
                _log.log(self._level, "%s: %s", self._stage, line)

    def _left(self) -> str:
        """The time left of the stage, in words; empty if it is not known."""
        return self._time_left.text(self._total, time.monotonic()) if self._total is not None else ""

    def _runs(self) -> str:
        of = f" of {self._total:,}" if self._total is not None else ""
        return f"{self.runs:,}{of} run{'' if self.runs == 1 and not of else 's'}"

    def _figures(self, shown: Callable[[int], str] = "{:,}".format) -> str:
        parts = [self._runs()]
        if self.rows:
            parts.append(f"{shown(self.rows)} points ({shown(self._rate(self.rows))}/s)")
        if self.bytes:
            parts.append(f"{size(self.bytes)} ({size(self._rate(self.bytes))}/s)")
        return ", ".join(parts)

    def _rate(self, count: int) -> int:
        """How many a second."""
        return round(count / max(time.monotonic() - self._began, 1e-3))


def _waits() -> str:
    """The longest wait for a server, in words; empty if no wait is long."""
    found = longest_wait(_LONG_WAIT)
    return "" if found is None else f"waiting for {one_line(found[0], 80)} ({found[1]:.0f} s)"


def _short(count: int) -> str:
    """`999,999`, `1.23 M`: short, so that all figures and the time left fit into 80 columns."""
    return f"{count:,}" if count < 1_000_000 else size(count).removesuffix("B")


class BarProgress(LoggedProgress):
    """A line with a bar in a terminal, for the stage under way."""

    def __init__(self, console: Console) -> None:
        from rich.live import Live
        from rich.spinner import Spinner

        super().__init__(logging.INFO)
        self._narrow = console.width < _ROOM_FOR_ALL_FIGURES
        console.width -= len("^C")  # a terminal prints it after the bar, and must not wrap the line
        self._spinner = Spinner("dots")
        self.live = Live(console=console, get_renderable=self.line, transient=True)
        """Draws the line four times a second."""

    def line(self) -> RenderableType:
        """The line as it is now; empty between two stages. It takes no lock: `finish` logs while it holds
        that, and a log line waits until this one is drawn."""
        from rich.progress_bar import ProgressBar
        from rich.table import Column, Table
        from rich.text import Text

        if not self._stage:
            return Text()
        text = ": ".join(filter(None, (self._stage, _waits())))
        whole = [Column(no_wrap=True) for _ in range(4)]  # only the text is cut short if the line is too long
        grid = Table.grid(whole[0], Column(), *whole[1:], padding=(0, 1))
        grid.add_row(
            self._spinner,
            Text("stopping…" if is_ending() else text, no_wrap=True, overflow="ellipsis"),
            ProgressBar(self._total, self.runs, width=10 if self._narrow else 20),
            Text(self.shown_figures()),
            Text("" if is_ending() else self._left()),
        )
        return grid

    def shown_figures(self) -> str:
        """The figures that the line has room for."""
        if not self._narrow:
            return self._figures(_short)
        if self.bytes:
            return f"{self._runs()}, {size(self._rate(self.bytes))}/s"
        return f"{self._runs()}, {_short(self._rate(self.rows))} points/s" if self.rows else self._runs()


@contextmanager
def shown_progress(*, quiet: bool) -> Iterator[Progress]:
    """The progress for a job. At the end the screen is cleaned up.

    If the job is interrupted, the last line says how far it came.
    """
    if quiet or not sys.stderr.isatty():
        with _watched(LoggedProgress(logging.INFO if quiet else NOTICE)) as progress:
            yield progress
        return
    from rich.console import Console

    with _watched(BarProgress(Console(stderr=True))) as progress, progress.live:
        yield progress


@contextmanager
def _watched(progress: _Shown) -> Iterator[_Shown]:
    """Log a line every 30 seconds. If the job is interrupted, print how far it came."""
    over = threading.Event()

    def log_lines() -> None:
        while not over.wait(EVERY):
            progress.log_line()

    thread = threading.Thread(target=log_lines, name="progress", daemon=True)
    thread.start()
    try:
        yield progress
    except KeyboardInterrupt:
        if line := progress.interrupted:
            click.echo(line, err=True)
        raise
    finally:
        over.set()
        thread.join()
