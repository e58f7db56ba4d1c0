"""Load jobs, from a real dataset on disk into the sink in memory."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Sequence, Set
from dataclasses import replace
from pathlib import Path

import pytest

from neptune_exporter.contract import (
    AuthenticationError,
    Comparison,
    ExportedRun,
    LoadedRun,
    NoSettings,
    RunSelection,
    SinkCapabilities,
    SinkError,
    SinkSpec,
    SourceSpec,
    UsageError,
    Verdict,
)
from neptune_exporter.jobs import load as load_job
from neptune_exporter.jobs import spreading
from neptune_exporter.jobs.executors import Choice
from neptune_exporter.jobs.export import ExportOptions, export_runs
from neptune_exporter.jobs.load import LoadJobOptions, LoadResult, load_runs
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.jobs.verify import verify_sink
from neptune_exporter.model import ALL_CLASSES, AttributeClass, RunKey, RunKind, SysAttribute
from neptune_exporter.testing.corpus import sample_runs
from neptune_exporter.testing.facts import difference, facts_of_run
from neptune_exporter.testing.memory_sink import MemorySink, MemoryTarget
from neptune_exporter.testing.memory_source import MemorySource
from neptune_exporter.testing.runs import SampleRun, parameter

VERIFYING = SinkCapabilities(verifies=True)


def dataset(folder: Path, runs: Sequence[SampleRun]) -> None:
    source = MemorySource(runs)
    spec = SourceSpec("memory", "in memory", lambda settings: source, NoSettings, MemorySource.CAPABILITIES)
    chosen = RunSelection(include_archived=True, kinds=frozenset(RunKind))
    options = ExportOptions((), folder / "data", folder / "files", runs=chosen)
    assert export_runs(spec, NoSettings(), options, Progress()).complete


def load(
    sink: MemorySink, folder: Path, capabilities: SinkCapabilities = VERIFYING, **options: object
) -> LoadResult:
    spec = SinkSpec("memory", "in memory", lambda settings, load: sink, NoSettings, capabilities)
    chosen = LoadJobOptions(folder / "data", folder / "files", **options)  # type: ignore[arg-type]
    return load_runs(spec, NoSettings(), chosen, Progress())


def run_of(run_id: str, parent: str | None = None, project: str = "acme/vision") -> SampleRun:
    run = SampleRun(RunKey(project, run_id), (parameter("config/lr", 0.5),))
    return run.plus(parameter(SysAttribute.FORK_PARENT, parent)) if parent else run


class Recording(MemorySink):
    """Notes the order in which runs were loaded, and what parent each came with."""

    def __init__(self) -> None:
        super().__init__(target=MemoryTarget())
        self.order: list[tuple[str, bool]] = []
        self.guard = threading.Lock()
        self.interrupted = False

    def interrupt(self) -> None:
        self.interrupted = True

    def load(self, run: ExportedRun, parent: LoadedRun | None) -> LoadedRun:
        loaded = super().load(run, parent)
        with self.guard:
            self.order.append((run.key.run_id, parent is not None))
        return loaded


def test_everything_of_the_corpus_arrives_and_is_found_equal(tmp_path: Path) -> None:
    runs = sample_runs()
    dataset(tmp_path, runs)
    target = MemoryTarget()
    result = load(MemorySink(target=target), tmp_path)
    assert result.complete and not result.comparisons.mismatches
    assert len(result.loaded) == len(runs)
    assert set(result.comparisons.counts) == {Verdict.EQUAL} and not [*result.comparisons]
    for run in runs:
        without_previews = run.adapted(
            lambda a: replace(a, entries=tuple(e for e in a.entries if not e.preview))
        )
        assert difference(facts_of_run(without_previews), target.runs[run.key].facts()) == ""


def test_a_sink_looks_at_the_whole_project_whatever_is_selected(tmp_path: Path) -> None:
    dataset(tmp_path, [run_of("a"), run_of("b"), run_of("c", project="acme/other")])
    sink = MemorySink(target=MemoryTarget())
    result = load(sink, tmp_path, runs=RunSelection(patterns=("b",)))
    assert [key.run_id for key, _ in result.loaded] == ["b"]
    ((project, prepared),) = sink.prepared
    assert project == "acme/vision" and [key.run_id for key in prepared] == ["b", "a"]


def test_parents_come_first_and_children_get_them(tmp_path: Path) -> None:
    dataset(tmp_path, [run_of("a", "b"), run_of("b", "c"), run_of("c"), run_of("d", "missing")])
    sink = Recording()
    assert load(sink, tmp_path, workers=4).complete
    order = dict(sink.order)
    assert order == {"a": True, "b": True, "c": False, "d": False}
    names = [name for name, _ in sink.order]
    assert names.index("c") < names.index("b") < names.index("a")


def test_a_circle_of_parents_is_loaded_all_the_same(tmp_path: Path) -> None:
    dataset(tmp_path, [run_of("a", "b"), run_of("b", "a"), run_of("self", "self")])
    sink = Recording()
    assert load(sink, tmp_path).complete
    assert {name for name, _ in sink.order} == {"a", "b", "self"}


def test_many_circles_of_parents_are_opened_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each attempt to order the runs looks at all of them, so there is one, not one for each circle."""
    keys = [RunKey("acme/vision", str(number)) for number in range(60)]
    pairs = {key: keys[number ^ 1] for number, key in enumerate(keys[:40])}
    behind = {key: keys[number - 40] for number, key in enumerate(keys[40:50], 40)}
    parents = {**behind, **pairs, keys[50]: keys[50], keys[52]: keys[51]}
    attempts: list[int] = []
    prepare = load_job.TopologicalSorter.prepare
    monkeypatch.setattr(
        load_job.TopologicalSorter, "prepare", lambda order: (attempts.append(1), prepare(order))
    )
    order = load_job._opened(keys, left := dict(parents))
    assert len(attempts) == 1
    lost = parents.keys() - left.keys()
    assert len(lost) == 21 and not lost & behind.keys() and keys[50] in lost and keys[52] not in lost
    assert set(order.get_ready()) == set(keys) - left.keys()


