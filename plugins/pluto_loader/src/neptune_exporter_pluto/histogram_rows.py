"""Histogram series: each as the drawing that Pluto shows, and as tables where that is not exact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from neptune_exporter.sinks.names import NameBook
from neptune_exporter.sinks.series import SeriesRows
from neptune_exporter_pluto.form.histograms import draw
from neptune_exporter_pluto.form.ingest_lines import object_row
from neptune_exporter_pluto.form.losses import LossBook, LossCode

HISTOGRAM, TABLE = "HISTOGRAM", "TABLE"
_EXACT = "/exact"


class HistogramStream:
    """Turns rows of histogram series into data lines.

    Args:
        to_data: Takes lines for `/ingest/data`.
    """

    def __init__(self, names: NameBook, losses: LossBook, to_data: Callable[[pa.Array], None]) -> None:
        self._names = names
        self._losses = losses
        self._to_data = to_data
        self.counts: Counter[str] = Counter()
        """Of `histograms` and `tables`."""

    def take(self, rows: SeriesRows) -> None:
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
            self._to_data(pa.array(lines, pa.binary()).cast(pa.string()))


def reserve(names: NameBook, path: str) -> None:
    """Set the names of a series aside, whichever of them its histograms turn out to need."""
    names.name(path, HISTOGRAM, used=False)
    names.name(path + _EXACT, TABLE, used=False)


def _numbers(scalar: pa.Scalar) -> Any:
    values = scalar.values
    return np.asarray([] if values is None else values.to_numpy(zero_copy_only=False), np.float64)
