"""Verification of log names: what is not registered, or under another type, is seen by nobody in Pluto."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from neptune_exporter.contract import Comparison, LoadedRun
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.runs import SampleHistogram, SampleRun, float_series, histogram_series
from neptune_exporter_pluto.ending import SUPERSEDED_TAG
from neptune_exporter_pluto.sink import PlutoSink
from neptune_exporter_pluto_server import RehearsalServer

from .conftest import MakeSink
from .killed_load import KEY, everything
from .test_verify import BAD, clashing, post, verdicts

Names = dict[str, str]


def load(sink: PlutoSink, run: SampleRun) -> LoadedRun:
    return sink.load(MemoryRun(run), None)


def bad(sink: PlutoSink, run: SampleRun) -> list[tuple[str, str, str, str]]:
    found: list[Comparison] = [c for c in sink.verify(MemoryRun(run)) if c.verdict in BAD]
    return [(c.verdict.value, c.item, c.expected, c.found) for c in found]


def drawn() -> SampleRun:
    """Histograms that have a drawing, a table, both and neither."""
    even, uneven = SampleHistogram((0.0, 1.0, 2.0), (1.0, 2.0)), SampleHistogram((0.0, 0.1, 1.0), (0.5, 2.0))
    return SampleRun(
        KEY,
        (
            histogram_series("exact", [(0, even)]),
            histogram_series("both", [(0, uneven)]),
            histogram_series("table", [(0, SampleHistogram((1.0, 1.0), (2.0,)))]),
            histogram_series("neither", [(-1, even)]),
        ),
    )


@pytest.mark.parametrize("run", [everything(), clashing(), drawn()], ids=["everything", "clashing", "drawn"])
def test_all_names_are_equal(server: RehearsalServer, make_sink: MakeSink, run: SampleRun) -> None:
    sink = make_sink()
    loaded = load(sink, run)
    names = server.runs.by_id[int(loaded.target_id)].log_names
    assert not bad(sink, run)
    (line,) = [c for c in sink.verify(MemoryRun(run)) if c.item == "log names"]
    assert (line.verdict.value, line.expected) == ("=", str(len(names)))


def test_losses_of_histograms_are_told_on_another_machine_too(make_sink: MakeSink, tmp_path: Path) -> None:
    first = load(make_sink(), drawn())
    found = load(make_sink(base_dir=tmp_path / "another"), drawn())
    assert found.already_loaded and first.losses
    assert [str(loss) for loss in found.losses] == [str(loss) for loss in first.losses]


def unregistered(names: Names) -> None:
    del names["loss"]


def unregistered_table(names: Names) -> None:
    del names["weights/exact"]


def other_type(names: Names) -> None:
    names["loss"] = "DATA"


def foreign(names: Names) -> None:
    names["cpu/usage"] = "METRIC"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (unregistered, ("-", "log name of loss", "METRIC", "not registered")),
        (unregistered_table, ("-", "log name of weights/exact", "TABLE", "not registered")),
        (other_type, ("*", "log name of loss", "METRIC", "DATA")),
        (foreign, ("+", "log name of cpu/usage", "", "METRIC")),
    ],
)
def test_a_change_of_names_is_found(
    server: RehearsalServer,
    make_sink: MakeSink,
    change: Callable[[Names], None],
    found: tuple[str, str, str, str],
) -> None:
    sink = make_sink()
    loaded = load(sink, everything())
    change(server.runs.by_id[int(loaded.target_id)].log_names)
    assert bad(sink, everything()) == [found]


def test_a_name_that_is_not_registered_is_registered_by_the_next_load(
    server: RehearsalServer, make_sink: MakeSink
) -> None:
    loaded = load(make_sink(), everything())
    run, key = server.runs.by_id[int(loaded.target_id)], server.key(int(loaded.target_id))
    names, rows = dict(run.log_names), len(server.store.data_rows(key))
    run.log_names.clear()
    assert bad(make_sink(), everything())
    again = load(make_sink(), everything())
    assert (again.target_id, run.log_names) == (loaded.target_id, names)
    assert len(server.store.data_rows(key)) == rows
    assert not bad(make_sink(), everything())


def test_a_name_under_another_type_needs_another_run(server: RehearsalServer, make_sink: MakeSink) -> None:
    """The first type of a name stays."""
    loaded = load(make_sink(), everything())
    other_type(server.runs.by_id[int(loaded.target_id)].log_names)
    assert bad(make_sink(), everything())
    again = load(make_sink(), everything())
    assert again.target_id != loaded.target_id and not bad(make_sink(), everything())
    assert SUPERSEDED_TAG in server.runs.by_id[int(loaded.target_id)].tags


@pytest.mark.parametrize("machine", ["this", "another"])
def test_a_series_that_somebody_has_added_is_shown_and_left_alone(
    server: RehearsalServer, make_sink: MakeSink, tmp_path: Path, machine: str
) -> None:
    loaded = load(make_sink(), everything())
    post(server, int(loaded.target_id), "metrics", time=1, step=5, data={"eval/score": 7.0})
    server.runs.by_id[int(loaded.target_id)].log_names["eval/score"] = "METRIC"
    sink = make_sink(base_dir=tmp_path / machine) if machine == "another" else make_sink()
    assert bad(sink, everything()) == [("+", "log name of eval/score", "", "METRIC")]
    again = load(sink, everything())
    assert again.already_loaded and again.target_id == loaded.target_id
    assert list(server.runs.by_id) == [int(loaded.target_id)]


def test_of_more_names_than_pluto_lists_the_others_are_not_claimed(
    server: RehearsalServer, make_sink: MakeSink
) -> None:
    run = SampleRun(KEY, tuple(float_series(f"m{n:04d}", [(0, 1.0)]) for n in range(1_005)))
    sink = make_sink()
    loaded = load(sink, run)
    lines = [c for c in sink.verify(MemoryRun(run)) if c.item == "log names"]
    assert [(c.verdict.value, c.expected) for c in lines] == [("=", "1000"), ("?", "5")]
    assert set(verdicts(sink, run).values()) == {"=", "?"}
    server.runs.by_id[int(loaded.target_id)].log_names["m0007"] = "DATA"
    assert bad(sink, run) == [("*", "log name of m0007", "METRIC", "DATA")]
