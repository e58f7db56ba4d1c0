"""The dataset: where runs are written, found and read."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

from neptune_exporter.contract import DatasetError, FileWriter, NewerVersionError, chunked
from neptune_exporter.dataset.format import checksums, publication, receipt_index, run_locks, uploading
from neptune_exporter.dataset.format import files_owner as owner
from neptune_exporter.dataset.format.layout import LOCK, OWNER, UNFINISHED, UNFINISHED_FILES, Place
from neptune_exporter.dataset.format.run_locks import lock_name
from neptune_exporter.dataset.format.storage import Entry, Storage
from neptune_exporter.dataset.format.storages import storage_at
from neptune_exporter.dataset.read.facts import PartFacts
from neptune_exporter.dataset.read.listing import RunFolders, found_runs, listed_folders, project_folders
from neptune_exporter.dataset.read.probing import probed
from neptune_exporter.dataset.read.run_folder import ListedRun, RunFolder
from neptune_exporter.dataset.read.stored_run import StoredRun
from neptune_exporter.dataset.write.budget import WriteBudget
from neptune_exporter.dataset.write.file_store import DatasetFiles
from neptune_exporter.dataset.write.publish_queue import Publisher
from neptune_exporter.dataset.write.writer import ReadyRun, RunWriter
from neptune_exporter.location import Location
from neptune_exporter.model import RunKey

_log = logging.getLogger(__name__)

_PROBED = 256
"""A child process reads this many runs of other tools before the first of them is yielded."""
_ENCODERS = 2
"""Threads that write while the source is read further."""


@dataclass(frozen=True)
class Recovery:
    """The result of `Dataset.recover`."""

    finished: tuple[RunKey, ...]
    """Runs whose interrupted publication was completed."""
    deleted: tuple[str, ...]
    """Temporary files of ours that were abandoned, and are now deleted."""
    busy: int = 0
    """Runs that the workers of a killed command are still writing."""


class Dataset:
    """A dataset: a folder of parts and receipts, and a folder of files. Neither needs to exist yet."""

    def __init__(
        self,
        data_path: Location | PathLike[str] | str,
        files_path: Location | PathLike[str] | str,
        *,
        budget: WriteBudget | None = None,
    ) -> None:
        """The paths may be addresses such as `s3://bucket/data`. `budget`: how much all writers together may
        keep in memory; 40 MiB if not given."""
        self.data = storage_at(Location.of(data_path))
        self.file_storage = storage_at(Location.of(files_path))
        self._folders = RunFolders(self.data)
        self._budget = budget or WriteBudget()
        self._encoder = ThreadPoolExecutor(_ENCODERS, thread_name_prefix="encode")
        self._publisher = Publisher(self._encoder)
        self._open: set[RunKey] = set()
        self._guard = threading.Lock()

    @property
    def data_path(self) -> Path:
        """The folder of parts and receipts, if it is on this machine."""
        return Path(self.data.location.address)

    @property
    def files_path(self) -> Path:
        """The folder of files, if it is on this machine."""
        return Path(self.file_storage.location.address)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only writer of this dataset while the block runs. Raises DatasetError if another process
        writes it (the message says which, and since when), and UsageError if the files folder is another
        dataset's."""
        if None in (self.data.size(OWNER), self.file_storage.size(OWNER)):  # what is refused makes no folders
            self.check_files_folder()
        with contextlib.ExitStack() as held:
            held.enter_context(self.data.lock())
            if self._has_folder_for_files:
                held.enter_context(self.file_storage.lock())
                owner.claim(self.data, self.file_storage, self._holds_runs)
            held.enter_context(self._folders.kept())
            yield

    def withdraw_if_empty(self) -> None:
        """Delete the marks of a dataset that has no run, so that `lock` ends by deleting the folders that it
        made. Call it under `lock`."""
        if not self._holds_runs():
            for storage in (self.data, self.file_storage):
                if storage.size(OWNER) is not None:
                    storage.delete(OWNER)

    def listed_once(self) -> AbstractContextManager[None]:
        """List each folder only once while the block runs, as if others could not write."""
        return self._folders.kept()

    def forget(self) -> None:
        """Forget all listings, because others may have written."""
        self.data.forget()
        self.file_storage.forget()

    def check_files_folder(self) -> None:
        """Raise the UsageError that `lock` would raise about the owner of the files. Writes nothing."""
        if self._has_folder_for_files:
            owner.check(self.data, self.file_storage, self._holds_runs)

    def check_files_to_read(self) -> None:
        """Raise UsageError if the files folder says that it is another dataset's."""
        if self._has_folder_for_files:
            owner.check_to_read(self.data, self.file_storage)

    @property
    def _has_folder_for_files(self) -> bool:
        return not self.file_storage.location.is_same(self.data.location)

    @property
    def was_begun(self) -> bool:
        """Whether the dataset has a run, complete or not, or an export has begun to make one."""
        return self.data.size(LOCK) is not None or self._holds_runs()

    def _found(self) -> Iterator[RunFolder]:
        """What the folders hold, before any receipt is opened."""
        return (run for folder in listed_folders(self.data) for run in found_runs(self.data, folder))

    def _holds_runs(self) -> bool:
        return next(self._found(), None) is not None

    def recover(self) -> Recovery:
        """Finish interrupted publications and delete our abandoned temporary files. Call it under `lock`.

        Skips what the workers of a killed command are still writing.
        """
        finished, deleted = list[RunKey](), list[str]()
        busy = self._clear_writing(finished, deleted)
        for found in self._found():
            if found.listed.is_pending and lock_name(found.place) not in busy:
                receipt = publication.finish(self.data, found.place, found.listed.part_names)
                if receipt is not None:
                    finished.append(receipt.key)
        for storage, entry in [] if busy else self.leftovers():
            storage.delete(entry.path)
            deleted.append(storage.describe(entry.path))
        for storage, folder in self._unfinished:
            storage.delete_empty_folders(folder)
        for storage in () if busy else (self.data, self.file_storage):
            storage.clear_uploads()
        return Recovery(tuple(finished), tuple(deleted), len(busy))

    def leftovers(self) -> list[tuple[Storage, Entry]]:
        """Our files that are being written, or that an interrupted export left unfinished."""
        return [
            (storage, entry)
            for storage, folder in self._unfinished
            for entry in storage.list(folder, recursive=True)
            if entry.is_file
        ]

    @property
    def _unfinished(self) -> tuple[tuple[Storage, str], ...]:
        files = (self.file_storage, UNFINISHED), (self.file_storage, UNFINISHED_FILES)
        return ((self.data, UNFINISHED), *files) if self._has_folder_for_files else files

    @contextlib.contextmanager
    def writing(self, keys: Iterable[RunKey], seconds: float) -> Iterator[set[RunKey]]:
        """Be the only writer of these runs, among all processes on all machines. Yields the runs that others
        are still writing after so many seconds."""
        places = {self._place(key): key for key in keys}
        with run_locks.held(self.data, places, seconds) as busy:
            self.forget()  # others may have written them before they were locked
            yield {places[place] for place in busy}

    def forget_writing(self) -> None:
        """Delete what `writing` left on the disk. Call it under `lock`."""
        self._clear_writing([], [])

    def _clear_writing(self, finished: list[RunKey], deleted: list[str]) -> set[str]:
        """Add the runs that proved visible, and what was deleted. Returns what is still being written."""

        def left(note: Mapping[str, Any]) -> None:
            key, parts = uploading.roll_back(self.data, note)
            finished.extend([] if key is None else [key])
            deleted.extend([] if key is not None else map(self.data.describe, parts))

        return run_locks.clear(self.data, left)

    def writer(self, key: RunKey) -> RunWriter:
        """Begin to write a run. Until it is published, readers see what was there before. Raises DatasetError
        if the run is already being written."""
        with self._guard:
            if key in self._open:
                raise DatasetError(f"{key} is already being written")
            self._open.add(key)
        try:
            return RunWriter(
                key,
                self._place(key),
                self.data,
                self.file_storage,
                self._folders,
                self._budget,
                self._encoder,
                self._open.discard,
            )
        except BaseException:
            self._open.discard(key)
            raise

    def publish(self, prepare: Callable[[], ReadyRun], *, small: bool = False) -> Future[None]:
        """Write a run (`prepare` calls `RunWriter.prepare`) and publish it in the background, together with
        others that are ready at the same time. The future is done once the run is visible; it raises
        DatasetError if the disk is full or fails. `small`: writing the run takes a few milliseconds."""
        return self._publisher.publish(prepare, at_once=small and self.data.renames)

    def index_receipts(self) -> None:
        """Update the index in each folder of receipts. Call it under `lock`.

        An index only saves time, so it is no failure if it cannot be written.
        """
        self.data.forget()  # workers have written receipts since
        for folder in project_folders(self.data):
            try:
                receipt_index.update(self.data, folder)
            except DatasetError as error:
                _log.warning("%s: an overview of its runs will take longer", error)

    def files(self) -> FileWriter:
        """Where sources store the files of runs."""
        return DatasetFiles(self.file_storage, self._place)

    def folder(self, key: RunKey) -> RunFolder:
        """What is there of a run now, at the place of its key; possibly nothing."""
        return self._folders.of(self._place(key))

    def _place(self, key: RunKey) -> Place:
        """Where the run lies or will lie."""
        candidates = Place.candidates(key)
        return candidates[0] if len(candidates) == 1 else self._held_at(key) or candidates[0]

    def _held_at(self, key: RunKey, folders: RunFolders | None = None) -> Place | None:
        return next(filter((folders or self._folders).holds, Place.candidates(key)), None)

    def elsewhere(self, key: RunKey) -> Place | None:
        """Where the run lies if not at its usual place: in a layout of the earlier tool's first weeks, or in
        a folder that a person named. It can be read there, but an export cannot add to it."""
        return self._elsewhere.get(key)

    @cached_property
    def _elsewhere(self) -> dict[RunKey, Place]:
        odd = self._probed(found for found in self._found() if not found.place.is_usual)
        return {found.key: found.place for found in odd}

    def projects(self) -> list[str]:
        """Project ids, sorted."""
        return sorted({run.key.project_id for run in self.runs()})

    def likely_keys(self) -> Iterator[RunKey]:
        """The keys of the runs as far as receipts and the names on disk tell: for suggestions. Of another
        tool's runs nothing is opened."""
        for folder in listed_folders(self.data):
            for found in found_runs(self.data, folder, indexed=True):
                yield found.key if found.listed.has_receipt else found.named_key

    def runs(
        self,
        project_id: str | None = None,
        *,
        decode: bool = False,
        indexed: bool = False,
        foreign: bool = True,
        newer: bool = True,
        not_read: list[str] | None = None,
    ) -> Iterator[StoredRun]:
        """Every run, model and model version, ordered by project, kind and place.

        A child process reads parts of other tools first; with `decode` it reads every row of them. With
        `indexed`, which is for overviews, unchanged receipts may be taken from an index. Without `foreign`,
        runs that have no receipt are left out, and no part is read. Without `newer`, what a newer version
        wrote is left out; otherwise it raises a NewerVersionError. `not_read` gets the Parquet files that lie
        among the parts but are not parts.

        If damage hides the id of a run, it is taken from the names on disk, and `problems` says so. A copy
        of a run that is there already has a line in `problems` too.
        """
        places: dict[RunKey, Place] = {}
        folders = RunFolders(self.data)
        with folders.kept():
            for folder in listed_folders(self.data, not_read=not_read):
                there = found_runs(self.data, folder, indexed=indexed, foreign=foreign, not_read=not_read)
                for found in self._probed(there, decode=decode):
                    try:
                        run = StoredRun(found, self.file_storage)
                    except NewerVersionError:
                        if newer:
                            raise
                        continue
                    if not run.problems and run.place != Place.of(run.key):
                        place = self._held_at(run.key, folders) or places.setdefault(run.key, run.place)
                        if place != run.place:
                            run.problems = (f"is the same run as {place.files_folder}: remove one",)
                    if project_id is None or run.key.project_id == project_id:
                        yield run

    def _probed(self, several: Iterator[RunFolder], *, decode: bool = False) -> Iterator[RunFolder]:
        """The same runs. A child process has read those without a receipt, a few at a time."""
        for chunk in chunked(several, _PROBED):
            self._probe(chunk, decode=decode)
            yield from chunk

    def _probe(self, several: Sequence[RunFolder], *, decode: bool = False) -> None:
        foreign = [found for found in several if not found.listed.has_receipt]
        self._remember(foreign)
        paths = [
            found.place.path(name)
            for found in foreign
            for name in (*found.listed.part_names, *found.listed.unfinished)
        ]
        probed(self.data).probe(self.data, paths, decode=decode)

    def _remember(self, several: Sequence[RunFolder]) -> None:
        """Use the recorded content of the parts that have not changed since."""
        with contextlib.suppress(DatasetError):  # damaged checksums: `verify` reports them
            folders = {found.place.folder for found in several}
            of_folder = {folder: checksums.read(self.data, folder) for folder in folders}
            for found in several:
                recorded = checksums.of_run(of_folder[found.place.folder], found.place.stem)
                for name, part in recorded.parts.items() if recorded else ():
                    stamp = part.bytes, part.changed_ns
                    path = found.place.path(name)
                    if part.facts and self.data.stamp(path) == stamp:
                        probed(self.data).learn(path, stamp, PartFacts.from_json(part.facts))

    def run(self, key: RunKey) -> StoredRun | None:
        """One run; None if nothing of it is there."""
        for place in Place.candidates(key):
            found = self._folders.of(place)
            if found.listed.exists:
                run = self._opened(found)
                if run.key == key:
                    return run
        return next((run for run in self.runs(key.project_id) if run.key == key), None)

    def run_at(self, listed: ListedRun) -> StoredRun:
        """A run at a known place: one that `runs` found in another process."""
        self.forget()
        self._folders.look(listed.place)
        there = self.data.size(listed.place.receipt) is not None
        listed = replace(listed, has_receipt=there and not listed.place.among_many)
        return self._opened(RunFolder(self.data, listed))

    def _opened(self, found: RunFolder) -> StoredRun:
        self._probe([found])
        return StoredRun(found, self.file_storage)