def test_a_child_waits_for_a_later_load_when_its_parent_fails(tmp_path: Path) -> None:
    dataset(tmp_path, [run_of("parent"), run_of("child", "parent"), run_of("other")])
    sink = Recording()
    sink.fail_run(RunKey("acme/vision", "parent"), SinkError("HTTP 503"))
    result = load(sink, tmp_path)
    failed = {key.run_id: message for key, message in result.failed}
    assert failed["parent"] == "HTTP 503" and "parent" in failed["child"]
    assert [key.run_id for key, _ in result.loaded] == ["other"]
    assert not result.complete
    again = load(sink, tmp_path)
    assert again.complete
    assert {k.run_id for k, _ in again.already_loaded} == {"other"}


def test_refused_credentials_end_the_load(tmp_path: Path) -> None:
    dataset(tmp_path, [run_of("a"), run_of("b")])
    sink = Recording()
    sink.fail_run(RunKey("acme/vision", "a"), AuthenticationError("the key was refused"))
    with pytest.raises(AuthenticationError, match="refused"):
        load(sink, tmp_path, workers=1)
    assert sink.interrupted, "loads in other threads are not told"


def test_model_objects_are_a_loss_where_the_target_has_no_place(tmp_path: Path) -> None:
    run = replace(run_of("MOD"), key=RunKey("acme/vision", "MOD", RunKind.MODEL))
    dataset(tmp_path, [run])
    result = load(Recording(), tmp_path, SinkCapabilities(models=False))
    assert [(loss.reason, loss.count) for loss in result.losses] == [("model-object", 1)]
    assert not result.complete and not result.loaded


def test_a_dry_run_makes_no_sink(tmp_path: Path) -> None:
    dataset(tmp_path, [run_of("a"), run_of("b")])

    def factory(settings: object, options: object) -> MemorySink:
        raise AssertionError("a dry run needs no sink")

    spec = SinkSpec("memory", "in memory", factory)
    options = LoadJobOptions(tmp_path / "data", tmp_path / "files", dry_run=True)
    result = load_runs(spec, NoSettings(), options, Progress())
    assert [(p.key.run_id, sum(p.rows.values())) for p in result.planned] == [("a", 1), ("b", 1)]


