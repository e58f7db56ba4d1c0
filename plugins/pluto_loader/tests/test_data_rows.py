"""The rows of one run that Pluto never deduplicates: a load that goes on counts how many it has."""

from __future__ import annotations

from pathlib import Path

import pytest

from neptune_exporter.model import RunKey
from neptune_exporter.sinks.names import NameBook
from neptune_exporter.sinks.steps import Multiplier
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.runs import SampleHistogram, SampleRun, histogram_series, string_series
from neptune_exporter_pluto.data_rows import ROW_COLUMNS, ROW_TYPES, take_rows
from neptune_exporter_pluto.form.limits import NAME, pluto_rows
from neptune_exporter_pluto.form.losses import LossBook
from neptune_exporter_pluto.histogram_rows import HistogramStream
from neptune_exporter_pluto.strings import StringStreams

KEY = RunKey("acme/vision", "RUN-1")
HISTOGRAM = SampleHistogram((0.0, 0.5, 1.0), (1.0, 2.0))
RUN = SampleRun(
    KEY,
    (
        string_series("a/notes", ((step, f"note {step}") for step in range(30))),
        histogram_series("b/weights", ((step, HISTOGRAM) for step in range(7))),
        string_series("c/notes", ((step, f"another {step}") for step in range(30))),
        histogram_series("d/weights", ((step, HISTOGRAM) for step in range(7))),
    ),
)


def lines(folder: Path, batch_rows: int) -> list[str]:
    found: list[str] = []
    names, losses = NameBook(NAME), LossBook(KEY)
    streams = StringStreams(names, losses, folder, lambda new: found.extend(new.to_pylist()), print)
    histograms = HistogramStream(names, losses, lambda new: found.extend(new.to_pylist()))
    rows = pluto_rows(MemoryRun(RUN), ROW_TYPES, ROW_COLUMNS, Multiplier.of(1), batch_rows, 0)
    take_rows(rows, names, streams, histograms)
    streams.close()
    return found


@pytest.mark.parametrize("batch_rows", [1, 7, 33])
def test_their_order_does_not_hang_on_how_many_are_read_at_a_time(tmp_path: Path, batch_rows: int) -> None:
    whole = lines(tmp_path, 1_000)
    assert len(whole) == 74
    assert lines(tmp_path, batch_rows) == whole
