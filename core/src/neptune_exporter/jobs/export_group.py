"""The unit of work of an export: one group of runs, read from the source into the dataset."""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, wait
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from neptune_exporter.contract import (
    AttributeFailure,
    DatasetError,
    NeptuneExporterError,
    ReadEvent,
    RunDone,
    RunRows,
    Source,
    SourceError,
    UnreadError,
)
from neptune_exporter.dataset import RowsError, RunWriter
from neptune_exporter.errors import BusyRunError
from neptune_exporter.jobs.executors import Worker
from neptune_exporter.jobs.export_result import Written
from neptune_exporter.jobs.failing import internal_error
from neptune_exporter.jobs.not_found import SeenPaths, WatchedRequest
from neptune_exporter.jobs.opening import OpenSource, dataset_of
from neptune_exporter.jobs.planning import Action, RunPlan
from neptune_exporter.location import Location
from neptune_exporter.model import RunKey
from neptune_exporter.redaction import redact
from neptune_exporter.toolkit import AwayError, TransientError, failpoint

if TYPE_CHECKING:
    import pyarrow as pa

_log = logging.getLogger(__name__)
_WAIT_FOR_OTHERS = 60.0
"""Seconds to wait for a worker that the cluster believed dead and that is still writing a run."""
_SMALL_ROWS = 8_192
"""A new run with no more rows is written by the thread that reads it."""


@dataclass(frozen=True)
class ExportUnit:
    """A group of runs to export: small, can be pickled, names its plugin and settings."""

    source: OpenSource
    plans: tuple[RunPlan, ...]
    data_path: Location
    files_path: Location


@dataclass
class GroupResult(Written):
    """The result of a unit."""

    published: int = 0
    unpublished: int = 0
    empty: int = 0
    """Runs without any of the attributes that were requested by path: they are not written."""
    seen: SeenPaths | None = None
    """Set if attributes were requested by path."""

    def add(self, other: GroupResult) -> None:
        self.published += other.published
        self.unpublished += other.unpublished
        self.empty += other.empty
        self.count(other)
        if self.seen is not None and other.seen is not None:
            self.seen.add(other.seen)


class _Stopped(Exception):  # noqa: N818 - not an error
    """The job is ending: give up without publishing."""


def run_unit(unit: ExportUnit, worker: Worker) -> GroupResult:
    """Read a group and publish every run of it that was read to its end. Raises AuthenticationError, and
    DatasetError if the dataset cannot be written."""
    if not worker.is_shared:
        return _read(unit, worker)
    dataset = dataset_of(unit.data_path, unit.files_path)
    keys = [plan.planned.key for plan in unit.plans]
    with dataset.writing(keys, _WAIT_FOR_OTHERS) as busy:
        plans = tuple(plan for plan in unit.plans if plan.planned.key not in busy)
        result = _read(replace(unit, plans=plans), worker)
    for key in busy:
        message = "another worker is still writing it: export again"
        result.add(GroupResult(unpublished=1, failures=[AttributeFailure(key, "", None, message)]))
    return result


def _read(unit: ExportUnit, worker: Worker) -> GroupResult:
    source = worker.kept(unit.source)
    group = _Group(unit, worker)
    alone: tuple[RunPlan, ...] = ()
    try:
        group.read(source)
    except _Stopped:
        pass
    except UnreadError as error:
        group.lose(error.failures)
        alone = group.unread
    except SourceError as error:
        if len(group.unread) > 1 and not isinstance(error, AwayError):
            alone = group.unread
        else:
            group.give_up(str(error), error.attempts if isinstance(error, TransientError) else 1)
    except (NeptuneExporterError, ImportError):
        raise
    except Exception as error:  # noqa: BLE001 - an unexpected value must not stop the runs after it
        message = internal_error(unit.source.plugin, error)
        if len(group.unread) > 1:
            alone = group.unread
        else:
            group.give_up(message)
    finally:
        group.close()
    # only reading the runs one by one shows which of them fails; not while the server does not answer
    for plan in alone:
        group.result.add(_read(replace(unit, plans=(plan,)), worker))
    return group.result


