"""What verification finds, and how the next load repairs it: nothing that Pluto keeps twice is repeated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from neptune_exporter.contract import Comparison, LoadedRun, LoadOptions, SinkError, Verdict
from neptune_exporter.model import SysAttribute
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.loopback import Fault
from neptune_exporter.testing.runs import SampleRun, file, float_series, parameter
from neptune_exporter_pluto.ending import SUPERSEDED_TAG
from neptune_exporter_pluto.sink import PlutoSink
from neptune_exporter_pluto_server import RehearsalServer
from neptune_exporter_pluto_server.runs import Run

from .conftest import MakeSink
from .killed_load import KEY, everything

REFUSALS = 3
"""So often the store refuses an address before the loader asks for another."""

BAD = {Verdict.MISSING, Verdict.EXTRA, Verdict.DIFFERENT}


def load(sink: PlutoSink, run: SampleRun) -> LoadedRun:
    return sink.load(MemoryRun(run), None)


def verify(sink: PlutoSink, run: SampleRun, full: bool = False) -> list[Comparison]:
    return list(sink.verify(MemoryRun(run), full=full))


def bad(comparisons: list[Comparison]) -> list[tuple[str, str]]:
    return [(c.verdict.value, c.item) for c in comparisons if c.verdict in BAD]


def stored(server: RehearsalServer, run_id: str) -> tuple[int, int, int]:
    key = server.key(int(run_id))
    return tuple(
        len(rows(key)) for rows in (server.store.data_rows, server.store.log_rows, server.store.file_rows)
    )  # type: ignore[return-value]


def lose_points(server: RehearsalServer, run: Run) -> None:
    server.store.points._runs.clear()


def change_parameter(server: RehearsalServer, run: Run) -> None:
    assert isinstance(run.config, dict)
    run.config["lr"] = 0.5


def lose_a_tag(server: RehearsalServer, run: Run) -> None:
    run.tags = [tag for tag in run.tags if tag != "a"] + ["favourite"]


@pytest.mark.parametrize("damage", [lose_points, change_parameter, lose_a_tag])
@pytest.mark.parametrize("proven", [False, True])
def test_a_repair_repeats_only_what_harms_nothing(
    server: RehearsalServer, make_sink: MakeSink, damage, proven: bool
) -> None:  # type: ignore[no-untyped-def]
    """Also of a run that was proven, whose journal has forgotten how its load came about."""
    first = load(make_sink(), everything())
    if proven:
        assert not bad(verify(make_sink(), everything()))
    before = stored(server, first.target_id)
    damage(server, server.runs.by_id[int(first.target_id)])
    assert bad(verify(make_sink(), everything()))
    sink = make_sink()
    again = load(sink, everything())
    assert (again.target_id, again.counts) == (first.target_id, first.counts)
    assert stored(server, first.target_id) == before
    found = {item for _, item in bad(verify(sink, everything(), full=True))}
    assert found == (set() if damage is not lose_a_tag else {"tags"})  # one that somebody has added stays
    assert load(make_sink(), everything()).already_loaded


def test_what_people_change_in_pluto_begins_nothing_anew(
    server: RehearsalServer, make_sink: MakeSink
) -> None:
    first = load(make_sink(), everything())
    run = server.runs.by_id[int(first.target_id)]
    run.tags, run.name = [*run.tags, "favourite"], "the best one"
    assert isinstance(run.config, dict)
    run.config["mine"] = 1
    found = bad(verify(make_sink(), everything()))
    assert found == [("+", "tags"), ("*", "name"), ("+", "parameter mine")]
    assert load(make_sink(), everything()).already_loaded
    assert len(server.runs.by_id) == 1 and "favourite" in run.tags


def test_other_options_repair_into_another_run(server: RehearsalServer, make_sink: MakeSink) -> None:
    """What was sent with the old ones could not be told from what the new ones would send."""
    first = load(make_sink(), everything())
    lose_points(server, server.runs.by_id[int(first.target_id)])
    again = load(make_sink(log_every=10), everything())
    assert again.target_id != first.target_id and not again.already_loaded
    assert SUPERSEDED_TAG in server.runs.by_id[int(first.target_id)].tags


# A load that has not come to its end.


@pytest.mark.parametrize(
    "fault",
    [
        Fault("/storage/", "PUT", status=400, times=100),
        Fault("/ingest/data", status=422, body=b"refused", times=100),
    ],
)
@pytest.mark.parametrize("machine", ["this", "another"])
def test_verify_does_not_call_an_unfinished_load_equal(
    server: RehearsalServer, make_sink: MakeSink, tmp_path: Path, fault: Fault, machine: str
) -> None:
    """Its status is the final one from the beginning, and files are listed before their bytes are there."""
    server.fail(replace(fault))
    with pytest.raises(SinkError):
        load(make_sink(), everything())
    server.faults.clear()
    sink = make_sink(base_dir=tmp_path / machine) if machine == "another" else make_sink()
    assert ("-", "load") in bad(verify(sink, everything(), full=True))
    load(make_sink(), everything())
    assert not bad(verify(sink, everything(), full=True))


def test_verify_tells_that_another_export_was_loaded(make_sink: MakeSink) -> None:
    load(make_sink(), everything())
    changed = everything().plus(file("notes.txt", b"added since", "notes.txt"))
    assert ("*", "export") in bad(verify(make_sink(), changed))


def test_a_changed_prefix_begins_an_unfinished_load_anew(
    server: RehearsalServer, make_sink: MakeSink
) -> None:
    server.fail(Fault("/logName/add", status=400))
    with pytest.raises(SinkError):
        load(make_sink(LoadOptions(name_prefix="old-")), everything())
    loaded = load(make_sink(LoadOptions(name_prefix="new-")), everything())
    assert server.runs.by_id[int(loaded.target_id)].name.startswith("new-")


def test_a_file_that_was_listed_twice_is_told_by_the_load_that_ends(
    server: RehearsalServer, make_sink: MakeSink
) -> None:
    run = SampleRun(KEY, (file("a", b"1", "a.bin"), float_series("loss", [(0, 1.0)])))
    server.fail(Fault("/storage/", "PUT", status=403, times=REFUSALS))
    server.fail(Fault("/logName/add", status=400))
    with pytest.raises(SinkError):
        load(make_sink(), run)
    sink = make_sink()
    assert [(loss.reason, loss.count) for loss in load(sink, run).losses] == [("file-listed-twice", 1)]
    assert not bad(verify(sink, run))


# A run that another machine has loaded.


LOSSY = SampleRun(KEY, (float_series("loss", [(-1, 1.0), (0, 2.0)]), parameter("lr", 0.1)))


def test_another_machines_run_is_looked_at_and_its_losses_are_told(
    server: RehearsalServer, make_sink: MakeSink, tmp_path: Path
) -> None:
    first = load(make_sink(), LOSSY)
    sink = make_sink(base_dir=tmp_path / "another")
    for _ in range(2):
        found = load(sink, LOSSY)
        assert found.already_loaded and found.target_id == first.target_id
        assert (
            [loss.reason for loss in found.losses]
            == ["negative-step"]
            == [loss.reason for loss in first.losses]
        )


def test_a_refusal_that_ends_costs_no_second_listing(server: RehearsalServer, make_sink: MakeSink) -> None:
    server.fail(Fault("/storage/", "PUT", status=403, times=REFUSALS - 1))
    sink, run = make_sink(), SampleRun(KEY, (file("a", b"1", "a.bin"),))
    assert not load(sink, run).losses
    assert not bad(verify(sink, run))


def test_losses_that_only_the_load_knows_are_told_on_another_machine(
    server: RehearsalServer, make_sink: MakeSink, tmp_path: Path
) -> None:
    run = SampleRun(KEY, (file("a", b"1", "a.bin"),)).plus(
        parameter(SysAttribute.FORK_PARENT, "RUN-0"), parameter(SysAttribute.FORK_STEP, 1.0)
    )
    server.fail(Fault("/storage/", "PUT", status=403, times=REFUSALS))
    first = load(make_sink(), run)
    assert [loss.reason for loss in first.losses] == ["file-listed-twice", "fork-not-native"]
    found = load(make_sink(base_dir=tmp_path / "another"), run)
    assert found.already_loaded
    assert [loss.reason for loss in found.losses] == ["file-listed-twice", "fork-not-native"]


@pytest.mark.parametrize("later", [False, True])
def test_another_machines_run_that_pluto_does_not_show_is_loaded_anew(
    server: RehearsalServer, make_sink: MakeSink, tmp_path: Path, later: bool
) -> None:
    first = load(make_sink(), everything())
    sink = make_sink(base_dir=tmp_path / "another")
    if later:
        assert load(sink, everything()).already_loaded
    lose_points(server, server.runs.by_id[int(first.target_id)])
    if later:
        assert bad(verify(sink, everything()))
    again = load(sink, everything())
    assert not again.already_loaded and again.target_id != first.target_id
    assert not bad(verify(sink, everything(), full=True))
    assert SUPERSEDED_TAG in server.runs.by_id[int(first.target_id)].tags


def test_a_reason_that_names_a_path_with_nul_can_be_kept(
    server: RehearsalServer, make_sink: MakeSink
) -> None:
    run = SampleRun(KEY, (file("a\0b", b"1", "a.bin"),))
    first = load(make_sink(), run)
    server.store.files._runs.clear()
    again = load(make_sink(), run)
    assert again.target_id != first.target_id
    assert SUPERSEDED_TAG in server.runs.by_id[int(first.target_id)].tags
