"""Writes one run: its content goes to an output, and the files lie beside it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from neptune_exporter.contract import ParameterValue
from neptune_exporter.sinks.points import Points
from neptune_exporter.sinks.received import Entries, FileToSend, HistogramValue
from neptune_exporter.sinks.texts import console_stream
from neptune_exporter_wandb.console import ConsoleLines
from neptune_exporter_wandb.drawn import drawn_histogram, drawn_media
from neptune_exporter_wandb.losses import CONSOLE_PAGE
from neptune_exporter_wandb.outputs import OpenOutput, RunStart
from neptune_exporter_wandb.steps import step_texts
from neptune_exporter_wandb.tables import TableWriter

HISTOGRAMS = "neptune/histograms.jsonl"


class RunWriter:
    """One run. Everything is in place after `finish`.

    Args:
        folder: Of the run; it is there, and empty.
        open_output: Begins what writes the records.
    """

    def __init__(self, folder: Path, start: RunStart, open_output: OpenOutput) -> None:
        self._multiplier = start.multiplier
        self._out = open_output(folder, start)
        self._files = self._out.files
        self._series: set[str] = set()
        self._tables = TableWriter(self._files)
        self._console = ConsoleLines()
        self._not_printed = 0
        self._histograms: BinaryIO | None = None
        self._paths: list[str] = []

    @property
    def rows(self) -> int:
        return self._out.rows

    @property
    def losses(self) -> Mapping[str, int]:
        """What has no place in W&B, by reason."""
        return {**self._out.losses, CONSOLE_PAGE: self._not_printed}

    def _define(self, name: str) -> None:
        if name not in self._series:
            self._series.add(name)
            self._out.define(name)

    def parameters(self, values: Mapping[str, ParameterValue]) -> None:
        self._out.configure(values)

    def points(self, names: Sequence[str], points: Points) -> None:
        for name in names:
            self._define(name)
        self._out.points(names, points)

    def texts(self, entries: Entries[str]) -> None:
        for number in np.unique(entries.series).tolist():
            at = np.flatnonzero(entries.series == number)
            name, times = entries.names[number], entries.time[at].tolist()
            texts = [entries.values[i] for i in at.tolist()]
            self._tables.write(name, step_texts(entries.step[at], self._multiplier), times, texts)
            stream = console_stream(name)
            if stream is not None:
                self._print(name, stream, times, texts)

    def _print(self, name: str, stream: str, times: list[int], texts: list[str]) -> None:
        if self._out.shows_console:
            self._console.write(name, stream, times, texts)
        else:
            self._not_printed += len(texts)

    def histograms(self, entries: Entries[HistogramValue]) -> None:
        if self._histograms is None:
            (self._files / HISTOGRAMS).parent.mkdir(exist_ok=True)
            self._histograms = (self._files / HISTOGRAMS).open("wb")
        steps = step_texts(entries.step, self._multiplier)
        for i, (step, (name, _, time, value)) in enumerate(zip(steps, entries, strict=True)):
            exact = {"name": name, "step": step.decode(), "time": time, **value._asdict()}
            self._histograms.write(json.dumps(exact, ensure_ascii=False).encode() + b"\n")
            drawn = drawn_histogram(value)
            if drawn is not None:
                self._define(name)
                self._out.show(name, drawn, int(entries.step[i]), time)

    def file(self, file: FileToSend) -> None:
        path = self._files / file.unique_name
        path.parent.mkdir(parents=True, exist_ok=True)
        with file.open() as source, path.open("xb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        self._paths.append(file.unique_name)
        if file.step is not None and file.time is not None:
            value = drawn_media(file, path, file.unique_name)
            if value is not None:
                self._define(file.name)
                self._out.show(file.name, value, file.step, file.time)

    def finish(self) -> None:
        """Write what only the end knows: tables, console, the list of files, the exit code."""
        self._tables.close()
        for line in self._console.by_time():
            self._out.print(line)
        for table in self._tables.whole:
            self._out.show(table.name, table.value(), None, table.time)
            self._paths.append(table.path)
        if self._histograms is not None:
            self._histograms.close()
            self._paths.append(HISTOGRAMS)
        self._out.finish(self._paths)
        self._console.close()

    def close(self) -> None:
        """Let go of the files, whatever has been written."""
        self._out.close()
        self._console.close()
        if self._histograms is not None:
            self._histograms.close()
