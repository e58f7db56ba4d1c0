"""Verification of forks: their parent and step are read back, also where Pluto resolves an ancestor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from neptune_exporter.contract import AuthenticationError, Comparison, LoadedRun, LoadOptions
from neptune_exporter.model import SysAttribute
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.loopback import Fault
from neptune_exporter.testing.runs import SampleRun, float_series, parameter
from neptune_exporter_pluto.ending import SUPERSEDED_TAG
from neptune_exporter_pluto.sink import PlutoSink
from neptune_exporter_pluto.state.journal import Journal
from neptune_exporter_pluto_server import RehearsalServer
from neptune_exporter_pluto_server.runs import Run

from .conftest import MakeSink
from .killed_load import KEY


def run_of(name: str, steps: range, parent: str | None = None, fork_step: float = 0.0) -> SampleRun:
    run = SampleRun(
        replace(KEY, run_id=name), (float_series("loss", ((float(step), 1.0) for step in steps)),)
    )
    if parent is None:
        return run
    return run.plus(parameter(SysAttribute.FORK_PARENT, parent), parameter(SysAttribute.FORK_STEP, fork_step))


ROOT = run_of("root", range(10))
CHILD = run_of("child", range(6, 12), "root", 5.0)
EARLY = run_of("early", range(3, 6), "child", 2.0)
"""Forked off its parent before that was forked off its own: Pluto takes the root for its parent."""


def load(sink: PlutoSink, runs: Sequence[SampleRun]) -> dict[str, int]:
    """Ids in Pluto by Neptune's; parents come first."""
    loaded: dict[str, LoadedRun] = {}
    for run in map(MemoryRun, runs):
        parent = run.parent()
        loaded[run.key.run_id] = sink.load(run, loaded.get(parent.run_id) if parent else None)
    return {name: int(run.target_id) for name, run in loaded.items()}


def fork_lines(sink: PlutoSink, run: SampleRun) -> list[tuple[str, str, str]]:
    found: list[Comparison] = [c for c in sink.verify(MemoryRun(run)) if c.item == "fork"]
    return [(c.verdict.value, c.expected, c.found) for c in found]


def test_parent_and_step_are_equal(make_sink: MakeSink) -> None:
    sink = make_sink()
    ids = load(sink, [ROOT, CHILD])
    text = f"run {ids['root']} at step 5"
    assert fork_lines(sink, CHILD) == [("=", text, text)]
    assert fork_lines(sink, ROOT) == []


def test_an_ancestor_that_the_step_belongs_to_is_the_parent(
    server: RehearsalServer, make_sink: MakeSink
) -> None:
    sink = make_sink()
    ids = load(sink, [ROOT, CHILD, EARLY])
    assert server.runs.by_id[ids["early"]].parent is server.runs.by_id[ids["root"]]
    text = f"run {ids['root']} at step 2"
    assert fork_lines(sink, EARLY) == [("=", text, text)]


def no_parent(child: Run, root: Run) -> None:
    child.parent = child.fork_step = None


def other_step(child: Run, root: Run) -> None:
    child.fork_step = 4


def other_parent(child: Run, root: Run) -> None:
    child.parent = child


def parent_of_root(child: Run, root: Run) -> None:
    root.parent, root.fork_step = child, 1


@pytest.mark.parametrize(
    ("change", "run", "verdict"),
    [
        (no_parent, CHILD, "-"),
        (other_step, CHILD, "*"),
        (other_parent, CHILD, "*"),
        (parent_of_root, ROOT, "+"),
    ],
)
def test_a_change_is_found(
    server: RehearsalServer,
    make_sink: MakeSink,
    change: Callable[[Run, Run], None],
    run: SampleRun,
    verdict: str,
) -> None:
    sink = make_sink()
    ids = load(sink, [ROOT, CHILD])
    change(server.runs.by_id[ids["child"]], server.runs.by_id[ids["root"]])
    assert [line[0] for line in fork_lines(sink, run)] == [verdict]


def test_a_fork_without_its_parent_is_a_told_loss(make_sink: MakeSink) -> None:
    sink = make_sink()
    load(sink, [CHILD])
    assert [line[0] for line in fork_lines(sink, CHILD)] == ["~"]


def test_another_machine_cannot_know_the_parent(make_sink: MakeSink, tmp_path: Path) -> None:
    load(make_sink(), [ROOT, CHILD])
    other = make_sink(base_dir=tmp_path / "other machine")
    assert [line[0] for line in fork_lines(other, CHILD)] == ["?"]


def test_a_parent_that_got_further_changes_nothing(make_sink: MakeSink) -> None:
    """The fork is compared with the one that was sent, not with what the parent would give today."""
    sink = make_sink()
    beyond = run_of("child", range(6, 12), "root", 50.0)
    ids = load(sink, [ROOT, beyond])
    note_last_step(sink, ROOT, 50)
    text = f"run {ids['root']} at step 9"
    assert fork_lines(sink, beyond) == [("~", text, text)]


