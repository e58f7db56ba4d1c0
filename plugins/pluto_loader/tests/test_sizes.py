"""How much is read, held and sent at once: what `BATCH_ROWS` and `FLUSH_EVERY` say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from neptune_exporter.model import RunKey
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.runs import SampleRun, float_series, string_series
from neptune_exporter_pluto.form import metric_lines
from neptune_exporter_pluto_server import RehearsalServer

from .conftest import MakeSink

RUN = SampleRun(
    RunKey("acme/vision", "RUN-1"),
    (
        float_series("loss", ((step, step / 7) for step in range(4_000))),
        string_series("notes", ((step, "a note") for step in range(2_500))),
    ),
)


class Watched(MemoryRun):
    """Notes how many rows with values were handed out at a time."""

    def __init__(self) -> None:
        super().__init__(RUN)
        self.largest = 0

    def batches(self, *args: Any, **options: Any) -> Iterator[pa.RecordBatch]:
        for batch in super().batches(*args, **options):
            if set(batch.schema.names) & {"float_value", "string_value"}:
                self.largest = max(self.largest, batch.num_rows)
            yield batch


@pytest.mark.parametrize(("batch_rows", "largest"), [(1_000, 1_000), (3_000, 3_000), (10_000, 4_000)])
def test_so_many_rows_are_read_at_a_time(make_sink: MakeSink, batch_rows: int, largest: int) -> None:
    run = Watched()
    assert make_sink(batch_rows=batch_rows).load(run, None).counts["points"] == 4_000
    assert run.largest == largest


@pytest.mark.parametrize(("flush_every", "requests"), [(100, 40), (1_000, 4), (4_000, 1)])
def test_a_request_holds_so_many_steps_at_least(
    server: RehearsalServer,
    make_sink: MakeSink,
    monkeypatch: pytest.MonkeyPatch,
    flush_every: int,
    requests: int,
) -> None:
    """It holds more where they are small: a body is a megabyte or so, and here next to nothing."""
    monkeypatch.setattr(metric_lines, "BODY_BYTES", 1)
    make_sink(flush_every=flush_every).load(MemoryRun(RUN), None)
    assert sum(request.path == "/ingest/metrics" for request in server.requests) == requests
