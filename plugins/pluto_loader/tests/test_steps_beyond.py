"""Pluto rounds steps above 2**53 wherever it shows them: none is sent that it would show as another."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from neptune_exporter.model import RunKey
from neptune_exporter.sinks.steps import Multiplier
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.runs import SampleRun, float_series
from neptune_exporter_pluto.form.limits import shown_step
from neptune_exporter_pluto.verify import points
from neptune_exporter_pluto_server import RehearsalServer

from .conftest import MakeSink
from .posting import post

KEY = RunKey("acme/vision", "RUN-1")
NANOSECONDS = [1_700_000_000_000_000_001.0 + 1_000_000 * n for n in range(250)]


def run_of(steps: Sequence[float]) -> MemoryRun:
    return MemoryRun(
        SampleRun(KEY, (float_series("loss", [(step, float(n)) for n, step in enumerate(steps)]),))
    )


@pytest.mark.parametrize(
    ("steps", "multiplier", "cut"),
    [
        ((0.1, 0.25), "100", 0),
        ((1 / 3, 0.5), "10000000000000000", 0),  # 3333333333333333 is below 2**53
        ((1 / 3, 1.0000001), "1000000000000000", 1),
        ((2 / 3 * 1e6, 0.5), "10000000000", 0),
    ],
)
def test_the_multiplier_leads_no_step_beyond(
    server: RehearsalServer, make_sink: MakeSink, steps: tuple[float, ...], multiplier: str, cut: int
) -> None:
    sink, run = make_sink(), run_of(steps)
    loaded = sink.load(run, None)
    assert sum(loss.count for loss in loaded.losses if loss.reason == "fractional-step") == cut
    assert str(sink.session.multipliers[KEY]) == multiplier
    sent = server.store.points.series(server.key(int(loaded.target_id)), "loss")["step"].tolist()
    assert len(sent) == len(steps) and max(sent) <= 2**53
    assert {c.verdict.value for c in sink.verify(run, full=True)} <= {"=", "~"}


@pytest.mark.parametrize("in_windows", [True, False])
def test_steps_that_are_beyond_are_cut_to_what_is_shown(
    server: RehearsalServer, make_sink: MakeSink, monkeypatch: pytest.MonkeyPatch, in_windows: bool
) -> None:
    """Steps in nanoseconds since 1970, also read in windows, although Pluto rounds what is asked for."""
    if in_windows:
        monkeypatch.setattr(points, "_FEW_POINTS", 0)
        monkeypatch.setattr(points, "_WINDOW_POINTS", 20)
        monkeypatch.setattr(points, "_PAGE_POINTS", 40)
    sink, run = make_sink(), run_of([*NANOSECONDS, 2.0**53 + 2])
    loaded = sink.load(run, None)
    sent = server.store.points.series(server.key(int(loaded.target_id)), "loss")["step"].tolist()
    assert len(sent) == len(NANOSECONDS) + 1 and all(int(float(step)) == step for step in sent)
    (line,) = [c for c in sink.verify(run, full=True) if c.item == "points of loss"]
    assert line.verdict.value in "=~" and line.found == str(len(sent))


@pytest.mark.parametrize("full", [False, True])
def test_two_rows_that_are_shown_at_one_step_are_one_point(
    server: RehearsalServer, make_sink: MakeSink, full: bool
) -> None:
    """Pluto stores two steps and prints both as one: they do not make up for a point that is missing."""
    sink, run = make_sink(visible_within=0.0), run_of([5.0, 2.0**60])
    run_id = int(sink.load(run, None).target_id)
    server.store.points._runs.pop(server.key(run_id))
    for step in (2**60, 2**60 + 1):
        post(server, run_id, "metrics", time=1, step=step, data={"loss": 1.0})
    (line,) = [c for c in sink.verify(run, full=full) if c.item == "points of loss"]
    assert (line.verdict.value, line.expected, line.found) == ("-", "2", "1")


@pytest.mark.parametrize(
    ("step", "shown", "exact"),
    [(2**53, 2**53, True), (2**53 + 1, 2**53, False), (2**63, 2**63, True), (2**64 - 1, 2**64 - 2048, False)],
)
def test_one_step(step: int, shown: int, exact: bool) -> None:
    assert shown_step(Multiplier(step, 1), 1.0) == (shown, exact)
    assert float(shown) == shown