def note_last_step(sink: PlutoSink, run: SampleRun, step: int) -> None:
    """As though a later load of the run, into the same run of Pluto, had had more steps."""
    target = sink.session.target(run.key.project_id)
    journal = Journal.of(sink.session.settings.base_dir, target, run.key).open()
    assert journal.current is not None and journal.current.loaded is not None
    journal.note("loaded", result={**journal.current.loaded, "last_step": step})
    journal.close()


def test_a_child_follows_a_parent_that_was_loaded_anew(server: RehearsalServer, make_sink: MakeSink) -> None:
    """Also one that was proven: the run that it is forked off is not its parent any more."""
    sink, changed = make_sink(), ROOT.plus(parameter("lr", 0.1))
    before = load(sink, [ROOT, CHILD])
    assert fork_lines(sink, CHILD)[0][0] == "="
    after = load(sink, [changed, CHILD])
    assert after["child"] != before["child"]
    assert SUPERSEDED_TAG in server.runs.by_id[before["child"]].tags
    text = f"run {after['root']} at step 5"
    assert fork_lines(sink, CHILD) == [("=", text, text)]
    assert load(make_sink(), [changed, CHILD]) == after


def test_verify_tells_of_a_parent_that_was_loaded_anew(make_sink: MakeSink) -> None:
    sink = make_sink()
    before = load(sink, [ROOT, CHILD])
    anew = load(sink, [ROOT.plus(parameter("lr", 0.1))])
    found, wanted = f"run {before['root']} at step 5", f"run {anew['root']} at step 5"
    assert fork_lines(sink, CHILD) == [("*", wanted, found)]


@pytest.mark.parametrize("path", ["/api/runs/status/update", "/ingest/metrics"])
def test_a_refused_fork_is_told_by_the_load_that_ends(
    server: RehearsalServer, make_sink: MakeSink, path: str
) -> None:
    """Also where that is not the one that created the run: before its creation was noted, or after it."""
    parent = LoadedRun("999")  # Pluto has no such run
    server.fail(Fault(path, status=401))
    with pytest.raises(AuthenticationError):
        make_sink(visible_within=0.1).load(MemoryRun(CHILD), parent)
    assert [run.parent for run in server.runs.by_id.values()] == [None]
    sink = make_sink(visible_within=0.1)
    assert [loss.reason for loss in sink.load(MemoryRun(CHILD), parent).losses] == ["fork-not-native"]
    assert [line[0] for line in fork_lines(sink, CHILD)] == ["~"]
    assert len(server.runs.by_id) == 1


@pytest.mark.parametrize("path", ["/api/runs/status/update", "/ingest/metrics"])
def test_a_fork_that_was_made_is_no_loss_for_a_load_that_does_not_know_the_parent(
    server: RehearsalServer, make_sink: MakeSink, path: str
) -> None:
    parent = make_sink().load(MemoryRun(ROOT), None)
    state = {"base_dir": make_sink().session.settings.base_dir / "another"}
    server.fail(Fault(path, status=401))
    with pytest.raises(AuthenticationError):
        make_sink(**state).load(MemoryRun(CHILD), parent)
    assert not make_sink(**state).load(MemoryRun(CHILD), None).losses


def test_a_fork_before_the_first_step_is_not_made_one_at_it(
    server: RehearsalServer, make_sink: MakeSink
) -> None:
    """It shares nothing with its parent; in Pluto it would inherit the point at step 0."""
    sink = make_sink()
    before = run_of("child", range(3), "root", -1.0)
    root = sink.load(MemoryRun(ROOT), None)
    loaded = sink.load(MemoryRun(before), root)
    assert [loss.reason for loss in loaded.losses] == ["fork-not-native"]
    assert server.runs.by_id[int(loaded.target_id)].parent is None
    assert [line[0] for line in fork_lines(sink, before)] == ["~"]


def test_a_fork_step_that_is_rounded_down_is_told(make_sink: MakeSink) -> None:
    sink = make_sink(LoadOptions(step_multiplier=Decimal(1)))
    between = run_of("child", range(6, 12), "root", 5.5)
    sink.prepare(KEY.project_id, [MemoryRun(ROOT), MemoryRun(between)])
    root = sink.load(MemoryRun(ROOT), None)
    loaded = sink.load(MemoryRun(between), root)
    assert [(loss.reason, loss.attribute_path) for loss in loaded.losses] == [
        ("fractional-step", SysAttribute.FORK_STEP)
    ]
    text = f"run {root.target_id} at step 5"
    assert fork_lines(sink, between) == [("~", text, text)]
