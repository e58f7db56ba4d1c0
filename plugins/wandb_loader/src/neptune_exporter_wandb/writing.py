"""Writes one run: a subclass writes the records, and the files lie beside them."""

from __future__ import annotations

import heapq
import json
import shutil
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from neptune_exporter.contract import ParameterValue
from neptune_exporter.sinks.losses import COMMON_MESSAGES
from neptune_exporter.sinks.metadata import RunMetadata
from neptune_exporter.sinks.points import Points
from neptune_exporter.sinks.received import Entries, FileToSend, HistogramValue
from neptune_exporter.sinks.steps import Multiplier
from neptune_exporter.sinks.texts import console_stream
from neptune_exporter_wandb.drawn import drawn_histogram, drawn_media
from neptune_exporter_wandb.steps import step_texts
from neptune_exporter_wandb.tables import TableWriter, read_table

HISTOGRAMS = "neptune/histograms.jsonl"
START_TIME = "start-time"
CONSOLE_PAGE = "console-page"
STEP_AXIS = "step-axis"

MESSAGES: Mapping[str, str] = {
    **COMMON_MESSAGES,
    START_TIME: "wandb's SDK stores the time of the load as start and duration; the config has Neptune's",
    CONSOLE_PAGE: "wandb's SDK stores no line with its time: not on the page Logs, only in the run's tables",
    STEP_AXIS: "wandb's SDK takes * in a name for a pattern: the chart's x axis is W&B's step, not Neptune's",
}
"""What a run loses where wandb's SDK writes it."""


@dataclass(frozen=True)
class RunStart:
    """What is known of a run before its content."""

    run: RunMetadata
    run_id: str
    project: str
    """With entity and group: where the run goes in W&B."""
    entity: str
    group: str
    multiplier: Multiplier


class ConsoleLine(NamedTuple):
    """A line that a run printed, with its end of line."""

    time: int
    """ms since 1970."""
    stream: str
    """`stdout` or `stderr`."""
    text: str


class RunWriter(ABC):
    """One run, in a folder that is empty. Everything is in place after `finish`."""

    def __init__(self, folder: Path, start: RunStart) -> None:
        self.start, self.run = start, start.run
        self.rows = 0
        self.losses: Counter[str] = Counter()
        """What has no place in W&B, by reason; see `MESSAGES`."""
        self.files = self.open(folder)
        self._defined: set[str] = set()
        self._tables = TableWriter(self.files)
        self._histograms: BinaryIO | None = None
        self._paths: list[str] = []

    # --- what a subclass writes

    @abstractmethod
    def open(self, folder: Path) -> Path:
        """Begin the run; returns the folder for its files."""

    @abstractmethod
    def parameters(self, values: Mapping[str, ParameterValue]) -> None:
        """Add to the config."""

    @abstractmethod
    def define(self, name: str) -> None:
        """Make Neptune's steps the x axis of a series' charts."""

    @abstractmethod
    def write_points(self, names: Sequence[str], points: Points) -> None:
        """Write points in the order of steps and times. All `names` are defined already."""

    @abstractmethod
    def show(self, name: str, value: Mapping[str, Any], step: int | None, time: int) -> None:
        """Write a row with one value that has parts.

        Args:
            step: Multiplied; None for a row without a step.
            time: In ms since 1970.
        """

    @abstractmethod
    def print(self, lines: Iterable[ConsoleLine]) -> None:
        """Show the lines of the console on the page Logs. They are read from tables as they are taken."""

    @abstractmethod
    def end(self, paths: Sequence[str]) -> None:
        """Write what only the end knows, such as the paths of all files to send within the folder `files`."""

    # --- what the loader hands over

    def points(self, names: Sequence[str], points: Points) -> None:
        for name in names:
            self._define(name)
        self.write_points(names, points)

    def _define(self, name: str) -> None:
        if name not in self._defined:
            self._defined.add(name)
            self.define(name)

    def texts(self, entries: Entries[str]) -> None:
        for number in np.unique(entries.series).tolist():
            at = np.flatnonzero(entries.series == number)
            texts = [entries.values[i] for i in at.tolist()]
            steps = step_texts(entries.step[at], self.start.multiplier)
            self._tables.write(entries.names[number], steps, entries.time[at].tolist(), texts)

    def histograms(self, entries: Entries[HistogramValue]) -> None:
        if self._histograms is None:
            (self.files / HISTOGRAMS).parent.mkdir(exist_ok=True)
            self._histograms = (self.files / HISTOGRAMS).open("wb")
        steps = step_texts(entries.step, self.start.multiplier)
        for text, (name, step, time, value) in zip(steps, entries, strict=True):
            exact = {"name": name, "step": text.decode(), "time": time, **value._asdict()}
            self._histograms.write(json.dumps(exact, ensure_ascii=False).encode() + b"\n")
            self._draw(name, drawn_histogram(value), step, time)

    def file(self, file: FileToSend) -> None:
        path = self.files / file.unique_name
        path.parent.mkdir(parents=True, exist_ok=True)
        with file.open() as source, path.open("xb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        self._paths.append(file.unique_name)
        if file.step is not None and file.time is not None:
            self._draw(file.name, drawn_media(file, path, file.unique_name), file.step, file.time)

    def _draw(self, name: str, value: Mapping[str, Any] | None, step: int, time: int) -> None:
        if value is not None:
            self._define(name)
            self.show(name, value, step, time)

    def finish(self) -> None:
        """Write what only the end knows: console, tables, the list of files, the exit code."""
        self._tables.close()
        self.print(self._console())
        for table in self._tables.whole:
            self.show(table.name, table.value(), None, table.time)
            self._paths.append(table.path)
        if self._histograms is not None:
            self._histograms.close()
            self._paths.append(HISTOGRAMS)
        self.end(self._paths)

    def _console(self) -> Iterator[ConsoleLine]:
        """What all streams printed, by time: W&B has one page for it. Lines of a series keep their order."""
        tables: dict[str, list[Path]] = {}
        for table in self._tables.whole:
            if console_stream(table.name) is not None:
                tables.setdefault(table.name, []).append(self.files / table.path)
        return heapq.merge(
            *(_lines(name, paths) for name, paths in tables.items()), key=lambda line: line.time
        )

    def close(self) -> None:
        """Let go of the files, whatever has been written."""
        if self._histograms is not None:
            self._histograms.close()


def _lines(name: str, tables: Sequence[Path]) -> Iterator[ConsoleLine]:
    stream = console_stream(name) or ""
    for table in tables:
        for _, time, text in read_table(table):
            yield ConsoleLine(time, stream, text if text.endswith("\n") else f"{text}\n")
