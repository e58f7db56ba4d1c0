"""The source in memory keeps to the contract, whatever the order in which it delivers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from neptune_exporter.contract import (
    AttributeRequest,
    AttributeSelection,
    AuthenticationError,
    RunDone,
    RunRequest,
    RunRows,
    RunSelection,
    Source,
    SourceError,
    SourceRun,
)
from neptune_exporter.model import RunKey
from neptune_exporter.testing import (
    MemoryFiles,
    MemorySource,
    SampleRun,
    float_series,
    parameter,
    sample_runs,
    themed_runs,
)
from neptune_exporter.testing.sources import SourceConformance


def _with_previews() -> SampleRun:
    (run,) = themed_runs("types")
    series = float_series("previewed", enumerate([1.0, 2.0, 3.0]))
    entries = tuple(replace(e, preview=e.value == 2.0) for e in series.entries)
    return replace(run, key=replace(run.key, run_id="previews")).plus(replace(series, entries=entries))


class TestMemorySource(SourceConformance):
    capabilities = MemorySource.CAPABILITIES

    @pytest.fixture
    def source_runs(self) -> Sequence[SampleRun]:
        return [*sample_runs(), _with_previews()]

    @pytest.fixture
    def source(self, source_runs: Sequence[SampleRun]) -> Iterator[Source]:
        self.memory = MemorySource(source_runs)
        yield self.memory
        self.memory.close()

    def break_attribute(self, key: RunKey, path: str) -> bool:
        self.memory.fail_attribute(key, path)
        return True


class TestUnsortedMemorySource(TestMemorySource):
    @pytest.fixture
    def source(self, source_runs: Sequence[SampleRun]) -> Iterator[Source]:
        self.memory = MemorySource(source_runs, group_size=50, batch_rows=2, shuffle=1)
        yield self.memory


KEY = RunKey("acme/a", "RUN-1")
RUN = SampleRun(KEY, (parameter("p", 1), float_series("m", enumerate([1.0, 2.0]))), None)


def _request(key: RunKey = KEY) -> RunRequest:
    return RunRequest(SourceRun(key), AttributeRequest())


def test_fails_an_attribute_so_many_times() -> None:
    source = MemorySource([RUN])
    source.fail_attribute(KEY, "m", times=1)
    first, second = (list(source.read([_request()], MemoryFiles())) for _ in range(2))
    assert [getattr(e, "attribute_path", "") for e in first] == ["m", "", ""]
    assert [type(e) for e in second] == [RunRows, RunDone]
    assert source.reads == [(KEY, "p"), (KEY, "p"), (KEY, "m")]


def test_fails_a_whole_run() -> None:
    source = MemorySource([RUN])
    source.fail_attribute(KEY, "")
    failure, done = list(source.read([_request()], MemoryFiles()))
    assert (failure.run, getattr(failure, "attribute_path", None)) == (KEY, "")
    assert done == RunDone(KEY)


def test_breaks_off_in_the_middle_of_a_run() -> None:
    source = MemorySource([RUN], batch_rows=2)
    source.fail_run(KEY, times=1)
    events = source.read([_request()], MemoryFiles())
    assert isinstance(next(events), RunRows)
    with pytest.raises(SourceError, match="RUN-1"):
        next(events)
    assert RunDone(KEY) in list(source.read([_request()], MemoryFiles()))


def test_fails_a_project_and_refuses_credentials() -> None:
    source = MemorySource([RUN])
    source.fail_project("acme/a", times=1)
    with pytest.raises(SourceError, match="acme/a"):
        list(source.runs("acme/a", RunSelection()))
    assert len(list(source.runs("acme/a", RunSelection()))) == 1
    source.refuse_credentials()
    with pytest.raises(AuthenticationError):
        source.projects()
    with pytest.raises(AuthenticationError):
        list(source.read([_request()], MemoryFiles()))


def test_lets_runs_be_modified() -> None:
    (run,) = themed_runs("types")
    assert run.modified_at is not None
    later = run.modified_at + timedelta(days=1)
    source = MemorySource([run])
    source.touch(run.key, later)
    (listed,) = source.runs(run.key.project_id, RunSelection(modified_since=later))
    assert listed.modified_at == later
    source.put(run.plus(parameter("new", 1)))
    wanted = AttributeRequest(AttributeSelection(names=("new",)))
    rows, _ = source.read([RunRequest(listed, wanted)], MemoryFiles())
    assert isinstance(rows, RunRows)
    assert rows.batch.num_rows == 1
