"""What a run printed, of several streams, in the order in which it was printed: W&B has one page for all."""

from __future__ import annotations

import contextlib
import heapq
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple


class ConsoleLine(NamedTuple):
    """What was printed at a time, with its end of line."""

    time: int
    """ms since 1970."""
    stream: str
    """`stdout` or `stderr`."""
    text: str


class ConsoleLines:
    """Takes series of lines, one after the other, and gives them back by time.

    Lines of one series keep their order, and a line without an end of line gets one. They wait in files, as
    a run may have printed more than fits into memory.
    """

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._files: dict[str, tuple[str, BinaryIO]] = {}

    def write(self, series: str, stream: str, times: Iterable[int], texts: Iterable[str]) -> None:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="neptune-exporter-"))
        if series not in self._files:
            self._files[series] = stream, (self._folder / str(len(self._files))).open("w+b")
        _, file = self._files[series]
        for time, text in zip(times, texts, strict=True):
            file.write(json.dumps((time, text if text.endswith("\n") else text + "\n")).encode() + b"\n")

    def by_time(self) -> Iterator[ConsoleLine]:
        """All lines, once, when everything is written."""
        return heapq.merge(*(_lines(*each) for each in self._files.values()), key=lambda line: line.time)

    def close(self) -> None:
        with contextlib.ExitStack() as stack:
            if self._folder is not None:
                stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
            for _, file in self._files.values():
                stack.callback(file.close)
        self._files.clear()


def _lines(stream: str, file: BinaryIO) -> Iterator[ConsoleLine]:
    file.seek(0)
    for line in file:
        time, text = json.loads(line)
        yield ConsoleLine(time, stream, text)
