"""Sources that are wrong on purpose, each in one way that once cost someone data.

Not collected by itself: `test_kit_catches.py` runs one class at a time and looks at what fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from neptune_exporter.contract import (
    FileWriter,
    ReadEvent,
    RunDone,
    RunRequest,
    RunRows,
    RunSelection,
    Source,
    SourceRun,
)
from neptune_exporter.testing import MemorySource, SampleRun, themed_runs
from neptune_exporter.testing.sources import SourceConformance


class _AlteringSource(MemorySource):
    """Alters every batch; subclasses say how."""

    def alter(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch

    def read(self, group: Sequence[RunRequest], files: FileWriter) -> Iterator[ReadEvent]:
        for event in super().read(group, files):
            yield replace(event, batch=self.alter(event.batch)) if isinstance(event, RunRows) else event


class _WrongSource(SourceConformance):
    capabilities = MemorySource.CAPABILITIES
    make: Callable[[Sequence[SampleRun]], Source]

    @pytest.fixture
    def source_runs(self) -> Sequence[SampleRun]:
        themes = ("types", "numbers", "non-finite", "steps-duplicate", "identities")
        return [run for theme in themes for run in themed_runs(theme)]

    @pytest.fixture
    def source(self, source_runs: Sequence[SampleRun]) -> Source:
        return type(self).make(source_runs)


class RoundingSource(_AlteringSource):
    def alter(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Integers on the way through float64, as a frame with a gap carries them."""
        if "int_value" not in batch.schema.names:
            return batch
        exact = batch.column("int_value")
        rounded = pc.if_else(
            pc.less(pc.abs_checked(pc.if_else(pc.equal(exact, -(2**63)), 0, exact)), 2**62),
            exact.cast(pa.float64(), safe=False).cast(pa.int64(), safe=False),
            exact,
        )
        return _with(batch, "int_value", rounded)


class TestRoundsIntegers(_WrongSource):
    make = RoundingSource


class NanAsNullSource(_AlteringSource):
    def alter(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if "float_value" not in batch.schema.names:
            return batch
        values = batch.column("float_value")
        return _with(batch, "float_value", pc.if_else(pc.is_nan(values), None, values))


class TestTurnsNanIntoNull(_WrongSource):
    make = NanAsNullSource


class NanDroppingSource(_AlteringSource):
    def alter(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if "float_value" not in batch.schema.names:
            return batch
        return batch.filter(pc.invert(pc.fill_null(pc.is_nan(batch.column("float_value")), False)))


class TestDropsNan(_WrongSource):
    make = NanDroppingSource


class PhantomSource(MemorySource):
    """A row without a value for every attribute that another run of the group has."""

    def read(self, group: Sequence[RunRequest], files: FileWriter) -> Iterator[ReadEvent]:
        for event in super().read(group, files):
            if isinstance(event, RunDone):
                names = pa.array(["of another run"]), pa.array(["string"])
                columns = ["attribute_path", "attribute_type"]
                yield RunRows(event.run, pa.RecordBatch.from_arrays(list(names), names=columns))
            yield event


class TestDeliversPhantoms(_WrongSource):
    make = PhantomSource


class SearchingSource(MemorySource):
    """Searches patterns instead of matching whole ids."""

    def runs(self, project_id: str, selection: RunSelection) -> Iterator[SourceRun]:
        everything = replace(selection, patterns=(), ids=frozenset())
        for run in super().runs(project_id, everything):
            run_id = run.key.run_id
            if selection.matches_id(run_id) or any(re.search(p, run_id) for p in selection.patterns):
                yield run


class TestTakesRun10ForRun1(_WrongSource):
    make = SearchingSource


class GreedySource(MemorySource):
    """Reads everything, whatever was asked for."""

    def read(self, group: Sequence[RunRequest], files: FileWriter) -> Iterator[ReadEvent]:
        yield from super().read(
            [RunRequest(request.run, type(request.attributes)()) for request in group], files
        )


class TestIgnoresTheRequest(_WrongSource):
    make = GreedySource


class DeduplicatingSource(_AlteringSource):
    def alter(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """One row for a step, as a frame that is indexed by steps has."""
        rows, seen, kept = batch.to_pylist(), set(), []
        for number, row in enumerate(rows):
            place = (row["attribute_path"], row.get("step"), row.get("step_float64"))
            if place not in seen:
                kept.append(number)
            seen.add(place)
        return batch.take(pa.array(kept, pa.int64()))


class TestMergesDuplicateSteps(_WrongSource):
    make = DeduplicatingSource


class PathBuildingSource(_AlteringSource):
    def alter(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """File rows with a path that the source made up."""
        if "file_value" not in batch.schema.names:
            return batch
        column = batch.column("file_value")
        paths = [None if cell is None else {"path": f"files/{cell['path']}"} for cell in column.to_pylist()]
        return _with(batch, "file_value", pa.array(paths, column.type))


class TestBuildsFilePaths(_WrongSource):
    make = PathBuildingSource


class TalkativeSource(MemorySource):
    """Goes on after it said that a run is done."""

    def read(self, group: Sequence[RunRequest], files: FileWriter) -> Iterator[ReadEvent]:
        for event in super().read(group, files):
            yield event
            if isinstance(event, RunDone):
                yield event


class TestIsDoneTwice(_WrongSource):
    make = TalkativeSource


class ForgetfulSource(MemorySource):
    """Leaves out what it says that it has read before, as if core did not ask for it."""

    def read(self, group: Sequence[RunRequest], files: FileWriter) -> Iterator[ReadEvent]:
        known = {request.run.key for request in group if request.memory}
        for event in super().read(group, files):
            if isinstance(event, RunDone):
                yield replace(event, memory="read")
            elif event.run not in known:
                yield event


class TestReadsOnlyWhatIsNew(_WrongSource):
    make = ForgetfulSource


def _with(batch: pa.RecordBatch, name: str, column: pa.Array) -> pa.RecordBatch:
    return batch.set_column(batch.schema.get_field_index(name), name, column)
