"""The unit of work of an export: one group of runs, read from the source into the dataset."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future, wait
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from neptune_exporter.contract import (
    AttributeFailure,
    RunDone,
    RunRows,
    Source,
    SourceError,
    SourceSpec,
    failpoint,
)
from neptune_exporter.dataset import Dataset, RunWriter
from neptune_exporter.jobs.planning import RunPlan
from neptune_exporter.model import RunKey
from neptune_exporter.redaction import redact

if TYPE_CHECKING:
    import pyarrow as pa

    from neptune_exporter.jobs.progress import Progress

FAILPOINTS = ("export.rows-written", "export.before-publish", "export.run-published")


@dataclass(frozen=True)
class ExportUnit:
    """A group of runs to export: small, can be pickled, names its plugin and settings."""

    source: str
    settings: object
    plans: tuple[RunPlan, ...]
    data_path: str
    files_path: str


@dataclass
class GroupResult:
    """What became of a unit."""

    published: int = 0
    unpublished: int = 0
    rows: int = 0
    files: int = 0
    file_bytes: int = 0
    failures: list[AttributeFailure] = field(default_factory=list)


_sources: dict[str, Source] = {}
_sources_lock = threading.Lock()


def open_source(spec: SourceSpec, settings: object) -> Source:
    """Make a source and let this process's units of the same plugin use it."""
    source = spec.factory(settings)
    with _sources_lock:
        _sources[spec.name] = source
    return source


def _source_of(unit: ExportUnit) -> Source:
    with _sources_lock:
        source = _sources.get(unit.source)
    if source is not None:
        return source
    from neptune_exporter.plugins import PluginRegistry  # in another process: find the plugin again

    return open_source(PluginRegistry.discover().source(unit.source), unit.settings)


@lru_cache(maxsize=1)
def _dataset(data_path: str, files_path: str) -> Dataset:
    """One per process, so that all its units share one budget of memory."""
    return Dataset(data_path, files_path)


class _Stopped(Exception):  # noqa: N818 - not an error
    """The job is ending: give up without publishing."""


def run_unit(
    unit: ExportUnit, progress: Progress | None = None, stop: threading.Event | None = None
) -> GroupResult:
    """Read a group and publish every run of it that was read to its end.

    Raises:
        AuthenticationError: the credentials were refused.
        DatasetError: the dataset cannot be written.
    """
    group = _Group(unit, progress, stop)
    try:
        group.read(_source_of(unit))
    except _Stopped:
        pass
    except SourceError as error:
        group.give_up(str(error))
    finally:
        group.close()
    return group.result


@dataclass(frozen=True)
class _Publishing:
    """A run that was read to its end."""

    writer: RunWriter
    failures: list[AttributeFailure]
    visible: Future[None]


class _Group:
    """The writers of a group's runs, and what happened so far."""

    def __init__(self, unit: ExportUnit, progress: Progress | None, stop: threading.Event | None) -> None:
        self.result = GroupResult()
        self._dataset = _dataset(unit.data_path, unit.files_path)
        self._plans = {plan.planned.key: plan for plan in unit.plans}
        self._writers: dict[RunKey, RunWriter] = {}
        self._failures: dict[RunKey, list[AttributeFailure]] = {}
        self._publishing: deque[_Publishing] = deque()
        self._progress = progress
        self._stop = stop

    def read(self, source: Source) -> None:
        version = source.version
        files = self._dataset.files()
        for event in source.read([plan.request for plan in self._plans.values()], files):
            if self._stop is not None and self._stop.is_set():
                raise _Stopped
            if isinstance(event, RunRows):
                self._write(event.run, event.batch)
            elif isinstance(event, AttributeFailure):
                # A client's message may quote its token, and the receipt is kept for ever.
                failure = replace(event, message=redact(event.message))
                self._writer(event.run).fail(failure)
                self._failures.setdefault(event.run, []).append(failure)
            else:
                self._publish(event, version)
        for key in list(self._plans):
            self._publish(RunDone(key), version)

    def _writer(self, key: RunKey) -> RunWriter:
        writer = self._writers.get(key)
        if writer is None:
            plan = self._plans.get(key)
            if plan is None:
                raise SourceError(f"the source delivered rows of {key}, which is done or was not asked for")
            writer = self._dataset.writer(key)
            self._writers[key] = writer
        return writer

    def _write(self, key: RunKey, batch: pa.RecordBatch) -> None:
        self._writer(key).write(batch)
        failpoint("export.rows-written")
        files, file_bytes = _files_of(batch)
        self.result.rows += batch.num_rows
        self.result.files += files
        self.result.file_bytes += file_bytes
        if self._progress is not None:
            self._progress.advance(rows=batch.num_rows, bytes=batch.nbytes + file_bytes)

    def _publish(self, done: RunDone, version: str) -> None:
        writer = self._writer(done.run)
        plan = self._plans.pop(done.run)
        run = replace(plan.request.run, notes=(*plan.request.run.notes, *done.notes))
        failures = self._failures.pop(done.run, [])
        failpoint("export.before-publish")
        prepare = partial(
            writer.prepare,
            run,
            version,
            plan.selections,
            # What failed now may have been read well before: then the old rows are all there is.
            keep_others=plan.keep_others or bool(failures),
            retried=plan.retried,
        )
        # What fails from here on is left for the next export to finish, not thrown away.
        del self._writers[done.run]
        self._publishing.append(_Publishing(writer, failures, self._dataset.publish(prepare)))
        while self._publishing and self._publishing[0].visible.done():
            self._published(self._publishing.popleft())

    def _published(self, run: _Publishing) -> None:
        try:
            run.visible.result()
        except BaseException:
            run.writer.abandon()
            raise
        failpoint("export.run-published")
        self.result.published += 1
        self.result.failures.extend(run.failures)
        if self._progress is not None:
            self._progress.advance(runs=1)

    def give_up(self, message: str) -> None:
        """The rest of the group cannot be read: its runs stay unpublished and are read again next time."""
        for key in self._plans:
            self.result.unpublished += 1
            self.result.failures.extend(self._failures.pop(key, []))
            self.result.failures.append(AttributeFailure(key, "", None, message))

    def close(self) -> None:
        """Wait for what is being published, and throw away what is not."""
        try:
            while self._publishing:
                self._published(self._publishing.popleft())
        finally:
            wait([run.visible for run in self._publishing])
            for run in self._publishing:
                run.writer.abandon()
            for writer in self._writers.values():
                writer.discard()
            self._writers.clear()


def _files_of(batch: pa.RecordBatch) -> tuple[int, int]:
    if "file_size" not in batch.schema.names:
        return 0, 0
    import pyarrow.compute as pc

    sizes = batch.column("file_size")
    return len(sizes) - sizes.null_count, pc.sum(sizes).as_py() or 0
