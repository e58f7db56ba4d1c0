"""What nobody foresaw in one run costs that run, and none of those behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pyarrow as pa
import pytest

from neptune_exporter.contract import (
    AttributeFailure,
    FileWriter,
    ReadEvent,
    RunDone,
    RunRequest,
    RunRows,
    RunSelection,
    SourceRun,
    UnreadError,
)
from neptune_exporter.dataset import Dataset
from neptune_exporter.jobs.export import ExportOptions, ExportResult, export_runs
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.redaction import remember
from neptune_exporter.testing.memory_source import MemorySource, memory_source_spec
from neptune_exporter.testing.runs import SampleRun, float_series, parameter

KEYS = [RunKey("acme/vision", f"RUN-{n}") for n in range(7)]
BAD = KEYS[1]
SECRET = "token-of-the-tests"
RUNS = [
    SampleRun(
        key,
        (parameter("lr", 0.1), float_series("loss", [(n, 1.0) for n in range(10)])),
        modified_at=datetime(2024, 5, 1, tzinfo=timezone.utc),
    )
    for key in KEYS
]


class Odd(MemorySource):
    """Has a run of which it delivers what no source should."""

    def __init__(self, of_bad: Callable[[], ReadEvent]) -> None:
        super().__init__(RUNS, group_size=3, batch_rows=4)
        self._of_bad = of_bad

    def _read_run(self, request: RunRequest, files: FileWriter) -> Iterator[ReadEvent]:
        for event in super()._read_run(request, files):
            yield self._of_bad() if event.run == BAD and isinstance(event, RunRows) else event


def export(source: MemorySource, folder: Path) -> ExportResult:
    options = ExportOptions((), folder / "data", folder / "files", workers=2)
    return export_runs(memory_source_spec(source), None, options, Progress())


def assert_only_bad_is_missing(source: MemorySource, folder: Path, message: str) -> None:
    for exported in (6, 0):
        result = export(source, folder)
        (project,) = result.projects
        assert (project.exported, project.failed_runs, project.up_to_date) == (exported, 1, 6 - exported)
        assert [(f.run, f.attribute_path, f.message) for f in result.failures] == [(BAD, "", message)]
        assert result.rows == 11 * exported
        assert not result.complete
    runs = list(Dataset(folder / "data", folder / "files").runs())
    assert {run.key for run in runs} == {*KEYS} - {BAD}
    assert [run.row_count() for run in runs] == [11] * 6


def raised() -> ReadEvent:
    raise KeyError(f"an answer that\nnobody foresaw, for {SECRET}")


def no_rows() -> ReadEvent:
    return RunRows(BAD, None)  # type: ignore[arg-type]


def unknown_type() -> ReadEvent:
    return RunRows(BAD, pa.RecordBatch.from_pydict({"attribute_path": ["a"], "attribute_type": ["complex"]}))


@pytest.mark.parametrize(
    ("of_bad", "message"),
    [
        (raised, r"internal error: KeyError: 'an answer that\nnobody foresaw, for ***'"),
        (no_rows, "internal error: TypeError: object of type 'NoneType' has no len()"),
        (unknown_type, f"a row of {BAD} has an unknown attribute_type 'complex'"),
    ],
)
def test_while_it_is_read(tmp_path: Path, of_bad: Callable[[], ReadEvent], message: str) -> None:
    remember(SECRET)
    assert_only_bad_is_missing(Odd(of_bad), tmp_path, message)


def test_while_it_is_published(tmp_path: Path) -> None:
    class Nameless(MemorySource):
        def runs(self, project_id: str, selection: RunSelection) -> Iterator[SourceRun]:
            for run in super().runs(project_id, selection):
                yield replace(run, name=b"bytes") if run.key == BAD else run  # type: ignore[arg-type]

    message = "internal error: TypeError: Object of type bytes is not JSON serializable"
    assert_only_bad_is_missing(Nameless(RUNS), tmp_path, message)


def test_a_source_tells_of_each_run_why_it_is_unread(tmp_path: Path) -> None:
    class Telling(MemorySource):
        groups_read = 0

        def read(self, group: Sequence[RunRequest], files: FileWriter) -> Iterator[ReadEvent]:
            self.groups_read += 1
            bad = [request for request in group if request.run.key in KEYS[:2]]
            yield from super().read([request for request in group if request not in bad], files)
            if bad:
                raise UnreadError(
                    [AttributeFailure(r.run.key, "", None, f"no {r.run.key.run_id}", 3) for r in bad]
                )

    source = Telling(RUNS, group_size=3)
    result = export(source, tmp_path)
    told = [(f.run, f.attribute_path, f.message, f.attempts) for f in result.failures]
    assert told == [(KEYS[0], "", "no RUN-0", 3), (KEYS[1], "", "no RUN-1", 3)]
    assert (result.projects[0].exported, result.projects[0].failed_runs) == (5, 2)
    assert source.groups_read == 3  # and nothing again


def test_a_module_that_is_not_there_ends_the_export(tmp_path: Path) -> None:
    class Missing(MemorySource):
        def read(self, group: Sequence[RunRequest], files: FileWriter) -> Iterator[ReadEvent]:
            import a_client_that_is_nowhere  # noqa: F401

            yield RunDone(BAD)

    with pytest.raises(ModuleNotFoundError):
        export(Missing(RUNS), tmp_path)


class OddListing(MemorySource):
    """Has a project whose runs cannot be listed to the end, in a way that nobody foresaw."""

    def runs(self, project_id: str, selection: RunSelection) -> Iterator[SourceRun]:
        for number, run in enumerate(super().runs(project_id, selection)):
            if project_id == "acme/odd" and number == 1:
                raise KeyError(f"nobody foresaw {SECRET}")
            yield run


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_project_that_cannot_be_listed_costs_that_project(tmp_path: Path, dry_run: bool) -> None:
    remember(SECRET)
    projects = ("acme/first", "acme/odd", "acme/last")
    runs = [SampleRun(RunKey(p, f"RUN-{n}"), (parameter("lr", 0.1),)) for p in projects for n in range(2)]
    options = ExportOptions(projects, tmp_path / "data", tmp_path / "files", dry_run=dry_run)
    result = export_runs(memory_source_spec(OddListing(runs)), None, options, Progress())
    assert result.failed and not result.complete
    errors = {project.project_id: project.error for project in result.projects}
    told = "internal error: KeyError: 'nobody foresaw ***' (run with -v for the traceback)"
    assert errors == {"acme/first": None, "acme/odd": told, "acme/last": None}
    exported = [str(planned.key) for planned in result.planned] or [
        str(run.key) for run in Dataset(tmp_path / "data", tmp_path / "files").runs()
    ]
    wanted = ["acme/first:RUN-0", "acme/first:RUN-1", "acme/last:RUN-0", "acme/last:RUN-1", "acme/odd:RUN-0"]
    assert sorted(exported) == wanted


def test_what_was_not_tried_is_asked_for_by_the_next_export(tmp_path: Path) -> None:
    class GivesUp(MemorySource):
        given_up = True

        def _read_run(self, request: RunRequest, files: FileWriter) -> Iterator[ReadEvent]:
            for event in super()._read_run(request, files):
                if self.given_up and isinstance(event, RunRows):
                    yield AttributeFailure(event.run, "lr", AttributeType.FLOAT, "not tried", attempts=0)
                else:
                    yield event

    source = GivesUp(RUNS[:1])
    assert not export(source, tmp_path).complete
    source.given_up = False
    assert export(source, tmp_path).complete
    (run,) = Dataset(tmp_path / "data", tmp_path / "files").runs()
    assert "lr" in run.parameters()
