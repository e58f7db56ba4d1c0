"""A run that is loaded alone has its metrics read while its other rows are sent, and is no other for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator
from typing import Any

import pyarrow as pa
import pytest

from neptune_exporter.contract import AuthenticationError, DatasetError, SinkError
from neptune_exporter.model import AttributeType
from neptune_exporter.sinks.losses import CommonLoss
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.loopback import Fault
from neptune_exporter.testing.runs import SampleRun, float_series, string_series
from neptune_exporter_pluto import sending
from neptune_exporter_pluto_server import RehearsalServer

from .conftest import MakeSink
from .reading import read_run
from .samples import KEY, losses_of, sample

POINTS = 100


@pytest.fixture(autouse=True)
def every_run_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "_FEW_ROWS", 0)


class WatchedRun(MemoryRun):
    """Tells which threads read it, and how many batches of metrics.

    Args:
        run: What it holds.
        wait_for: Set once the metrics behind the first batch may be read; each then takes its time.
        broken: Its metrics cannot be read.
    """

    def __init__(
        self, run: SampleRun, wait_for: threading.Event | None = None, *, broken: bool = False
    ) -> None:
        super().__init__(run)
        self.threads: dict[AttributeType, str] = {}
        self.metric_batches = 0
        self._wait_for = wait_for
        self._broken = broken

    def batches(
        self, types: Collection[AttributeType] | None = None, **options: Any
    ) -> Iterator[pa.RecordBatch]:
        self.threads |= dict.fromkeys(types or (), threading.current_thread().name)
        wanted = set(types or ()) == {AttributeType.FLOAT_SERIES}
        if wanted and self._broken:
            raise DatasetError("a part is damaged")
        for batch in super().batches(types, **options | ({"batch_rows": 1} if wanted else {})):
            self.metric_batches += wanted
            yield batch
            if wanted and self._wait_for is not None:
                assert self._wait_for.wait(10)
                time.sleep(0.05)


def mixed() -> SampleRun:
    return sample(
        float_series("loss", [*((step, float(step)) for step in range(POINTS)), (-1, 0.0)]),
        string_series("notes", [(step, f"text {step}") for step in range(10)] + [(-1, "before")]),
    )


@pytest.mark.parametrize("alone", [True, False])
def test_a_run_is_the_same_whether_others_are_loaded_or_not(
    make_sink: MakeSink, server: RehearsalServer, alone: bool
) -> None:
    sink, run = make_sink(), WatchedRun(mixed())
    if alone:
        loaded = sink.load(run, None)
    else:
        with sink.session.loading():
            loaded = sink.load(run, None)
    same = run.threads[AttributeType.STRING_SERIES] == run.threads[AttributeType.FLOAT_SERIES]
    assert same is not alone
    arrived = read_run(server, KEY.project_id, int(loaded.target_id))
    assert [step for step, *_ in arrived.points["loss"]] == list(range(POINTS))
    assert len(arrived.texts["notes"]) == 10
    negative = str(CommonLoss.NEGATIVE_STEP)
    assert losses_of(loaded) == {(negative, "loss"): 1, (negative, "notes"): 1}


def test_what_cannot_be_read_ends_the_load_also_when_it_is_read_beside(make_sink: MakeSink) -> None:
    with pytest.raises(DatasetError, match="a part is damaged"):
        make_sink().load(WatchedRun(mixed(), broken=True), None)
    assert not make_sink().load(WatchedRun(mixed()), None).already_loaded


def test_what_sending_raises_goes_before_what_reading_does(
    make_sink: MakeSink, server: RehearsalServer
) -> None:
    """It may say that the key is refused, or that the run has to be loaded anew."""
    server.fail(Fault("/ingest/data", status=401, times=10))
    with pytest.raises(AuthenticationError):
        make_sink().load(WatchedRun(mixed(), broken=True), None)


def test_nothing_more_is_read_once_rows_were_refused(make_sink: MakeSink, server: RehearsalServer) -> None:
    refused = threading.Event()
    run = WatchedRun(mixed(), refused)

    def refuse(request: Any) -> bool:
        refused.set()
        return True

    server.fail(Fault("/ingest/data", status=400, body=b"refused", where=refuse, times=10))
    with pytest.raises(SinkError):
        make_sink().load(run, None)
    assert 0 < run.metric_batches < POINTS
