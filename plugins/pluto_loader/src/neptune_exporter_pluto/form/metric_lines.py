"""Points as lines of `/ingest/metrics`: all metrics of a step and time on one line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from neptune_exporter.sinks.points import Points
from neptune_exporter_pluto.form.text import colon_numbers, lines_of, whole_numbers

LINE_BYTES = 60_000
"""Pluto parses very long lines in quadratic time; lines stay below 64 KiB."""
_POINT_BYTES = 26
"""At most so many bytes for a value and its colon."""
WINDOW_POINTS, WINDOW_MEMORY = 1 << 17, 48 << 20
"""At most so many points are encoded at once, within about so many bytes."""
BODY_BYTES = 1 << 20


def cutting() -> tuple[int, ...]:
    """The constants that decide where one request ends and the next begins."""
    return WINDOW_POINTS, WINDOW_MEMORY, BODY_BYTES, LINE_BYTES


class Body(NamedTuple):
    """A request: lines, and how many points they hold."""

    lines: bytes
    points: int


class MetricEncoder:
    """Encodes windows of sorted points.

    Args:
        names: The name of each series in Pluto, by series index.
        flush_steps: Lines that a body holds at least.
        body_bytes: Bytes that a body holds at least, if there is enough to send.
    """

    def __init__(self, names: Sequence[str], flush_steps: int, body_bytes: int) -> None:
        names_json = [orjson.dumps(name) for name in names]
        self._names = pa.array(names_json, pa.binary())
        self._name_bytes = np.array([len(n) for n in names_json], np.int64)
        self._flush_steps = flush_steps
        self._body_bytes = body_bytes
        self._longest = int(self._name_bytes.max(initial=0)) + _POINT_BYTES

    def window_points(self, most: int, memory: int) -> int:
        """How many points may be encoded at once within so much memory."""
        return max(1_000, min(most, memory // (2 * self._longest + 100)))

    def bodies(self, points: Points) -> Iterator[Body]:
        """The request bodies of a window that is sorted by (step, time)."""
        if not len(points):
            return
        first = np.flatnonzero(self._line_starts(points))
        lines = self._regular(points, first)
        if lines is not None:
            ends = np.frombuffer(lines.buffers()[1], np.int32)[: len(lines) + 1].astype(np.int64)
            text = lines_of(lines)
            width = len(points) // len(first)
            for line, end in self._body_bounds(ends):
                yield Body(bytes(text[ends[line] : ends[end]]), (end - line) * width)
            return
        table = pa.concat_arrays([pa.array([b","], pa.binary()), self._heads(points, first, b"}}\n")])
        which = np.zeros(len(points), np.int32)
        which[first] = np.arange(1, len(first) + 1, dtype=np.int32)
        joined = pc.binary_join_element_wise(
            table.take(pa.array(which)),
            self._names.take(pa.array(points.series)),
            colon_numbers(points.value),
            b"",
        )
        yield from self._cut(joined, first)

    def _regular(self, points: Points, first: npt.NDArray[np.intp]) -> pa.Array | None:
        """All lines where each holds the same series in the same order, as most do; else None.

        Their names are the same for a whole column of numbers, which is put together a third faster.
        """
        lines, width = len(first), len(points) // len(first)
        if lines * width != len(points) or np.any(first != np.arange(0, len(points), width)):
            return None
        series = points.series[:width]
        if np.any(points.series.reshape(lines, width) != series):
            return None
        numbers = colon_numbers(points.value.reshape(lines, width).T.ravel())
        columns: list[Any] = [self._heads(points, first, b"")]
        for place, number in enumerate(series.tolist()):
            name = self._names[number].as_py()
            columns += [b"," + name if place else name, numbers.slice(place * lines, lines)]
        return pc.binary_join_element_wise(*columns, b"}}\n", b"")

    def _line_starts(self, points: Points) -> npt.NDArray[np.bool_]:
        """Where a line begins: at a new step or time, and where the line would get too long."""
        starts = np.empty(len(points), np.bool_)
        starts[0] = True
        starts[1:] = (points.step[1:] != points.step[:-1]) | (points.time[1:] != points.time[:-1])
        sizes = np.cumsum(self._name_bytes[points.series] + _POINT_BYTES)
        first = np.flatnonzero(starts)
        before = np.concatenate(([0], sizes))[first]
        lengths = np.diff(np.append(first, len(points)))
        full = (sizes - np.repeat(before, lengths)) // LINE_BYTES
        starts[1:] |= full[1:] != full[:-1]
        return starts

    @staticmethod
    def _heads(points: Points, first: npt.NDArray[np.intp], before: bytes) -> pa.Array:
        """The beginning of each line, after the end of the line before it."""
        return pc.binary_join_element_wise(
            before.decode() + '{"time":',
            whole_numbers(points.time[first]),
            ',"step":',
            whole_numbers(points.step[first]),
            ',"data":{',
            "",
        ).cast(pa.binary())

    def _cut(self, joined: pa.Array, first: npt.NDArray[np.intp]) -> Iterator[Body]:
        """Bodies of whole lines: each begins after the `}}\\n` of the line before, and ends with one."""
        offsets = np.frombuffer(joined.buffers()[1], np.int32)[joined.offset :][: len(joined) + 1]
        line_at = np.append(offsets[first], offsets[-1]).astype(np.int64)
        text = lines_of(joined)
        base = int(line_at[0])
        starts = np.append(first, len(joined))  # a piece is a point
        for line, end in self._body_bounds(line_at):
            lines = b"".join((text[line_at[line] - base + 3 : line_at[end] - base], b"}}\n"))
            yield Body(lines, int(starts[end] - starts[line]))

    def _body_bounds(self, line_at: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
        """First and last line of each body, from where the lines begin."""
        lines, line = len(line_at) - 1, 0
        while line < lines:
            full = int(np.searchsorted(line_at, line_at[line] + self._body_bytes))
            end = min(max(line + self._flush_steps, full), lines)
            if lines - end < self._flush_steps // 2:
                end = lines
            yield line, end
            line = end