def test_an_estimate_that_fails_costs_its_run_alone(tmp_path: Path) -> None:
    dataset(tmp_path, [run_of("a"), run_of("b")])

    def requests(settings: object, run: ExportedRun) -> int:
        if run.key.run_id == "a":
            raise ValueError("no idea")
        return 7

    spec = SinkSpec("memory", "in memory", lambda settings, options: MemorySink(), requests=requests)
    options = LoadJobOptions(tmp_path / "data", tmp_path / "files", dry_run=True)
    result = load_runs(spec, NoSettings(), options, Progress())
    assert [(key.run_id, "no idea" in message) for key, message in result.failed] == [("a", True)]
    assert [(planned.key.run_id, planned.requests) for planned in result.planned] == [("b", 7)]


def test_only_what_is_named_is_loaded(tmp_path: Path) -> None:
    dataset(tmp_path, [run_of("RUN-1"), run_of("RUN-10"), run_of("RUN-1", project="acme/b")])
    sink = Recording()
    load(sink, tmp_path, project_ids=("acme/vision",), runs=RunSelection(patterns=("RUN-1",)))
    assert sink.order == [("RUN-1", False)]
    with pytest.raises(UsageError, match="acme/nothing"):
        load(sink, tmp_path, project_ids=("acme/nothing",))


def test_what_differs_in_the_target_is_a_mismatch(tmp_path: Path) -> None:
    class Forgetful(MemorySink):
        def verify(self, run: ExportedRun, *, full: bool = False) -> Iterator[Comparison]:
            yield Comparison(run.key, "points of loss", Verdict.DIFFERENT, "3", "2")

    dataset(tmp_path, [run_of("a")])
    result = load(Forgetful(target=MemoryTarget()), tmp_path)
    assert [c.item for c in result.comparisons.mismatches] == ["points of loss"]


@pytest.mark.parametrize("classes", [ALL_CLASSES, {AttributeClass.METRICS}])
def test_a_comparison_gets_what_the_load_of_its_run_has_sent(
    tmp_path: Path, classes: Set[AttributeClass]
) -> None:
    class Telling(MemorySink):
        def load(self, run: ExportedRun, parent: LoadedRun | None) -> LoadedRun:
            return replace(super().load(run, parent), sent=f"sent {run.key.run_id}")

        def verify(self, run: ExportedRun, *, full: bool = False) -> Iterator[Comparison]:
            yield Comparison(run.key, "run", Verdict.LOST, str(run.found))

    dataset(tmp_path, [run_of("a"), run_of("b")])
    result = load(Telling(target=MemoryTarget()), tmp_path, classes=frozenset(classes))
    assert [(c.run.run_id, c.expected) for c in result.comparisons] == [("a", "sent a"), ("b", "sent b")]


def test_a_damaged_run_fails_and_others_are_loaded(tmp_path: Path) -> None:
    dataset(tmp_path, [run_of("a"), run_of("b")])
    (part,) = (tmp_path / "data").glob("*/a-*_part_0.parquet")
    part.write_bytes(part.read_bytes()[:-20])
    result = load(Recording(), tmp_path)
    assert [key.run_id for key, _ in result.failed] == ["a"]
    assert part.name in result.failed[0][1]
    assert [key.run_id for key, _ in result.loaded] == ["b"]


def test_a_run_whose_parts_changed_is_not_loaded(tmp_path: Path) -> None:
    """Not even where the change is one that a reader does not notice, as in the statistics of a footer."""
    dataset(tmp_path, [run_of("a"), run_of("b")])
    (part,) = (tmp_path / "data").glob("*/a-*_part_0.parquet")
    data = bytearray(part.read_bytes())
    data[data.rindex(b"config/lr")] ^= 1
    part.write_bytes(data)
    spec = SinkSpec("memory", "in memory", lambda s, o: sink, NoSettings, VERIFYING)
    sink = Recording()
    result = load(sink, tmp_path)
    assert [key.run_id for key, _ in result.failed] == ["a"] and "changed since" in result.failed[0][1]
    assert [name for name, _ in sink.order] == ["b"]
    options = LoadJobOptions(tmp_path / "data", tmp_path / "files")
    compared = verify_sink(spec, NoSettings(), options, full=True, progress=Progress())
    assert [key.run_id for key, _ in compared.failed] == ["a"]