@dataclass
class _Reading:
    """A run of which something has been read."""

    writer: RunWriter
    written: Written = field(default_factory=Written)


class _Group:
    """The writers of a group's runs, and the results so far."""

    def __init__(self, unit: ExportUnit, worker: Worker) -> None:
        self.result = GroupResult()
        self._dataset = dataset_of(unit.data_path, unit.files_path)
        self._plans = {plan.planned.key: self._watched(plan) for plan in unit.plans}
        self._reading: dict[RunKey, _Reading] = {}
        self._lost: set[RunKey] = set()
        self._publishing: deque[tuple[_Reading, RunPlan, Future[None]]] = deque()
        self._progress = worker.progress
        self._stop = worker.stop

    def _watched(self, plan: RunPlan) -> RunPlan:
        request = plan.request
        wanted = request.attributes.wanted
        if wanted.is_of_all_paths:
            return plan
        if self.result.seen is None:
            self.result.seen = SeenPaths(wanted)
        watched = WatchedRequest(**vars(request.attributes), seen=self.result.seen)
        return replace(plan, request=replace(request, attributes=watched))

    @property
    def unread(self) -> tuple[RunPlan, ...]:
        """Runs that have not been read to their end."""
        return tuple(self._plans.values())

    def read(self, source: Source) -> None:
        self._check_going_on()
        version = source.version
        files = self._dataset.files()
        for event in source.read([plan.request for plan in self._plans.values()], files):
            self._check_going_on()
            if event.run not in self._lost:
                with self._costing_only(event.run):
                    self._take(event, version)
        for key in list(self._plans):
            with self._costing_only(key):
                self._publish(RunDone(key), version)

    def _check_going_on(self) -> None:
        if self._stop.is_set():
            raise _Stopped

    def _take(self, event: ReadEvent, version: str) -> None:
        if isinstance(event, RunRows):
            self._write(event.run, event.batch)
        elif isinstance(event, AttributeFailure):
            # A client's message may quote its token, and the receipt is permanent.
            failure = replace(event, message=redact(event.message))
            reading = self._read(event.run)
            reading.writer.fail(failure)
            reading.written.failures.append(failure)
        else:
            self._publish(event, version)

    @contextlib.contextmanager
    def _costing_only(self, key: RunKey) -> Iterator[None]:
        """An error of a run costs that run; an error of the dataset ends the job."""
        try:
            yield
        except (RowsError, BusyRunError) as error:
            self._lose(key, str(error))
        except (NeptuneExporterError, ImportError):
            raise
        except OSError as error:
            raise DatasetError(f"{key} cannot be written: {error}") from error
        except Exception as error:  # noqa: BLE001 - an unexpected value must not stop the runs after it
            self._lose(key, internal_error(key, error))

    def _lose(self, key: RunKey, message: str, attempts: int = 1) -> None:
        """The run stays unpublished and is read again next time."""
        self._lost.add(key)
        self._plans.pop(key, None)
        reading = self._reading.pop(key, None)
        if reading is not None:
            self.result.failures.extend(reading.written.failures)
            reading.writer.discard()
        _log.info("%s: not exported: %s", key, message)
        self.result.unpublished += 1
        self.result.failures.append(AttributeFailure(key, "", None, message, attempts))

    def _read(self, key: RunKey) -> _Reading:
        reading = self._reading.get(key)
        if reading is None:
            if key not in self._plans:
                raise SourceError(f"the source delivered rows of {key}, which is done or was not asked for")
            reading = self._reading[key] = _Reading(self._dataset.writer(key))
        return reading

    def _write(self, key: RunKey, batch: pa.RecordBatch) -> None:
        reading = self._read(key)
        reading.writer.write(batch)
        failpoint("export.rows-written")
        files, file_bytes = _files_of(batch)
        reading.written.count(Written(batch.num_rows, files, file_bytes))
        self._progress.advance(rows=batch.num_rows, bytes=batch.nbytes + file_bytes)

    def _publish(self, done: RunDone, version: str) -> None:
        reading = self._read(done.run)
        plan = self._plans[done.run]
        if _has_nothing(plan, reading):
            del self._plans[done.run], self._reading[done.run]
            reading.writer.discard()
            self.result.empty += 1
            self._progress.advance(runs=1)
            return
        run = replace(plan.request.run, notes=(*plan.request.run.notes, *done.notes))
        failpoint("export.before-publish")
        prepare = partial(
            reading.writer.prepare,
            run,
            version,
            plan.selections,
            asked=plan.request.attributes,
            retried=plan.retried,
            ended=plan.can_end.intersection(map(redact, done.ended)),
            stays=plan.stays,
            memory=done.memory or plan.request.memory,
        )
        # From here on, a failed run is not discarded: the next export finishes it.
        del self._plans[done.run], self._reading[done.run]
        small = reading.written.rows <= _SMALL_ROWS and plan.planned.action is Action.NEW
        self._publishing.append((reading, plan, self._dataset.publish(prepare, small=small)))
        while self._publishing and self._publishing[0][2].done():
            self._published(*self._publishing.popleft())

    def _published(self, reading: _Reading, plan: RunPlan, visible: Future[None]) -> None:
        key = reading.writer.key
        with self._costing_only(key):
            try:
                visible.result()
            except BaseException:
                reading.writer.abandon()
                raise
        if key in self._lost:
            return
        failpoint("export.run-published")
        written = reading.written
        _log.info("%s: exported: rows %s, files %s", key, f"{written.rows:,}", f"{written.files:,}")
        written.failures.extend(reading.writer.lost)
        written.missing.extend(_still_missing(plan, reading.writer.update.still_failed))
        self.result.published += 1
        self.result.count(written)
        self._progress.advance(runs=1)

    def lose(self, failures: Iterable[AttributeFailure]) -> None:
        """Note that these runs cannot be read."""
        for failure in failures:
            if failure.run in self._plans:
                self._lose(failure.run, failure.message, failure.attempts)

    def give_up(self, message: str, attempts: int = 1) -> None:
        """Note that the rest of the group cannot be read."""
        for key in list(self._plans):
            self._lose(key, message, attempts)

    def close(self) -> None:
        """Wait for the runs that are being published, and discard the others."""
        try:
            while self._publishing:
                self._published(*self._publishing.popleft())
        finally:
            wait([visible for *_, visible in self._publishing])
            for reading, *_ in self._publishing:
                reading.writer.abandon()
            for reading in self._reading.values():
                reading.writer.discard()
            self._reading.clear()


def _has_nothing(plan: RunPlan, reading: _Reading) -> bool:
    """Whether a new run has none of the attributes requested by path: a wrong path must not write empty
    runs."""
    by_path = not plan.request.attributes.wanted.is_of_all_paths
    has_any = reading.written.rows or reading.written.failures
    return by_path and plan.planned.action is Action.NEW and not has_any


def _still_missing(plan: RunPlan, still_failed: Iterable[AttributeFailure]) -> Iterator[AttributeFailure]:
    """Old failures that stay, of what is wanted now, except those that the plan named.

    They need not be permanent: what failed in another folder of a partial run is not in the folder that was
    read now.
    """
    wanted = plan.request.attributes.wanted
    for failure in still_failed:
        path, kind = failure.attribute_path, failure.attribute_type
        is_known = failure.lost or failure in plan.missing
        if not is_known and (not path or wanted.includes(path, kind)):
            yield failure


def _files_of(batch: pa.RecordBatch) -> tuple[int, int]:
    if "file_size" not in batch.schema.names:
        return 0, 0
    import pyarrow.compute as pc

    sizes = batch.column("file_size")
    return len(sizes) - sizes.null_count, pc.sum(sizes).as_py() or 0
