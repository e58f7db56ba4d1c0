"""Writes one run: takes rows in any order, and makes sorted parts and a receipt."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial
from itertools import chain
from typing import Any

import pyarrow as pa

from neptune_exporter.contract import AttributeFailure, AttributeRequest, AttributeSelection, SourceRun
from neptune_exporter.dataset.format import extents, publication, uploading
from neptune_exporter.dataset.format.layout import Place
from neptune_exporter.dataset.format.pieces import cut
from neptune_exporter.dataset.format.receipts import PartRecord, Receipt, handle_of
from neptune_exporter.dataset.format.sorting import Batch, SortedRows
from neptune_exporter.dataset.format.storage import Entry, Storage
from neptune_exporter.dataset.read.forking import RECEIPT_PATHS, Forking
from neptune_exporter.dataset.read.listing import RunFolders
from neptune_exporter.dataset.read.named_files import file_totals
from neptune_exporter.dataset.read.parts import Part
from neptune_exporter.dataset.read.tally import Tally
from neptune_exporter.dataset.write import cleanup, merging
from neptune_exporter.dataset.write.budget import WriteBudget
from neptune_exporter.dataset.write.buffer import RowsError, RunBuffer
from neptune_exporter.dataset.write.new_parts import NewParts
from neptune_exporter.model import FILE_TYPE_NAMES, RunKey
from neptune_exporter.toolkit import failpoint, turn

_OLDER_BYTES = 16 << 20
_STREAM_BYTES = 8 << 20
"""Rows that arrive in order are written in pieces of this size while the next ones arrive."""
_ALL = AttributeRequest()


@dataclass(frozen=True)
class ReadyRun:
    """A run that is written but not visible yet: `Dataset.publish` publishes it."""

    writer: RunWriter
    publication: publication.Publication
    stored: list[Entry]
    """The files of the run."""

    @property
    def receipt(self) -> Receipt:
        return self.publication.receipt


class RunWriter:
    """Collects the rows of one run and publishes them. Use it from one thread at a time. A run that is not
    published leaves only temporary files, which `discard` or the next `Dataset.recover` deletes."""

    def __init__(
        self,
        key: RunKey,
        place: Place,
        data: Storage,
        files: Storage,
        folders: RunFolders,
        budget: WriteBudget,
        encoder: Executor,
        closed: Callable[[RunKey], None],
    ) -> None:
        self.key = key
        self._data = data
        self._files = files
        self._budget = budget
        self._encoder = encoder
        self._closed = closed
        self._place = place
        self._lock = threading.RLock()
        self._buffer = RunBuffer(key)
        self._tally = Tally()
        self._failures: list[AttributeFailure] = []
        self.update = merging.Update(_ALL)
        self.lost: list[AttributeFailure] = []
        """Set by `prepare`, as `update`: losses of earlier exports that may never be read again."""
        self._streaming: Future[None] | None = None
        self._streamed_bytes = 0
        self._failure: BaseException | None = None
        """The first error that cost rows, in any thread. After it, nothing is published."""
        self._forking = Forking()
        self._folders = folders
        self._earlier = folders.of(place)
        if self._earlier.listed.is_pending:
            publication.finish(data, place, self._earlier.listed.part_names)
            self._earlier = folders.of(place)
        there = self._earlier.listed.part_names
        self._upload: uploading.Upload | None = None
        if not data.renames:
            before = self._earlier.receipt
            self._upload = uploading.Upload(data, self._place, tuple(there), before)  # type: ignore[arg-type]
        self._parts = NewParts(key, data, self._place, there, self._upload)

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows with any columns of `FULL_SCHEMA`; missing ones are null, strings may be dictionaries.

        Rows without a value are dropped. `project_id` and `run_id` may be left out.

        Raises:
            RowsError: the rows belong to another run, or do not fit the schema.
            DatasetError: the disk is full, now or when earlier rows of this run were written.
        """
        for piece in cut(batch):
            with self._lock:
                self._check()
                self._buffer.add(piece)
                if self._parts.in_order and self._buffer.rising >= _STREAM_BYTES:
                    self._stream()
                self._budget.holds(self, self._buffer.nbytes + self._streamed_bytes)
            self._budget.enforce()
        self._check()

    def fail(self, failure: AttributeFailure) -> None:
        """Record an attribute that could not be read."""
        with self._lock:
            self._failures.append(failure)

    def flush(self, *, last: bool = False) -> None:
        """Write the rows in memory to a part. Later calls raise an error of this. `last`: no rows follow."""
        with self._lock:
            self._wait()
            batches = self._buffer.release()
            self._budget.holds(self, 0)
            if batches:
                self._append(self._sorted(batches), last=last)

    def _stream(self) -> None:
        """Write the rows in memory while the next rows arrive; sort them while earlier ones are written."""
        rows = self._sorted(self._buffer.release_risen())
        self._wait()
        with self._noted():
            self._streamed_bytes = sum(column.nbytes for column in rows.columns.values())
            self._streaming = self._encoder.submit(self._append, rows)

    def _wait(self) -> None:
        """Wait until nothing is being written. Raises any error of the writing."""
        streaming, self._streaming, self._streamed_bytes = self._streaming, None, 0
        if streaming is not None:
            wait([streaming])
        self._check()

    def _check(self) -> None:
        """Raise the error that cost rows earlier. The thread that met it may have worked for another run."""
        if self._failure is not None:
            raise self._failure

    @contextlib.contextmanager
    def _noted(self) -> Iterator[None]:
        """Remember an error: the rows have already left the buffer."""
        try:
            yield
        except BaseException as error:
            self._failure = self._failure or error
            raise

    def _sorted(self, batches: list[Batch]) -> SortedRows:
        """Sort and count the released rows."""
        with self._noted():
            rows = self._buffer.sorted(batches)
            with turn(len(rows)):
                self._count(rows)
            return rows

    def publish(
        self,
        run: SourceRun,
        source: str,
        selections: Sequence[AttributeSelection],
        **options: Any,
    ) -> Receipt:
        """Prepare the run and publish it with its receipt; options are those of `prepare`."""
        ready = self.prepare(run, source, selections, **options)
        publish([ready])
        return ready.receipt

    def prepare(
        self,
        run: SourceRun,
        source: str,
        selections: Sequence[AttributeSelection],
        *,
        asked: AttributeRequest = _ALL,
        retried: Collection[str] = (),
        stays: merging.Stays = merging.Stays.NOT_ASKED_FOR,
        memory: str = "",
        ended: Collection[str] = (),
    ) -> ReadyRun:
        """Write everything, so that only the publication is left. `discard` can still undo it.

        Args:
            selections: What was requested of this state of the run, now and by earlier exports.
            asked: What was requested now. Old failures stay, except those that rows, failures or `retried`
                end. If everything was read again, all old failures and notes go.
            retried: Paths that had failed and were requested again.
            ended: Messages of old failures of the whole run that end.

        Raises:
            RowsError: the dataset has another run (`RunFolder.other_run`), and this one may not replace it.
        """
        if run.key != self.key:
            raise ValueError(f"the writer of {self.key} cannot publish {run.key}")
        with self._lock:
            replaces = stays is merging.Stays.NOTHING
            if not replaces and (other := self._earlier.other_run(run)):
                raise RowsError(f"{self.key} is not published: the dataset holds another run, {other}")
            self._wait()
            self.update = self._update(run, selections, asked, retried, stays, ended)
            older = merging.Kept() if replaces else self._older()
            self.flush(last=True)
            self._parts.close()
            self._check_rows()
            parts = self._all_parts(older)
            receipt = replace(self._receipt(run, source, selections, older, parts), memory=memory)
            self.lost = merging.losses(self.key, older, self.update, foreign=self._earlier.foreign)
            if self.update.read_again:
                notes = *receipt.notes, *older.left_out, *older.damaged.values()
                receipt = replace(receipt, notes=tuple(dict.fromkeys(notes)))
            else:
                receipt = replace(receipt, failures=(*receipt.failures, *self.lost))
            stored = cleanup.sync_files(self._files, self._place)
            new, there = self._parts.paths, self._earlier.listed.part_names
            if self._upload is not None:
                self._upload.announce()
            ready = publication.Publication(
                self._place, receipt, receipt.to_bytes(), new, there, self._upload
            )
            return ReadyRun(self, ready, stored)

    def _update(
        self,
        run: SourceRun,
        selections: Sequence[AttributeSelection],
        asked: AttributeRequest,
        retried: Collection[str],
        stays: merging.Stays,
        ended: Collection[str],
    ) -> merging.Update:
        receipt, keeps_more = self._earlier.receipt, stays is merging.Stays.NOT_DELIVERED
        asked, joins = merging.NOTHING_ASKED if keeps_more else asked, keeps_more and bool(run.partial)
        reads_all = any(s.is_everything for s in selections) or merging.reads_all_again(receipt, asked)
        read_again = reads_all and not joins and all(f.attribute_path for f in self._failures)
        old, paths = None if stays is merging.Stays.NOTHING else receipt, self._buffer.paths
        return merging.Update.of(
            asked, paths, self._failures, old, retried, ended, joins=joins, read_again=read_again
        )

    def _all_parts(self, older: merging.Kept) -> list[PartRecord]:
        """The old parts that stay, and the new ones under their final names. Adds the counts of the new rows
        to those of the old."""
        numbers = {publication.number_of(part.name) for part in older.parts}
        if not self._parts.paths and 0 not in numbers:
            self._parts.add_empty()
        if any(not RECEIPT_PATHS.isdisjoint(paths) for paths in older.tally.attributes.values()):
            self._forking.read(Part(self._data, self._place.path(part.name)) for part in older.parts)
        older.tally = Tally.of([older.tally, self._tally] if older.parts else [self._tally])
        return older.parts + self._parts.placed(numbers)

    def _check_rows(self) -> None:
        """Raise an error if any rows were lost on the way, for whatever reason: the rest is not the run."""
        written = self._parts.rows
        if not self._buffer.rows == self._tally.rows == written:
            raise RowsError(
                f"{self.key} is not published: of {self._buffer.rows} rows {written} were written "
                f"and {self._tally.rows} counted"
            )

    def _published(self, ready: ReadyRun) -> None:
        # The files that damaged or unfinished parts name are not known.
        if not (ready.receipt.set_aside or self._earlier.listed.unfinished):
            keeps = partial(self._folders.has_set_aside, self._place)
            cleanup.drop_unnamed_files(
                self._data, self._files, self._place, ready.receipt, ready.stored, keeps
            )
        self._closed(self.key)

    def abandon(self) -> None:
        """After a failed publication: leave everything to `Dataset.recover`."""
        self._budget.holds(self, 0)
        self._closed(self.key)

    def discard(self) -> None:
        """Discard everything that was added."""
        with self._lock:
            if self._streaming is not None:
                wait([self._streaming])
                self._streaming = None
            self._budget.holds(self, 0)
            self._buffer = RunBuffer(self.key)
            self._parts.discard()
            self._closed(self.key)

    def _count(self, rows: SortedRows) -> None:
        for ((path, kind), start, end), steps in zip(rows.series(), rows.steps_of_series(), strict=True):
            self._tally.add_rows(path, kind, end - start, steps)
            if kind in FILE_TYPE_NAMES:
                columns = rows.part(start, end - start)
                self._tally.add_files(end - start, columns)
            if path in RECEIPT_PATHS:
                self._forking.meet(rows, path, kind, start)
        if (extent := rows.step_range()) is not None:
            self._tally.add_step_range(*extent)
        else:
            self._tally.add_steps(rows.columns)
        if "timestamp" in rows.columns:
            self._tally.add_times(rows.columns["timestamp"])

    def _append(self, rows: SortedRows, *, last: bool = False) -> None:
        with self._noted():
            self._parts.append(rows, last=last)
        failpoint("dataset.rows-written")

    def _older(self) -> merging.Kept:
        """Decide which existing parts stay. Rows that stay but must move are added again."""
        if self._earlier.receipt and self.update.replaces_all and not self.update.failed:
            return merging.Kept()  # avoids reading rows that go
        if self.update.partly:
            self.flush()
            self._parts.close()
        new = self._parts.closed

        def came(paths: frozenset[str]) -> dict[str, pa.Array]:
            return merging.points_of(new, paths, timed=self.update.joins)

        def write(batch: pa.RecordBatch) -> None:
            for piece in cut(batch):
                self._buffer.add(piece)
            if self._buffer.nbytes > _OLDER_BYTES:  # not by the budget, which may wait for other writers
                self.flush()

        return merging.keep(self._earlier, self.update, came, write)

    def _receipt(
        self,
        run: SourceRun,
        source: str,
        selections: Sequence[AttributeSelection],
        older: merging.Kept,
        parts: list[PartRecord],
    ) -> Receipt:
        tally = older.tally
        held = (Part(self._data, self._place.path(part.name)) for part in older.parts)
        return Receipt(
            key=self.key,
            source=source,
            modified_at=run.modified_at,
            name=run.name,
            exported_at=datetime.now(timezone.utc),
            selections=tuple(selections),
            notes=tuple(dict.fromkeys([*self.update.notes, *run.notes])),
            types=tally.types(),
            steps=tally.steps,
            first_time=tally.first_time,
            last_time=tally.last_time,
            parts=tuple(sorted(parts, key=lambda part: publication.number_of(part.name))),
            files=tally.files,
            **file_totals(tally, chain(held, self._parts.closed), self._files, self._place, self.key),
            failures=older.noted((*self.update.still_failed, *self._failures)),
            fork=self._forking.fork,
            tags=self._forking.tags or (),
            set_aside=tuple(older.damaged),
            identity=run.identity,
            partial=run.partial,
            handle=handle_of(run),
            url=run.url,
            logs=self._logs(run, selections),
            foreign=bool(older.staying) and self._earlier.foreign,
        )

    def _logs(self, run: SourceRun, selections: Sequence[AttributeSelection]) -> tuple[extents.Extent, ...]:
        old = self._earlier.receipt
        if old is None or not self.update.joins:
            return tuple(extents.Extent(*log) for log in run.logs)
        same = all(selection in old.selections for selection in selections)
        return extents.joined(old.logs, run.logs, same_selections=same)


def publish(ready: Sequence[ReadyRun]) -> None:
    """Publish runs of one dataset, each atomically with its receipt. Raises DatasetError if the disk is full
    or fails. Each run is as before, or `recover` can finish it."""
    publication.publish(ready[0].writer._data, [each.publication for each in ready])
    for each in ready:
        each.writer._published(each)
