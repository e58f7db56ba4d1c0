"""The rows of one run that Pluto never deduplicates: a load that goes on counts how many it has."""

from __future__ import annotations

from pathlib import Path

import pytest

from neptune_exporter.model import RunKey
from neptune_exporter.sinks.steps import Multiplier
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.runs import SampleHistogram, SampleRun, histogram_series, string_series
from neptune_exporter_pluto.entries import Entries
from neptune_exporter_pluto.form.content import Content
from neptune_exporter_pluto.form.losses import LossBook
from neptune_exporter_pluto.form.section import ContentOptions

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
    options = ContentOptions("", 1, 0)
    content = Content(MemoryRun(RUN), Multiplier.of(1), 0, batch_rows, options, LossBook(KEY), folder)
    return [line for _, lines in Entries(content).lines() for line in lines.to_pylist()]


@pytest.mark.parametrize("batch_rows", [1, 7, 33])
def test_their_order_does_not_hang_on_how_many_are_read_at_a_time(tmp_path: Path, batch_rows: int) -> None:
    whole = lines(tmp_path, 1_000)
    assert len(whole) == 74
    assert lines(tmp_path, batch_rows) == whole
