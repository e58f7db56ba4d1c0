"""Progress on stderr: a bar where there is a terminal, and messages everywhere."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from neptune_exporter.cli.logs import NOTICE
from neptune_exporter.redaction import printable
from neptune_exporter.reporters.table import size

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from neptune_exporter.jobs.progress import Progress

_log = logging.getLogger(__name__)

_LOOKING_BACK = 600.0
"""Seconds from which the time left is judged: a run may take minutes."""
_ROOM_FOR_A_BAR = 120
"""Columns of a terminal. In a narrower one the figures have the room of the bar."""


class LoggedProgress:
    """No bar: messages and finished stages go to the log."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stage = ""
        self._total: int | None = None
        self._began = 0.0
        self.runs = self.rows = self.bytes = 0

    def start(self, stage: str, total: int | None = None) -> None:
        with self._lock:
            self._stage, self._total, self._began = printable(stage), total, time.monotonic()
            self.runs = self.rows = self.bytes = 0

    def advance(self, runs: int = 0, rows: int = 0, bytes: int = 0) -> None:
        with self._lock:
            self.runs += runs
            self.rows += rows
            self.bytes += bytes

    def message(self, text: str) -> None:
        _log.log(NOTICE, "%s", printable(text))

    def finish(self) -> None:
        _log.info("%s: %s", self._stage, self._figures())

    def _figures(self, shown: Callable[[int], str] = "{:,}".format) -> str:
        seconds = max(time.monotonic() - self._began, 1e-3)
        of = f" of {self._total:,}" if self._total is not None else ""
        parts = [f"{self.runs:,}{of} run{'' if self.runs == 1 and not of else 's'}"]
        if self.rows:
            parts.append(f"{shown(self.rows)} points ({shown(round(self.rows / seconds))}/s)")
        if self.bytes:
            parts.append(f"{size(self.bytes)} ({size(int(self.bytes / seconds))}/s)")
        return ", ".join(parts)


def _short(count: int) -> str:
    """`999,999`, `1.23 M`: so that a line of 80 columns holds all figures and the time left."""
    return f"{count:,}" if count < 1_000_000 else size(count).removesuffix("B")


class BarProgress(LoggedProgress):
    """A line with a bar for the stage under way."""

    def __init__(self, bar: Bar) -> None:
        super().__init__()
        self._bar = bar
        self._task: TaskID | None = None

    def start(self, stage: str, total: int | None = None) -> None:
        super().start(stage, total)
        self._end()
        self._task = self._bar.add_task(self._stage, total=total, figures="")

    def advance(self, runs: int = 0, rows: int = 0, bytes: int = 0) -> None:
        super().advance(runs, rows, bytes)
        if self._task is not None:
            self._bar.update(self._task, completed=self.runs, figures=self._figures(_short))

    def finish(self) -> None:
        super().finish()
        self._end()

    def _end(self) -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
            self._task = None


@contextmanager
def shown_progress(*, quiet: bool) -> Iterator[Progress]:
    """The progress to hand to a job; whatever is on the screen is cleaned up at the end."""
    if quiet or not sys.stderr.isatty():
        yield LoggedProgress()
        return
    from rich.console import Console
    from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, Task, TimeRemainingColumn
    from rich.progress import Progress as Bar
    from rich.table import Column
    from rich.text import Text

    class Description(ProgressColumn):
        """Shown as it is, and cut short: it is the only column that gives way."""

        def render(self, task: Task) -> Text:
            return Text(task.description, no_wrap=True, overflow="ellipsis")

    class Figures(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(str(task.fields["figures"]))

    def whole() -> Column:
        return Column(no_wrap=True)

    console = Console(stderr=True)
    bar = Bar(
        SpinnerColumn(table_column=whole()),
        Description(),
        *([BarColumn(20, table_column=whole())] if console.width >= _ROOM_FOR_A_BAR else []),
        Figures(whole()),
        TimeRemainingColumn(table_column=whole()),
        console=console,
        transient=True,
        refresh_per_second=4,
        speed_estimate_period=_LOOKING_BACK,
    )
    with bar:
        yield BarProgress(bar)
