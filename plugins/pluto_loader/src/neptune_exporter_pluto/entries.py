"""String series and histograms of one run as lines of Pluto's ingest, in the order of their rows.

Pluto deduplicates none of them: a load that goes on passes over as many lines as Pluto has. So neither the
lines nor their names may depend on how the rows are cut into batches.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from neptune_exporter.model import AttributeType
from neptune_exporter.sinks import texts
from neptune_exporter.sinks.series import Bools, SeriesRows
from neptune_exporter_pluto.form.content import Content
from neptune_exporter_pluto.form.histograms import draw
from neptune_exporter_pluto.form.ingest_lines import log_rows, object_row, string_rows
from neptune_exporter_pluto.form.losses import LossCode
from neptune_exporter_pluto.form.text import lines_of

TEXTS = STDOUT, STDERR = "logs/stdout", "logs/stderr"
"""The two texts that hold all string series."""
DATA, HISTOGRAM, TABLE = "DATA", "HISTOGRAM", "TABLE"
"""Pluto's types of names."""
_TYPES = (AttributeType.STRING_SERIES, AttributeType.HISTOGRAM_SERIES)
_COLUMNS = ("string_value", "histogram_value")
_EXACT = "/exact"
_MAX_TEXT = 60_000
"""Bytes: longer lines are parsed in quadratic time."""
_CUT_MARK = " … [cut here; the whole text is in {}]"

Stream: TypeAlias = Literal["data", "logs"]
Lines: TypeAlias = "tuple[Stream, pa.Array]"
"""Lines for `/ingest/data` or `/ingest/logs`, each with its line break."""


def console_stream(path: str) -> str | None:
    """`stdout` or `stderr` for a path whose entries are console lines.

    Also for `logs/stdout` and `logs/stderr`, which people write: Pluto's Logs page shows console lines and
    nothing else.
    """
    return path.removeprefix("logs/") if path in (STDOUT, STDERR) else texts.console_stream(path)


@dataclass
class TextFile:
    """One of the texts, gathered in a temporary file."""

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


