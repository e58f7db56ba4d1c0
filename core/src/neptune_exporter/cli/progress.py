"""Progress on stderr: a bar in a terminal, a line every 30 seconds elsewhere, and messages everywhere."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from neptune_exporter.cli.logs import NOTICE
from neptune_exporter.cli.time_left import TimeLeft
from neptune_exporter.interruption import is_ending
from neptune_exporter.redaction import one_line, printable
from neptune_exporter.reporters.table import size
from neptune_exporter.toolkit import longest_wait

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from neptune_exporter.jobs.progress import Progress

_log = logging.getLogger(__name__)

EVERY = 30.0
"""Seconds between two lines of progress in a log."""
_LONG_WAIT = 10.0
"""Seconds from which on a wait for a server is shown."""
_ROOM_FOR_ALL_FIGURES = 120
"""Columns of a terminal. In a narrower one the bar is short, and of points and bytes only a rate is shown."""


class LoggedProgress:
    """No bar: messages, finished stages and a line every 30 seconds go to the log.

    Args:
        level: The level of these lines: a notice if there is no bar, INFO beside one.
    """

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
    """A line with a bar for the stage under way."""

    def __init__(self, bar: Bar, *, narrow: bool = False) -> None:
        super().__init__(logging.INFO)
        self._bar = bar
        self._narrow = narrow
        self._task: TaskID | None = None

    def start(self, stage: str, total: int | None = None) -> None:
        super().start(stage, total)
        self._end()
        self._task = self._bar.add_task(self._stage, total=total, progress=self)

    def advance(self, runs: int = 0, rows: int = 0, bytes: int = 0) -> None:
        super().advance(runs, rows, bytes)
        if self._task is not None:
            self._bar.update(self._task, completed=self.runs)

    def finish(self) -> None:
        super().finish()
        if not is_ending():  # otherwise the line says "stopping…" until what is under way has ended
            self._end()

    def shown_figures(self) -> str:
        """The figures that the line has room for."""
        with self._lock:
            if not self._narrow:
                return self._figures(_short)
            if self.bytes:
                return f"{self._runs()}, {size(self._rate(self.bytes))}/s"
            return f"{self._runs()}, {_short(self._rate(self.rows))} points/s" if self.rows else self._runs()

    def shown_left(self) -> str:
        """The time left."""
        with self._lock:
            return "" if is_ending() else self._left()

    def _end(self) -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
            self._task = None


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

    console = Console(stderr=True)
    narrow = console.width < _ROOM_FOR_ALL_FIGURES
    console.width -= len("^C")  # a terminal prints it after the bar, and must not wrap the line
    bar = _bar(console, narrow=narrow)
    with _watched(BarProgress(bar, narrow=narrow)) as progress, bar:
        yield progress


@contextmanager
def _watched(progress: LoggedProgress) -> Iterator[LoggedProgress]:
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


def _bar(console: Console, *, narrow: bool) -> Bar:
    from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, Task
    from rich.progress import Progress as Bar
    from rich.table import Column
    from rich.text import Text

    class Description(ProgressColumn):
        """The only column that is cut short if the line is too long."""

        max_refresh = None

        def render(self, task: Task) -> Text:
            waits = _waits()
            text = f"{task.description}: {waits}" if waits else task.description
            if is_ending():
                text = "stopping…"
            return Text(text, no_wrap=True, overflow="ellipsis")

    class Figures(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(task.fields["progress"].shown_figures())

    class Left(ProgressColumn):
        max_refresh = 1.0

        def render(self, task: Task) -> Text:
            return Text(task.fields["progress"].shown_left())

    def whole() -> Column:
        return Column(no_wrap=True)

    return Bar(
        SpinnerColumn(table_column=whole()),
        Description(),
        BarColumn(10 if narrow else 20, table_column=whole()),
        Figures(whole()),
        Left(whole()),
        console=console,
        transient=True,
        refresh_per_second=4,
    )
