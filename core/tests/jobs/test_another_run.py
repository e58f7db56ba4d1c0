"""A run whose key the dataset has of another run, or that may be a part only: it does not take the place of
what is there unless by force."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from neptune_exporter.contract import AttributeSelection, RunSelection, SourceRun
from neptune_exporter.dataset import Dataset
from neptune_exporter.jobs.export import ExportOptions, ExportResult, export_runs
from neptune_exporter.jobs.planning import Action
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.model import AttributeClass, AttributeType, RunKey
from neptune_exporter.schema import parameter_batch
from neptune_exporter.testing import old_layout
from neptune_exporter.testing.memory_source import MemorySource, memory_source_spec
from neptune_exporter.testing.runs import SampleRun, float_series, parameter

KEY = RunKey("acme/vision", "a")
FIRST = SampleRun(KEY, (parameter("lr", 0.1), float_series("loss", [(0, 1.0)])))
SECOND = SampleRun(KEY, (parameter("lr", 0.2), parameter("depth", 3)))
PARAMETERS_ONLY = AttributeSelection(classes=frozenset({AttributeClass.PARAMETERS}))


class Identified(MemorySource):
    """Tells the identity of its run."""

    def __init__(self, run: SampleRun, identity: str) -> None:
        super().__init__([run])
        self.identity = identity

    def runs(self, project_id: str, selection: RunSelection) -> Iterator[SourceRun]:
        for run in super().runs(project_id, selection):
            yield replace(run, identity=self.identity)


def export(source: MemorySource, folder: Path, **options: object) -> ExportResult:
    chosen = ExportOptions((), folder / "data", folder / "files", **options)  # type: ignore[arg-type]
    return export_runs(memory_source_spec(source), None, chosen, Progress())


def paths(folder: Path) -> set[str]:
    (run,) = Dataset(folder / "data", folder / "files").runs()
    return {path for batch in run.batches() for path in batch.column("attribute_path").to_pylist()}


@pytest.mark.parametrize("wanted", [AttributeSelection(), PARAMETERS_ONLY], ids=["all", "parameters"])
def test_it_is_told_and_not_read(tmp_path: Path, wanted: AttributeSelection) -> None:
    assert export(Identified(FIRST, "RUN-1"), tmp_path).complete
    source = Identified(SECOND, "RUN-2")
    for dry_run in (True, False):
        result = export(source, tmp_path, attributes=wanted, dry_run=dry_run)
        assert result.failed
        assert [f.run for f in result.failures] == [KEY]
        assert "RUN-1: not RUN-2" in result.failures[0].message
        assert not result.mendable, "the next export refuses it too"
        assert (result.projects[0].listed, result.projects[0].failed_runs) == (1, 1)
        assert [p.action for p in result.planned] == [Action.REFUSE] * dry_run
    assert source.reads == []
    assert paths(tmp_path) == {"lr", "loss"}


def test_by_force_it_replaces_the_other_as_a_whole(tmp_path: Path) -> None:
    """Also where it is asked for in part, and where a part of it fails: rows of two runs are never mixed."""
    assert export(Identified(FIRST, "RUN-1"), tmp_path).complete
    source = Identified(SECOND, "RUN-2")
    source.fail_attribute(KEY, "depth")
    assert export(source, tmp_path, attributes=PARAMETERS_ONLY, force=True).mendable
    assert paths(tmp_path) == {"lr"}
    assert not export(Identified(FIRST, "RUN-1"), tmp_path).complete


@pytest.mark.parametrize(("before", "now"), [("", "RUN-2"), ("RUN-1", ""), ("RUN-1", "RUN-1")])
def test_what_cannot_be_told_apart_or_is_the_same_is_read(tmp_path: Path, before: str, now: str) -> None:
    assert export(Identified(FIRST, before), tmp_path).complete
    assert export(Identified(SECOND, now), tmp_path).complete
    assert paths(tmp_path) == {"lr", "depth"}


class Partly(MemorySource):
    """Has only what was not yet sent of its runs."""

    version = "leftovers 1"

    def runs(self, project_id: str, selection: RunSelection) -> Iterator[SourceRun]:
        for run in super().runs(project_id, selection):
            yield replace(run, partial=True)


@pytest.mark.parametrize("first", ["the whole", "a part"])
def test_a_part_of_a_run_and_what_another_source_has_of_it_do_not_replace_each_other(
    tmp_path: Path, first: str
) -> None:
    sources = [MemorySource([FIRST]), Partly([SECOND])]
    if first == "a part":
        sources.reverse()
    assert export(sources[0], tmp_path).complete
    before = paths(tmp_path)
    (failure,) = export(sources[1], tmp_path).failures
    assert f"what {sources[0].version} exported" in failure.message and "--force" in failure.message
    assert sources[1].reads == [] and paths(tmp_path) == before
    assert export(sources[0], tmp_path).complete, "the same source goes on"
    assert export(sources[1], tmp_path, force=True).complete
    assert paths(tmp_path) != before


def test_a_part_of_a_run_does_not_replace_what_another_tool_exported(tmp_path: Path) -> None:
    old_layout.write_run(tmp_path / "data", KEY, [parameter_batch([("old", AttributeType.INT, 1)])])
    source = Partly([FIRST])
    (failure,) = export(source, tmp_path).failures
    assert "what another tool exported" in failure.message
    assert source.reads == [] and paths(tmp_path) == {"old"}
