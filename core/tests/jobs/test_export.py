"""Export jobs, from the perfect source in memory into a real dataset on disk."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from neptune_exporter.contract import (
    AttributeFailure,
    AttributeSelection,
    AuthenticationError,
    DatasetError,
    FileWriter,
    NoSettings,
    ReadEvent,
    RunRequest,
    RunSelection,
    SourceError,
    SourceRun,
    SourceSpec,
)
from neptune_exporter.dataset import Dataset
from neptune_exporter.dataset.format.layout import Place
from neptune_exporter.jobs.export import ExportOptions, ExportResult, export_runs
from neptune_exporter.jobs.export_group import ExportUnit
from neptune_exporter.jobs.opening import OpenSource
from neptune_exporter.jobs.planning import Action, plan_run
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.model import ALL_CLASSES, AttributeClass, AttributeType, RunKey, RunKind
from neptune_exporter.testing.corpus import sample_runs, themed_runs
from neptune_exporter.testing.facts import difference, facts_of_exported, facts_of_run
from neptune_exporter.testing.memory_source import MemorySource
from neptune_exporter.testing.runs import SampleRun, float_series, parameter

PARAMETERS_ONLY = AttributeSelection(classes=frozenset({AttributeClass.PARAMETERS}))
ALL_KINDS = RunSelection(include_archived=True, kinds=frozenset(RunKind))


def export(
    source: MemorySource, folder: Path, *, progress: Progress | None = None, **options: object
) -> ExportResult:
    spec = SourceSpec("memory", "in memory", lambda settings: source, NoSettings, MemorySource.CAPABILITIES)
    chosen = ExportOptions(
        options.pop("project_ids", ()),  # type: ignore[arg-type]
        folder / "data",
        folder / "files",
        workers=2,
        **options,  # type: ignore[arg-type]
    )
    return export_runs(spec, NoSettings(), chosen, progress or Progress())


def dataset_of(folder: Path) -> Dataset:
    return Dataset(folder / "data", folder / "files")


def assert_holds(folder: Path, *runs: SampleRun) -> None:
    dataset = dataset_of(folder)
    for run in runs:
        stored = dataset.run(run.key)
        assert stored is not None and stored.complete, run.key
        assert difference(facts_of_run(run), facts_of_exported(stored)) == ""


def a_run(run_id: str = "RUN-1", project: str = "acme/vision") -> SampleRun:
    (run,) = [r for r in themed_runs("types") if r.key.run_id == "types"]
    return replace(run, key=RunKey(project, run_id))


def test_everything_of_the_corpus_arrives_exactly(tmp_path: Path) -> None:
    runs = sample_runs()
    result = export(MemorySource(runs, shuffle=7), tmp_path, runs=ALL_KINDS)
    assert result.complete
    assert sum(p.exported for p in result.projects) == len(runs)
    assert result.rows == sum(
        len([e for e in a.entries if not e.preview]) for r in runs for a in r.attributes
    )
    assert_holds(tmp_path, *(r.adapted(_without_previews) for r in runs))
    assert {r.key for r in dataset_of(tmp_path).runs()} == {r.key for r in runs}


def _without_previews(attribute):  # type: ignore[no-untyped-def]
    return replace(attribute, entries=tuple(e for e in attribute.entries if not e.preview))


def test_a_second_export_reads_nothing(tmp_path: Path) -> None:
    source = MemorySource([a_run("RUN-1"), a_run("RUN-2")])
    export(source, tmp_path)
    source.reads.clear()
    result = export(source, tmp_path)
    assert source.reads == []
    assert [p.up_to_date for p in result.projects] == [2]


def test_a_changed_run_is_read_anew_and_its_old_rows_go(tmp_path: Path) -> None:
    old, other = a_run("RUN-1"), a_run("RUN-2")
    source = MemorySource([old, other])
    export(source, tmp_path)
    assert old.modified_at is not None
    new = replace(
        old.adapted(lambda a: None if a.path == "config/lr" else a),
        modified_at=old.modified_at + timedelta(hours=1),
    ).plus(parameter("config/new", 5))
    source.put(new)
    source.reads.clear()
    export(source, tmp_path)
    assert {key for key, _ in source.reads} == {new.key}
    assert_holds(tmp_path, new, other)


def test_what_a_narrow_export_left_out_is_added_later_and_nothing_is_read_twice(tmp_path: Path) -> None:
    run = a_run()
    source = MemorySource([run])
    export(source, tmp_path, attributes=PARAMETERS_ONLY)
    assert {p for _, p in source.reads} == {a.path for a in run.attributes if _is_parameter(a.type)}
    first = set(source.reads)
    source.reads.clear()
    export(source, tmp_path)
    assert first.isdisjoint(source.reads)
    assert_holds(tmp_path, run)


def _is_parameter(attribute_type: AttributeType) -> bool:
    return attribute_type.attribute_class is AttributeClass.PARAMETERS


def test_what_was_in_a_damaged_part_is_fetched_again_when_the_run_is_added_to(tmp_path: Path) -> None:
    source = MemorySource([a_run()])
    export(source, tmp_path, attributes=PARAMETERS_ONLY)
    (part,) = (tmp_path / "data").rglob("*_part_0.parquet")
    data = bytearray(part.read_bytes())
    data[-9] ^= 1  # of the footer: no reader need notice
    part.write_bytes(data)
    assert export(source, tmp_path).complete
    assert_holds(tmp_path, a_run())


def test_a_narrow_export_of_a_changed_run_keeps_what_it_does_not_ask_for(tmp_path: Path) -> None:
    run = a_run()
    source = MemorySource([run])
    export(source, tmp_path)
    assert run.modified_at is not None
    changed = replace(run, modified_at=run.modified_at + timedelta(hours=1)).plus(parameter("config/lr", 9.0))
    source.put(changed)
    export(source, tmp_path, attributes=PARAMETERS_ONLY)
    assert_holds(tmp_path, changed)
    source.reads.clear()
    export(source, tmp_path)  # what was kept belongs to the older state: it is read again
    assert {p for _, p in source.reads} == {a.path for a in run.attributes if not _is_parameter(a.type)}


def test_a_failed_attribute_costs_itself_and_only_it_is_asked_for_again(tmp_path: Path) -> None:
    run = a_run().plus(float_series("train/loss", [(s, 1.0 / (s + 1)) for s in range(300)]))
    source = MemorySource([run])
    source.fail_attribute(run.key, "train/loss", times=1)
    result = export(source, tmp_path)
    assert [f.attribute_path for f in result.failures] == ["train/loss"]
    assert not result.complete
    assert_holds(tmp_path, run.adapted(lambda a: None if a.path == "train/loss" else a))
    receipt = dataset_of(tmp_path).folder(run.key).receipt
    assert receipt is not None and [f.attribute_path for f in receipt.failures] == ["train/loss"]

    source.reads.clear()
    assert export(source, tmp_path).complete
    assert source.reads == [(run.key, "train/loss")]
    assert_holds(tmp_path, run)
    healed = dataset_of(tmp_path).folder(run.key).receipt
    assert healed is not None and not healed.failures


@pytest.mark.parametrize("force", [False, True])
def test_a_failure_is_kept_by_an_export_that_does_not_ask_for_its_class(tmp_path: Path, force: bool) -> None:
    run = a_run().plus(float_series("train/loss", [(0, 1.0)]))
    source = MemorySource([run])
    source.fail_attribute(run.key, "train/loss", times=1)
    export(source, tmp_path)
    export(source, tmp_path, attributes=PARAMETERS_ONLY, force=force)
    receipt = dataset_of(tmp_path).folder(run.key).receipt
    assert receipt is not None and [f.attribute_path for f in receipt.failures] == ["train/loss"]
    assert export(source, tmp_path).complete
    assert_holds(tmp_path, run)


@pytest.mark.parametrize("path", ["", "train/loss"])
def test_what_failed_without_a_type_is_asked_for_by_whoever_asks_for_as_much(
    tmp_path: Path, path: str
) -> None:
    """The source may not know the type of what it could not read, and of a whole run there is none."""

    class Untyped(MemorySource):
        def read(self, group: Sequence[RunRequest], files: FileWriter) -> Iterator[ReadEvent]:
            for event in super().read(group, files):
                yield replace(event, attribute_type=None) if isinstance(event, AttributeFailure) else event

    run = a_run().plus(float_series("train/loss", [(0, 1.0)]))
    source = Untyped([run])
    source.fail_attribute(run.key, path, times=1)
    no_files = AttributeSelection(classes=ALL_CLASSES - {AttributeClass.FILES})
    export(source, tmp_path, attributes=no_files)
    export(source, tmp_path, attributes=PARAMETERS_ONLY)
    receipt = dataset_of(tmp_path).folder(run.key).receipt
    assert receipt is not None and [f.attribute_path for f in receipt.failures] == [path]
    export(source, tmp_path, attributes=no_files)
    healed = dataset_of(tmp_path).folder(run.key).receipt
    assert healed is not None and not healed.failures
    assert_holds(
        tmp_path, run.adapted(lambda a: None if a.type.attribute_class is AttributeClass.FILES else a)
    )


def test_a_permanent_failure_is_kept_and_not_asked_for_again(tmp_path: Path) -> None:
    run = a_run()
    source = MemorySource([run])
    source.fail_attribute(run.key, "config/lr", permanent=True)
    assert not export(source, tmp_path).complete
    source.reads.clear()
    again = export(source, tmp_path)
    assert source.reads == []
    assert [f.attribute_path for f in again.missing] == ["config/lr"]
    assert not again.complete
    only_files = AttributeSelection(classes=frozenset({AttributeClass.FILES}))
    assert export(source, tmp_path, attributes=only_files).complete
    receipt = dataset_of(tmp_path).folder(run.key).receipt
    assert receipt is not None and [f.attribute_path for f in receipt.failures] == ["config/lr"]


def test_a_failure_keeps_what_an_earlier_export_had(tmp_path: Path) -> None:
    run = a_run()
    source = MemorySource([run])
    export(source, tmp_path)
    assert run.modified_at is not None
    source.touch(run.key, run.modified_at + timedelta(hours=1))
    source.fail_attribute(run.key, "config/lr", times=1)
    assert not export(source, tmp_path).complete
    assert_holds(tmp_path, run)


def test_progress_knows_the_projects_and_how_many_runs_are_to_come(tmp_path: Path) -> None:
    told: list[tuple[object, ...]] = []

    class Telling(Progress):
        def start(self, stage: str, total: int | None = None) -> None:
            told.append((stage, total))

        def advance(self, runs: int = 0, rows: int = 0, bytes: int = 0) -> None:
            if runs:
                told.append((runs,))

    source = MemorySource([a_run(f"RUN-{n}") for n in range(3)] + [a_run(project="acme/text")])
    export(source, tmp_path, project_ids=("acme/vision", "acme/text"), progress=Telling())
    assert told == [
        ("export acme/vision (1 of 2)", None),
        ("export acme/vision (1 of 2)", 3),
        *[(1,)] * 3,
        ("export acme/text (2 of 2)", None),
        ("export acme/text (2 of 2)", 1),
        (1,),
    ]


def test_a_listing_that_breaks_off_costs_only_what_was_not_listed(tmp_path: Path) -> None:
    class Breaking(MemorySource):
        def runs(self, project_id: str, selection: RunSelection) -> Iterator[SourceRun]:
            listed = super().runs(project_id, selection)
            yield next(listed)
            yield next(listed)
            raise SourceError("the listing broke off")

    runs = [a_run(f"RUN-{n}") for n in range(5)]
    result = export(Breaking(runs), tmp_path)
    (project,) = result.projects
    assert (project.listed, project.exported, project.error) == (2, 2, "the listing broke off")
    assert_holds(tmp_path, *runs[:2])
    assert export(MemorySource(runs), tmp_path).complete
    assert_holds(tmp_path, *runs)


def test_a_run_that_broke_off_is_not_published_and_others_are(tmp_path: Path) -> None:
    broken, whole = a_run("RUN-1"), a_run("RUN-2")
    source = MemorySource([broken, whole], group_size=1)
    source.fail_run(broken.key, times=1)
    result = export(source, tmp_path)
    assert not result.complete
    assert [(f.run, f.attribute_path) for f in result.failures] == [(broken.key, "")]
    assert dataset_of(tmp_path).run(broken.key) is None
    assert_holds(tmp_path, whole)
    assert export(source, tmp_path).complete
    assert_holds(tmp_path, broken, whole)


def test_a_publication_that_fails_is_finished_by_the_next_export(tmp_path: Path) -> None:
    """The disk refuses one receipt: the export ends, and what it had read is not read again."""
    runs = [a_run(f"RUN-{n}") for n in range(5)]
    source = MemorySource(runs)
    in_the_way = tmp_path / "data" / Place.of(runs[2].key).receipt / "something"
    in_the_way.mkdir(parents=True)
    with pytest.raises(DatasetError, match="cannot be renamed"):
        export(source, tmp_path)
    in_the_way.rmdir()
    in_the_way.parent.rmdir()
    read = {key for key, _ in source.reads}
    assert runs[2].key in read
    source.reads.clear()
    result = export(source, tmp_path)
    assert result.complete
    assert runs[2].key in result.recovered.finished
    assert runs[2].key not in {key for key, _ in source.reads}
    assert export(source, tmp_path, force=True).complete, "a writer of the failed export is still there"
    assert_holds(tmp_path, *runs)


def test_a_failing_project_does_not_stop_the_others(tmp_path: Path) -> None:
    bad, good = a_run(project="acme/a"), a_run(project="acme/b")
    source = MemorySource([bad, good])
    source.fail_project("acme/a")
    result = export(source, tmp_path)
    assert {p.project_id: p.error is not None for p in result.projects} == {"acme/a": True, "acme/b": False}
    assert not result.complete
    assert_holds(tmp_path, good)


@pytest.mark.parametrize("project_ids", [(), ("acme/vision",)], ids=["discovered", "named"])
def test_refused_credentials_end_the_export(tmp_path: Path, project_ids: tuple[str, ...]) -> None:
    source = MemorySource([a_run()])
    source.refuse_credentials()
    with pytest.raises(AuthenticationError, match="refused"):
        export(source, tmp_path, project_ids=project_ids)
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    source = MemorySource([a_run("RUN-1"), a_run("RUN-2")])
    result = export(source, tmp_path, dry_run=True)
    assert [(p.key.run_id, p.action) for p in result.planned] == [
        ("RUN-1", Action.NEW),
        ("RUN-2", Action.NEW),
    ]
    assert list(tmp_path.iterdir()) == []
    assert source.reads == []


def test_run_ids_match_whole(tmp_path: Path) -> None:
    source = MemorySource([a_run("RUN-1"), a_run("RUN-10"), a_run("RUN-2")])
    export(source, tmp_path, runs=RunSelection(patterns=("RUN-1",), ids=frozenset({"RUN-2"})))
    assert sorted(r.key.run_id for r in dataset_of(tmp_path).runs()) == ["RUN-1", "RUN-2"]


def test_ids_that_were_named_and_that_no_run_has_are_told(tmp_path: Path) -> None:
    source = MemorySource([a_run("RUN-1"), a_run("RUN-2", "acme/text")])
    named = RunSelection(patterns=("RUN-1", "RUN-7", "EXP-.*"), ids=frozenset({"RUN-2", "RUN-9"}))
    for dry_run in (True, False):
        result = export(source, tmp_path, runs=named, dry_run=dry_run)
        assert result.unknown_ids == ["RUN-7", "RUN-9"]
        assert not result.complete and not result.failed
    since = replace(named, modified_since=datetime(2000, 1, 1, tzinfo=timezone.utc))
    assert export(source, tmp_path, runs=since).complete, "the time may have left them out"
    source.fail_project("acme/text")
    assert export(source, tmp_path, runs=named).unknown_ids == [], "nobody knows what was not listed"


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    with dataset_of(tmp_path).lock(), pytest.raises(DatasetError, match="is being written by process"):
        export(MemorySource([a_run()]), tmp_path)


def test_projects_are_discovered_by_workspace_and_pattern(tmp_path: Path) -> None:
    runs = [a_run(project=p) for p in ("acme/a", "acme/b", "acme/old-b", "other/b")]
    result = export(
        MemorySource(runs), tmp_path, workspace="acme", project_pattern="b", project_exclude_pattern="^old"
    )
    assert [p.project_id for p in result.projects] == ["acme/b"]


def test_force_reads_all_of_an_unchanged_run(tmp_path: Path) -> None:
    run = a_run()
    source = MemorySource([run])
    export(source, tmp_path)
    source.reads.clear()
    export(source, tmp_path, force=True)
    assert {p for _, p in source.reads} == {a.path for a in run.attributes}
    assert_holds(tmp_path, run)


def test_a_unit_of_work_can_be_pickled(tmp_path: Path) -> None:
    run = a_run()
    (listed,) = MemorySource([run]).runs(run.key.project_id, RunSelection())
    plan = plan_run(dataset_of(tmp_path), listed, AttributeSelection(), "memory 1", force=False)
    unit = ExportUnit(OpenSource("memory", NoSettings()), (plan,), "data", "files")
    assert pickle.loads(pickle.dumps(unit)) == unit  # noqa: S301 - our own value
