"""String series: entries of a series, console lines, and the two texts that hold all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from neptune_exporter.sinks import texts
from neptune_exporter.sinks.names import NameBook
from neptune_exporter.sinks.series import Bools, SeriesRows
from neptune_exporter_pluto.form.ingest_lines import log_rows, string_rows
from neptune_exporter_pluto.form.losses import LossBook, LossCode
from neptune_exporter_pluto.form.text import lines_of

STDOUT, STDERR = "logs/stdout", "logs/stderr"
LOG_TYPE = "DATA"
_MAX_TEXT = 60_000
"""Bytes: longer lines are parsed in quadratic time."""
_CUT_MARK = " … [cut here; the whole text is in {}]"


def console_stream(path: str) -> str | None:
    """`stdout` or `stderr` for a path whose entries are console lines.

    Also for `logs/stdout` and `logs/stderr`, which people write: Pluto's Logs page shows console lines and
    nothing else.
    """
    return path.removeprefix("logs/") if path in (STDOUT, STDERR) else texts.console_stream(path)


@dataclass
class TextFile:
    """One of the two texts, gathered in a temporary file."""

    name: str
    path: Path
    file: BinaryIO | None = None
    size: int = 0

    def write(self, content: memoryview) -> None:
        if self.file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.file = self.path.open("wb")
        self.file.write(content)
        self.size += len(content)

    def finish(self) -> None:
        if self.file is not None:
            self.file.close()

    def open(self) -> BinaryIO:
        return self.path.open("rb")

    def remove(self) -> None:
        self.finish()
        self.path.unlink(missing_ok=True)


def reserve(names: NameBook, path: str) -> None:
    """Set the name of a series aside."""
    if console_stream(path) is None:
        names.name(path, LOG_TYPE, used=False)


class StringStreams:
    """Turns rows of string series into data lines, log lines and the two texts.

    Args:
        to_data: Takes lines for `/ingest/data`.
        to_logs: Takes lines for `/ingest/logs`.
    """

    def __init__(
        self,
        names: NameBook,
        losses: LossBook,
        folder: Path,
        to_data: Callable[[pa.Array], None],
        to_logs: Callable[[pa.Array], None],
    ) -> None:
        self._names = names
        self._losses = losses
        self._to_data = to_data
        self._to_logs = to_logs
        self._lines: dict[str, int] = {}
        self.texts = {name: TextFile(name, folder / name.replace("/", "-")) for name in (STDOUT, STDERR)}
        self.entries = 0

    @property
    def console_lines(self) -> dict[str, int]:
        """Entries of each console stream."""
        return self._lines

    def take(self, rows: SeriesRows) -> None:
        values = texts.as_text(rows, self._losses)
        self._consolidate(rows, values)
        console = np.array([console_stream(path) is not None for path in rows.paths], np.bool_)[rows.series]
        if console.any():
            self._take_console(rows, values, console)
        if not console.all():
            self._take_series(rows, values, ~console)

    def _take_series(self, rows: SeriesRows, values: pa.Array, mine: Bools) -> None:
        rows.count_unusable(self._losses, mine)
        usable = mine & rows.steps.usable
        if not usable.any():
            return
        where = pa.array(usable)
        series = rows.series[usable]
        kept = values.filter(where)
        long = np.asarray(pc.greater(pc.binary_length(kept), _MAX_TEXT))
        if long.any():
            rows.count(_spread(usable, long), LossCode.LONG_TEXT, self._losses)
            kept = self._cut(rows, series, kept, long)
        present = set(np.unique(series).tolist())
        names = [self._names.name(p, LOG_TYPE) if i in present else "" for i, p in enumerate(rows.paths)]
        self.entries += len(kept)
        self._to_data(string_rows(rows.times[usable], rows.steps.steps[usable], series, names, kept))

    def _cut(self, rows: SeriesRows, series: npt.NDArray[np.int32], kept: pa.Array, long: Bools) -> pa.Array:
        values = kept.to_pylist()
        for index in np.flatnonzero(long):
            mark = _CUT_MARK.format(STDERR if texts.is_error(rows.paths[series[index]]) else STDOUT)
            room = _MAX_TEXT - len(mark.encode())
            values[index] = str(values[index]).encode()[:room].decode("utf-8", "ignore") + mark
        return pa.array(values, pa.string())

    def _take_console(self, rows: SeriesRows, values: pa.Array, mine: Bools) -> None:
        """Lines are numbered by their step, from one, or in their order where they have no usable one."""
        series = rows.series[mine]
        numbers = _line_numbers(rows, mine)
        for index in np.unique(series):
            path, of_stream = rows.paths[index], series == index
            before = self._lines.get(path, 0)
            unknown = of_stream & (numbers < 0)
            numbers[unknown] = before + 1 + np.flatnonzero(of_stream).searchsorted(np.flatnonzero(unknown))
            self._lines[path] = before + int(of_stream.sum())
        levels = pa.array(
            ["ERROR" if console_stream(path) == "stderr" else "INFO" for path in rows.paths], pa.string()
        ).take(pa.array(series))
        for times, number, level, messages in _bounded(
            rows.times[mine], numbers, levels, values.filter(pa.array(mine))
        ):
            self._to_logs(log_rows(times, number, level, messages))

    def _consolidate(self, rows: SeriesRows, values: pa.Array) -> None:
        steps = texts.step_texts(rows.batch)
        times = pc.fill_null(
            pc.strftime(rows.batch.column("timestamp").cast(pa.timestamp("ms")), "%Y-%m-%dT%H:%M:%SZ"), ""
        )
        paths = pa.array(rows.paths, pa.string()).take(pa.array(rows.series))
        lines = pc.binary_join_element_wise(times, paths, steps, pc.fill_null(values, ""), "\t")
        lines = pc.binary_join_element_wise(lines, "\n", "")
        errors = np.array([texts.is_error(path) for path in rows.paths], np.bool_)[rows.series]
        for name, mine in ((STDERR, errors), (STDOUT, ~errors)):
            if mine.all():
                self.texts[name].write(lines_of(lines))
            elif mine.any():
                self.texts[name].write(lines_of(lines.filter(pa.array(mine))))

    def close(self) -> None:
        for text in self.texts.values():
            text.remove()


def _line_numbers(rows: SeriesRows, mine: Bools) -> npt.NDArray[np.int64]:
    """Whole steps plus one; -1 where the step is missing, negative or not whole."""
    steps = rows.batch.column("step").filter(pa.array(mine))
    whole = pc.equal(pc.floor(steps), steps)
    usable = pc.fill_null(pc.and_(whole, pc.greater_equal(steps, pa.scalar(0))), False)
    numbers = pc.if_else(usable, pc.floor(steps), pa.scalar(None, steps.type)).cast(pa.int64(), safe=False)
    return np.array(pc.fill_null(pc.add(numbers, 1), -1), np.int64)


def _bounded(
    times: npt.NDArray[np.int64], numbers: npt.NDArray[np.int64], levels: pa.Array, messages: pa.Array
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], pa.Array, pa.Array]]:
    """The lines, those that are too long cut into several of one number."""
    long = np.asarray(pc.fill_null(pc.greater(pc.binary_length(messages), _MAX_TEXT), False))
    if not long.any():
        yield times, numbers, levels, pc.fill_null(messages, "")
        return
    which: list[int] = []
    parts: list[str] = []
    for index, message in enumerate(messages.to_pylist()):
        pieces = _pieces(message or "")
        parts += pieces
        which += [index] * len(pieces)
    yield times[which], numbers[which], levels.take(pa.array(which)), pa.array(parts, pa.string())


def _pieces(text: str) -> list[str]:
    """A text in pieces of at most the allowed bytes, whole characters each."""
    data, pieces = text.encode(), []
    while len(data) > _MAX_TEXT:
        end = _MAX_TEXT
        while data[end] & 0xC0 == 0x80:  # inside of a character
            end -= 1
        pieces.append(data[:end].decode())
        data = data[end:]
    return [*pieces, data.decode()]


def _spread(where: Bools, inner: Bools) -> Bools:
    """A mask over the rows selected by `where`, as a mask over all rows."""
    spread = np.zeros(len(where), np.bool_)
    spread[np.flatnonzero(where)[inner]] = True
    return spread
