"""The files of a run in order, each with its name and numbers in Pluto."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import BinaryIO

from neptune_exporter.contract import ExportedRun
from neptune_exporter.model import FILE_TYPES
from neptune_exporter.sinks.files import (
    FILE_COLUMNS,
    CheckedFile,
    FileRow,
    check_file,
    file_rows,
    named_and_kind,
)
from neptune_exporter.sinks.losses import CommonLoss
from neptune_exporter.sinks.names import NameBook, file_name
from neptune_exporter_pluto.entries import TEXTS, TextFile
from neptune_exporter_pluto.form.content import Content
from neptune_exporter_pluto.form.limits import STORAGE_NAME
from neptune_exporter_pluto.form.losses import LossBook, LossCode
from neptune_exporter_pluto.service.api import MAX_FILE_BYTES, FileToSign


@dataclass(frozen=True)
class FileTask:
    """One file to upload."""

    index: int
    """Its index among the files of the run; the same in every load of the same rows."""
    path: str
    """The attribute's path."""
    to_sign: FileToSign
    open: Callable[[], BinaryIO]
    sha256: str | None = None


def file_tasks(
    content: Content, others: Iterable[FileTask] = (), only: Collection[str] | None = None
) -> Iterator[FileTask]:
    """All files of a run that can be opened, up to the number that was requested; the others are losses.

    Args:
        others: Other names, which no file may have.
        only: The attributes to look at; None: all.
    """
    losses, most = content.losses, content.options.max_files_per_run
    unique = _UniqueNames(others)
    count = 0
    rows = chain.from_iterable(map(file_rows, content.rows(FILE_TYPES, FILE_COLUMNS)))
    for index, row in enumerate(rows):
        if only is not None and row.path not in only:
            continue
        if most and count >= most:
            losses.add(LossCode.FILE_CAP, 1, row.path)
            continue
        file = _checked(content.run, row, losses)
        if file is not None:
            count += 1
            losses.add(CommonLoss.EARLY_TIME, int(row.early), row.path)
            if row.step_text is not None:
                losses.add(LossCode.FILE_STEP, int(row.step is None), row.path)
                losses.add(CommonLoss.FRACTIONAL_STEP, int(row.rounded), row.path)
            yield _task(index, row, file, content.names, unique)


def _checked(run: ExportedRun, row: FileRow, losses: LossBook) -> CheckedFile | None:
    """The file, or None with the loss counted."""
    found = check_file(run, row.stored, row.sha256)
    if isinstance(found, CommonLoss):
        losses.add(found, 1, row.path)
        return None
    if found.size > MAX_FILE_BYTES:
        losses.add(LossCode.FILE_TOO_LARGE, 1, row.path)
        return None
    return found


def _task(index: int, row: FileRow, file: CheckedFile, names: NameBook, unique: _UniqueNames) -> FileTask:
    step_text = None if row.step_text is None else row.step_text or "none"
    own, kind = named_and_kind(row.path, row.stored, file.head, step_text)
    log_name = names.name(row.path, kind.media.upper(), rule=STORAGE_NAME)
    name = unique.like(log_name, file_name(own, row.path, step_text or ""))
    to_sign = FileToSign(log_name, name, kind.extension, file.size, row.step or 0, row.time)
    return FileTask(index, row.path, to_sign, file.open, row.sha256)


class _UniqueNames:
    """Makes the file names of one log name unique, because the storage key has neither step nor type."""

    def __init__(self, others: Iterable[FileTask]) -> None:
        self._given: set[bytes] = set()
        for other in others:
            self.like(*other.to_sign.key)

    def like(self, log_name: str, name: str) -> str:
        """The name, or a similar one if this log name has it already."""
        stem, dot, extension = name.rpartition(".")
        if not stem:
            stem, dot, extension = name, "", ""
        candidate, number = name, 1
        while (key := _key(log_name, candidate)) in self._given:
            number += 1
            candidate = f"{stem}-{number}{dot}{extension}"
        self._given.add(key)
        return candidate


def _key(log_name: str, name: str) -> bytes:
    return hashlib.blake2b(f"{log_name}\0{name}".encode(), digest_size=12).digest()


def text_tasks(names: NameBook, texts: Iterable[TextFile], time: int) -> list[FileTask]:
    """The two text files of the public page. Their indices are negative, because they are not files of the
    run."""
    tasks = []
    for text in texts:
        name = names.name(text.name, "TEXT", rule=STORAGE_NAME)
        label = text.name.rsplit("/", 1)[-1] + ".txt"
        to_sign = FileToSign(name, label, "txt", text.size, 0, time)
        index = -1 - TEXTS.index(text.name)
        tasks.append(FileTask(index, text.name, to_sign, partial(io.FileIO, text.path)))
    return tasks
