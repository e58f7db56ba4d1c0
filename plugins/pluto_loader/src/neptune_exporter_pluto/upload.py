"""Uploads: announce a few files, put their bytes, a batch after the other, each exactly once.

Announcing makes a row that Pluto never deduplicates, so what was announced is in
the journal, and its address beside it: an interrupted upload goes on with that address.
Putting the bytes again is harmless, announcing again is not.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from functools import partial

from neptune_exporter.contract import AuthenticationError, chunked
from neptune_exporter.toolkit import failpoint
from neptune_exporter_pluto.entries import TextFile
from neptune_exporter_pluto.file_tasks import FileTask, file_tasks, text_tasks
from neptune_exporter_pluto.form.content import Content
from neptune_exporter_pluto.form.losses import LossBook, LossCode
from neptune_exporter_pluto.service.api import MAX_FILES_LISTED
from neptune_exporter_pluto.service.pipeline import Pipeline, settled
from neptune_exporter_pluto.service.storage import ExpiredError
from neptune_exporter_pluto.service.transport import OutOfPatienceError, UncertainError
from neptune_exporter_pluto.state.open_run import OpenRun, StartAgainError

_MOST_ANNOUNCED_BYTES = 256 << 20


def send_files(
    work: OpenRun, content: Content, texts: Sequence[TextFile], time_of_texts: int, stopped: threading.Event
) -> dict[str, int]:
    """Upload the texts and all files of a run, in batches with a pause between two; returns how many. Raises
    StartAgainError if it is unknown which announcements reached Pluto, and SinkError if a file could not be
    uploaded.

    Args:
        stopped: When set, no further upload begins; the next load goes on with what has been announced.
    """
    of_texts = text_tasks(content.names, texts, time_of_texts)
    uploader = _Uploader(work, content.losses, stopped)
    uploader.upload(itertools.chain(of_texts, file_tasks(content, of_texts)))
    return {
        "files": uploader.files - len(of_texts),
        "file bytes": uploader.bytes - sum(task.to_sign.size for task in of_texts),
        "consolidated texts": len(of_texts),
    }


class _Uploader:
    """The uploads of one run."""

    def __init__(self, work: OpenRun, losses: LossBook, stopped: threading.Event) -> None:
        self._session = work.session
        self._project = work.target.project
        self._run_id = work.run_id
        self._journal = work.journal
        self._losses = losses
        self._stopped = stopped
        self._progress = work.now
        self._announced_again = Counter(self._progress.announced_again)
        """By earlier attempts at this load."""
        self.files = 0
        self.bytes = 0

    def upload(self, tasks: Iterable[FileTask]) -> None:
        settings = self._session.settings
        first = True
        with Pipeline(self._session.uploaders, 2 * settings.file_connections) as pipeline:
            for batch in chunked(tasks, settings.file_chunk_size):
                self._count(batch)
                todo = [] if self._progress.reopened else self._not_uploaded(batch)
                if not todo:
                    continue
                if not first:
                    self._stopped.wait(settings.file_chunk_sleep)
                for group in _groups(todo, 2 * settings.file_connections):
                    if self._stopped.is_set():
                        return
                    for task, url in self._addresses(group):
                        pipeline.submit(self._put, task, url)
                pipeline.drain()
                if self._stopped.is_set():  # not all was put
                    return
                self._journal.addresses.clear()
                first = False
        self._journal.addresses.clear()  # also if a kill came between the last upload and this

    def _not_uploaded(self, batch: Sequence[FileTask]) -> list[FileTask]:
        return [task for task in batch if task.index not in self._progress.uploaded]

    def _count(self, batch: Sequence[FileTask]) -> None:
        for task in batch:
            self._losses.add(LossCode.FILE_LISTED_TWICE, self._announced_again[task.index], task.path)
        self.files += len(batch)
        self.bytes += sum(task.to_sign.size for task in batch)

    def _addresses(self, group: list[FileTask]) -> Iterator[tuple[FileTask, str]]:
        """An upload address for each: a known one that is still good, or a new one."""
        self._settle_announcement(group)
        known = self._journal.addresses.good()
        wanted = [task for task in group if task.index not in known]
        if wanted:
            known |= self._announce(wanted)
        return ((task, known[task.index]) for task in group)

    def _announce(self, tasks: list[FileTask]) -> dict[int, str]:
        """Announce files, or announce them again where an address has expired."""
        for task in tasks:
            if task.index in self._progress.announced:
                self._losses.add(LossCode.FILE_LISTED_TWICE, 1, task.path)
        indices = [task.index for task in tasks]
        self._journal.note("announcing", durable=True, files=indices)
        failpoint("pluto.files-announced")
        try:
            signed = self._session.api.sign(self._project, self._run_id, [task.to_sign for task in tasks])
        except UncertainError:
            self._settle_announcement(tasks)
            return self._announce(tasks)
        except (AuthenticationError, OutOfPatienceError):  # certainly not taken
            self._journal.note("not-announced", files=indices)
            raise
        urls = {task.index: signed[task.to_sign.key] for task in tasks}
        failpoint("pluto.files-signed")
        self._journal.addresses.add(urls)
        self._journal.note("signed", files=indices)
        return urls

    def _settle_announcement(self, tasks: list[FileTask]) -> None:
        """Find out whether an announcement whose answer was lost has arrived."""
        mine = [task for task in tasks if task.index in self._progress.announcing]
        if not mine:
            return
        before = {task.to_sign.key for task in mine if task.index in self._progress.announced}
        wanted = {task.to_sign.key for task in mine} - before
        patience = self._session.settings.visible_within
        if wanted and settled(lambda: self._listed(wanted), len(wanted), patience):
            raise StartAgainError("files were announced, but the answer with their upload addresses was lost")
        self._journal.note("not-announced", files=[task.index for task in mine])

    def _listed(self, wanted: Set[tuple[str, str]]) -> int:
        """How many of some files, given by log name and file name, Pluto lists."""
        found: set[tuple[str, str]] = set()
        for log_name in sorted({log_name for log_name, _ in wanted}):
            rows = self._session.api.files(self._project, self._run_id, log_name)
            if len(rows) >= MAX_FILES_LISTED:
                raise StartAgainError(f"Pluto lists no more than {MAX_FILES_LISTED} files of {log_name!r}")
            found |= {(log_name, row["fileName"]) for row in rows}
        return len(found & wanted)

    def _put(self, task: FileTask, url: str) -> None:
        """Put the bytes of one file; ask for a new address where the old one is not accepted any more.

        A storage that refuses an address once, and takes it the next time, costs no second listing.
        """
        if self._stopped.is_set():
            return
        what = f"upload of {task.to_sign.file_name!r} of {task.path!r} of run {self._run_id}"
        put = partial(self._session.storage.put, file=task.to_sign, opened=task.open, what=what)
        try:
            put(url)
        except ExpiredError:
            put(self._announce([task])[task.index])
        failpoint("pluto.file-put")
        self._journal.note("uploaded", file=task.index)


def _groups(tasks: list[FileTask], most: int) -> Iterator[list[FileTask]]:
    """What is announced at once: few files and few bytes, so that no address expires before its turn."""
    group: list[FileTask] = []
    size = 0
    for task in tasks:
        if group and (len(group) >= most or size + task.to_sign.size > _MOST_ANNOUNCED_BYTES):
            yield group
            group, size = [], 0
        group.append(task)
        size += task.to_sign.size
    if group:
        yield group