class Entries:
    """The entries of one run. What it counts and gathers is complete when all lines have been taken."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._names, self._losses = content.names, content.losses
        self.counts: Counter[str] = Counter()
        """Of `string series entries`, `histograms` and `tables`."""
        self.console_lines: dict[str, int] = {}
        """Entries of each console stream."""
        self._texts = {name: TextFile(name, content.folder / name.replace("/", "-")) for name in TEXTS}
        self.texts: list[TextFile] = []
        """The texts that are not empty; their files are closed."""

    def lines(self) -> Iterator[Lines]:
        """All lines. The texts are then in the folder of the content."""
        try:
            for batch in self._content.rows(_TYPES, _COLUMNS):
                is_string = np.asarray(batch.batch.column("string_value").is_valid())
                changes = np.flatnonzero(is_string[1:] != is_string[:-1]) + 1
                for start, stop in itertools.pairwise([0, *changes.tolist(), len(is_string)]):
                    rows = batch.slice(start, stop)
                    yield from self._strings(rows) if is_string[start] else self._histograms(rows)
        finally:
            for text in self._texts.values():
                text.finish()
        self.texts = [text for text in self._texts.values() if text.size]

    @staticmethod
    def _paths(rows: SeriesRows) -> Iterator[str]:
        """The paths in the order in which they first occur."""
        _, first = np.unique(rows.series, return_index=True)
        return (rows.paths[rows.series[row]] for row in np.sort(first))

    # --- string series and console lines

    def _strings(self, rows: SeriesRows) -> Iterator[Lines]:
        # also of rows that Pluto cannot hold: names must not depend on batches
        for path in self._paths(rows):
            if console_stream(path) is None:
                self._names.name(path, DATA, used=False)
        values = texts.as_text(rows, self._losses)
        self._consolidate(rows, values)
        console = np.array([console_stream(path) is not None for path in rows.paths], np.bool_)[rows.series]
        if console.any():
            yield from self._console(rows, values, console)
        if not console.all():
            yield from self._series(rows, values, ~console)

    def _series(self, rows: SeriesRows, values: pa.Array, mine: Bools) -> Iterator[Lines]:
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
        names = [self._names.name(p, DATA) if i in present else "" for i, p in enumerate(rows.paths)]
        self.counts["string series entries"] += len(kept)
        yield "data", string_rows(rows.times[usable], rows.steps.steps[usable], series, names, kept)

    def _cut(self, rows: SeriesRows, series: npt.NDArray[np.int32], kept: pa.Array, long: Bools) -> pa.Array:
        values = kept.to_pylist()
        for index in np.flatnonzero(long):
            mark = _CUT_MARK.format(STDERR if texts.is_error(rows.paths[series[index]]) else STDOUT)
            room = _MAX_TEXT - len(mark.encode())
            values[index] = str(values[index]).encode()[:room].decode("utf-8", "ignore") + mark
        return pa.array(values, pa.string())

    def _console(self, rows: SeriesRows, values: pa.Array, mine: Bools) -> Iterator[Lines]:
        """Lines are numbered by their step, from one, or in their order where they have no usable one."""
        rows.count_early(self._losses, mine)
        series = rows.series[mine]
        numbers = _line_numbers(rows, mine)
        for index in np.unique(series):
            path, of_stream = rows.paths[index], series == index
            before = self.console_lines.get(path, 0)
            unknown = of_stream & (numbers < 0)
            numbers[unknown] = before + 1 + np.flatnonzero(of_stream).searchsorted(np.flatnonzero(unknown))
            self.console_lines[path] = before + int(of_stream.sum())
        levels = pa.array(
            ["ERROR" if console_stream(path) == "stderr" else "INFO" for path in rows.paths], pa.string()
        ).take(pa.array(series))
        messages = values.filter(pa.array(mine))
        yield "logs", log_rows(*_bounded(rows.times[mine], numbers, levels, messages))

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
                self._texts[name].write(lines_of(lines))
            elif mine.any():
                self._texts[name].write(lines_of(lines.filter(pa.array(mine))))

    # --- histograms: each as the drawing that Pluto shows, and as tables where that is not exact

    def _histograms(self, rows: SeriesRows) -> Iterator[Lines]:
        for path in self._paths(rows):  # whichever of both its histograms turn out to need
            self._names.name(path, HISTOGRAM, used=False)
            self._names.name(path + _EXACT, TABLE, used=False)
        rows.count_unusable(self._losses)
        column = rows.batch.column("histogram_value")
        kinds = column.field("type").to_pylist()
        edges, values = column.field("edges"), column.field("values")
        lines: list[bytes] = []
        for row in np.flatnonzero(rows.steps.usable):
            path = rows.paths[rows.series[row]]
            at, step = int(rows.times[row]), int(rows.steps.steps[row])
            drawing = draw(kinds[row] or "", _numbers(edges[row]), _numbers(values[row]))
            if drawing.histogram is not None:
                name = self._names.name(path, HISTOGRAM)
                lines.append(object_row(at, step, HISTOGRAM, name, drawing.histogram))
                self.counts["histograms"] += 1
            if drawing.tables:
                drawn = drawing.histogram is not None
                code = LossCode.HISTOGRAM_REDRAWN if drawn else LossCode.HISTOGRAM_NOT_DRAWN
                self._losses.add(code, 1, path)
            for table in drawing.tables:
                name = self._names.name(path + _EXACT, TABLE)
                lines.append(object_row(at, step, TABLE, name, table))
                self.counts["tables"] += 1
        if lines:
            yield "data", pa.array(lines, pa.binary()).cast(pa.string())


def _line_numbers(rows: SeriesRows, mine: Bools) -> npt.NDArray[np.int64]:
    """Whole steps plus one; -1 where the step is missing, negative or not whole."""
    steps = rows.batch.column("step").filter(pa.array(mine))
    whole = pc.equal(pc.floor(steps), steps)
    usable = pc.fill_null(pc.and_(whole, pc.greater_equal(steps, pa.scalar(0))), False)
    numbers = pc.if_else(usable, pc.floor(steps), pa.scalar(None, steps.type)).cast(pa.int64(), safe=False)
    return np.array(pc.fill_null(pc.add(numbers, 1), -1), np.int64)


def _bounded(
    times: npt.NDArray[np.int64], numbers: npt.NDArray[np.int64], levels: pa.Array, messages: pa.Array
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], pa.Array, pa.Array]:
    """The lines, those that are too long cut into several of one number."""
    long = np.asarray(pc.fill_null(pc.greater(pc.binary_length(messages), _MAX_TEXT), False))
    if not long.any():
        return times, numbers, levels, pc.fill_null(messages, "")
    which: list[int] = []
    parts: list[str] = []
    for index, message in enumerate(messages.to_pylist()):
        pieces = _pieces(message or "")
        parts += pieces
        which += [index] * len(pieces)
    return times[which], numbers[which], levels.take(pa.array(which)), pa.array(parts, pa.string())


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


def _numbers(scalar: pa.Scalar) -> Any:
    values = scalar.values
    return np.asarray([] if values is None else values.to_numpy(zero_copy_only=False), np.float64)
