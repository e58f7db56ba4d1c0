"""A source in memory: serves sample runs without a flaw, and fails on command."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pyarrow as pa

from neptune_exporter.contract.failures import AttributeFailure
from neptune_exporter.contract.files import FileWriter, StoredFile
from neptune_exporter.contract.selection import RunSelection
from neptune_exporter.contract.source import (
    ReadEvent,
    RunDone,
    RunRequest,
    RunRows,
    Source,
    SourceRun,
    chunked,
)
from neptune_exporter.contract.specs import SourceCapabilities, SourceSpec
from neptune_exporter.errors import AuthenticationError, NeptuneExporterError, SourceError
from neptune_exporter.model import RunKey
from neptune_exporter.schema import FULL_SCHEMA
from neptune_exporter.testing.exported import cells
from neptune_exporter.testing.runs import Entry, SampleAttribute, SampleFile, SampleRun


@dataclass
class _Planned:
    """A failure that a test ordered, for the next `left` times (None: for ever)."""

    error: AttributeFailure | NeptuneExporterError
    left: int | None

    def strikes(self) -> bool:
        if self.left is None:
            return True
        self.left -= 1
        return self.left >= 0


class MemorySource(Source):
    """Serves sample runs; the model of a source.

    Args:
        runs: What it holds.
        group_size: Runs that are read together; their rows come interleaved.
        batch_rows: At most this many rows a batch.
        shuffle: Deliver rows out of order: the seed of that order.

    `reads` lists what was read, as (run, attribute path), in order.
    """

    CAPABILITIES = SourceCapabilities(
        discovers_projects=True,
        archived_runs=True,
        metric_previews=True,
        models=True,
        modification_times=True,
        needs_project=False,
    )

    def __init__(
        self,
        runs: Iterable[SampleRun],
        *,
        group_size: int = 3,
        batch_rows: int = 100,
        shuffle: int | None = None,
    ) -> None:
        self._runs = {run.key: run for run in runs}
        self._group_size = group_size
        self._batch_rows = batch_rows
        self._shuffle = shuffle
        self._failures: dict[tuple[RunKey, str], _Planned] = {}
        self._errors: dict[RunKey | str, _Planned] = {}
        self.reads: list[tuple[RunKey, str]] = []

    # What a test may change.

    def put(self, run: SampleRun) -> None:
        """Add a run, or put it in place of the one of its key."""
        self._runs[run.key] = run

    def touch(self, key: RunKey, modified_at: datetime) -> None:
        """Let a run have been modified at this time."""
        self._runs[key] = replace(self._runs[key], modified_at=modified_at)

    def fail_attribute(
        self, key: RunKey, path: str, *, times: int | None = None, permanent: bool = False
    ) -> None:
        """Name an attribute as a failure instead of delivering it; without a path the whole run."""
        attribute = self._runs[key].attribute(path)
        failure = AttributeFailure(
            key, path, attribute.type if attribute else None, f"{path or 'the run'}: HTTP 500", 3, permanent
        )
        self._failures[key, path] = _Planned(failure, times)

    def fail_run(self, key: RunKey, *, times: int | None = None, error: SourceError | None = None) -> None:
        """Raise in the middle of a run: after its first batch, or before its end if it has just one."""
        self._errors[key] = _Planned(error or SourceError(f"{key}: the connection was lost"), times)

    def fail_project(self, project_id: str, *, times: int | None = None) -> None:
        """Let the listing of a project's runs fail."""
        self._errors[project_id] = _Planned(SourceError(f"project {project_id}: HTTP 500"), times)

    def refuse_credentials(self, *, times: int | None = None) -> None:
        """Refuse everything from now on."""
        self._errors[""] = _Planned(AuthenticationError("the API token was refused"), times)

    # What a source does.

    @property
    def version(self) -> str:
        return "memory 1"

    def projects(self) -> Sequence[str]:
        self._raise_planned("")
        return sorted({key.project_id for key in self._runs})

    def runs(self, project_id: str, selection: RunSelection) -> Iterator[SourceRun]:
        self._raise_planned("")
        self._raise_planned(project_id)
        of_project = [run for run in self._runs.values() if run.key.project_id == project_id]
        if not of_project:
            raise SourceError(f"there is no project {project_id}")
        for run in of_project:
            if selection.takes(run.key, run.modified_at, is_archived=run.archived):
                yield SourceRun(run.key, run.modified_at, run.name, run.archived, size_hint=run.rows)

    def groups(self, requests: Iterable[RunRequest]) -> Iterator[Sequence[RunRequest]]:
        return chunked(requests, self._group_size)

    def read(self, group: Sequence[RunRequest], files: FileWriter) -> Iterator[ReadEvent]:
        self._raise_planned("")
        waiting = deque(self._read_run(request, files) for request in group)
        while waiting:  # one event of each run in turn
            events = waiting.popleft()
            event = next(events, None)
            if event is not None:
                yield event
                waiting.append(events)

    def _read_run(self, request: RunRequest, files: FileWriter) -> Iterator[ReadEvent]:
        key = request.run.key
        if self._strikes(key, ""):
            yield self._failure(key, "")
            yield RunDone(key)
            return
        rows: list[dict[str, Any]] = []
        for attribute in self._runs[key].asked_for(request.attributes).attributes:
            if self._strikes(key, attribute.path):
                yield self._failure(key, attribute.path)
                continue
            self.reads.append((key, attribute.path))
            rows += self._rows(key, attribute, files)
        if self._shuffle is not None:
            random.Random(self._shuffle).shuffle(rows)
        chunks = [rows[at : at + self._batch_rows] for at in range(0, len(rows), self._batch_rows)]
        for number, chunk in enumerate(chunks):
            if number > 0:
                self._raise_planned(key)
            yield RunRows(key, sparse_batch(chunk))
        if len(chunks) <= 1:
            self._raise_planned(key)
        yield RunDone(key)

    def _rows(self, key: RunKey, attribute: SampleAttribute, files: FileWriter) -> list[dict[str, Any]]:
        def store(attribute: SampleAttribute, entry: Entry, number: int) -> StoredFile:
            assert isinstance(entry.value, SampleFile)
            with files.create(
                key, attribute.path, name=entry.value.name, step=entry.step, ordinal=number
            ) as opened:
                opened.write(entry.value.content)
            return opened.stored

        return [cells(attribute, entry, number, store) for number, entry in enumerate(attribute.entries)]

    def _strikes(self, key: RunKey, path: str) -> bool:
        planned = self._failures.get((key, path))
        return planned is not None and planned.strikes()

    def _failure(self, key: RunKey, path: str) -> AttributeFailure:
        failure = self._failures[key, path].error
        assert isinstance(failure, AttributeFailure)
        return failure

    def _raise_planned(self, what: RunKey | str) -> None:
        planned = self._errors.get(what)
        if planned is not None and planned.strikes():
            assert isinstance(planned.error, NeptuneExporterError)
            raise planned.error


def sparse_batch(rows: Sequence[dict[str, Any]]) -> pa.RecordBatch:
    """Rows given as dicts, as a batch of only the columns that one of them has."""
    used = {name for row in rows for name in row}
    return pa.RecordBatch.from_pylist(
        list(rows), schema=pa.schema([f for f in FULL_SCHEMA if f.name in used])
    )


def memory_source_spec(source: Source, name: str = "memory") -> SourceSpec:
    """A spec whose factory gives this very source."""
    return SourceSpec(name, "sample runs in memory", lambda _: source, capabilities=MemorySource.CAPABILITIES)