@pytest.mark.parametrize("dry_run", [False, True])
def test_runs_with_files_are_not_loaded_without_the_folder_of_files(tmp_path: Path, dry_run: bool) -> None:
    dataset(tmp_path, sample_runs())
    (tmp_path / "files").rename(tmp_path / "elsewhere")
    sink = Recording()
    with pytest.raises(UsageError, match="--files-path"):
        load(sink, tmp_path, dry_run=dry_run)
    assert sink.order == []


def test_runs_without_files_need_no_folder_of_files(tmp_path: Path) -> None:
    dataset(tmp_path, [run_of("a")])
    shutil.rmtree(tmp_path / "files", ignore_errors=True)
    assert load(Recording(), tmp_path).complete


def test_a_copy_of_a_run_is_not_loaded_a_second_time(tmp_path: Path) -> None:
    dataset(tmp_path, [run_of("a")])
    (folder,) = (tmp_path / "data").glob("acme*")
    shutil.copytree(folder, folder.with_name("a copy"))
    sink = Recording()
    result = load(sink, tmp_path)
    assert sink.order == [("a", False)]
    assert [
        message for _, message in result.failed if "same run as" in message
    ] and not result.comparisons.mismatches


def test_verify_against_a_sink_that_cannot_read_back_is_a_usage_error(tmp_path: Path) -> None:
    spec = SinkSpec("memory", "in memory", lambda s, o: Recording(), capabilities=SinkCapabilities())
    options = LoadJobOptions(tmp_path / "data", tmp_path / "files")
    with pytest.raises(UsageError, match="cannot read back"):
        verify_sink(spec, NoSettings(), options, full=True, progress=Progress())


def test_a_loader_that_does_not_say_how_loads_in_one_process_only(tmp_path: Path) -> None:
    dataset(tmp_path, [run_of("a"), run_of("b")])
    sink = MemorySink()
    with pytest.raises(UsageError, match="the loader memory loads in threads only"):
        load(sink, tmp_path, executor="processes")
    assert not sink.loads
    assert len(load(MemorySink(), tmp_path, executor="threads").loaded) == 2


@pytest.mark.parametrize(
    ("runs", "workers", "cores", "most", "expected"),
    [
        (199, 4, 4, 4, Choice("threads", 4)),  # not worth a start
        (250, 4, 4, 4, Choice("processes", 2)),
        (1_000, 4, 4, 4, Choice("processes", 4)),
        (1_000, None, 4, 4, Choice("processes", 4)),
        (1_000, 2, 4, 4, Choice("processes", 2)),  # not more than were asked to work
        (1_000, None, 1, 4, Choice("threads")),
        (1_000, 4, 4, 3, Choice("processes", 3)),  # as the loader's settings allow
        (1_000, 4, 4, 1, Choice("threads", 4)),
    ],
)
def test_hundreds_of_runs_are_spread_over_the_cores(
    monkeypatch: pytest.MonkeyPatch,
    runs: int,
    workers: int | None,
    cores: int,
    most: int,
    expected: Choice,
) -> None:
    def divide(settings: object, processes: int) -> object:
        if processes > most:
            raise UsageError("too many")
        return processes

    monkeypatch.setattr(spreading, "cores", lambda: cores)
    spec = SinkSpec("memory", "in memory", lambda s, o: Recording(), divided=divide)
    assert spreading.suitable(spec, "whole", Choice(None, workers), runs) == expected
    alone = SinkSpec("memory", "in memory", lambda s, o: Recording())
    assert spreading.suitable(alone, "whole", Choice(None, workers), runs) == Choice("threads", workers)
