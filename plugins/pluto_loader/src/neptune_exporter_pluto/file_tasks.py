"""The files of a run, one after the other, each with the names and numbers that Pluto is told."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO

from neptune_exporter.contract import ExportedRun, MissingFileError, UnsafePathError
from neptune_exporter.model import FILE_TYPES, AttributeType
from neptune_exporter.sinks.filekinds import HEAD_BYTES, FileKind, kind_of
from neptune_exporter.sinks.names import NameBook, file_name
from neptune_exporter.sinks.steps import Multiplier
from neptune_exporter_pluto.api import MAX_FILE_BYTES, FileToSign
from neptune_exporter_pluto.content_types import content_type
from neptune_exporter_pluto.limits import STORAGE_NAME, pluto_rows
from neptune_exporter_pluto.losses import LossBook, LossCode
from neptune_exporter_pluto.strings import StringStreams, step_texts

_VALUE_COLUMNS = ("attribute_type", "file_value", "file_sha256")
_PIECE = 1 << 20
_KEPT_BYTES = 1 << 16
"""Files up to this size are read once, and uploaded from memory."""


@dataclass(frozen=True)
class FileTask:
    """One file to upload."""

    index: int
    """Its place among the files of the run; the same in every load of the same rows."""
    path: str
    """The attribute's path."""
    to_sign: FileToSign
    content_type: str
    open: Callable[[], BinaryIO]
    sha256: str | None = None


def file_tasks(
    run: ExportedRun,
    names: NameBook,
    losses: LossBook,
    multiplier: Multiplier,
    created: int,
    batch_rows: int,
    most: int = 0,
    *,
    others: Iterable[FileTask] = (),
    only: Collection[str] | None = None,
) -> Iterator[FileTask]:
    """All files of a run that can be opened.

    The storage key knows neither step nor type, so the file names of one attribute
    are made to differ.

    Args:
        created: Time of rows that have none, in ms since 1970.
        most: Give at most so many; the others are counted as asked for. 0: all.
        others: Of which no file may have the names.
        only: Attributes to look at; None: at all.
    """
    index, count = 0, 0
    given: set[bytes] = set()
    for other in others:
        _unlike(given, other.to_sign.log_name, other.to_sign.file_name)
    for rows in pluto_rows(run, FILE_TYPES, _VALUE_COLUMNS, multiplier, batch_rows, created):
        batch = rows.batch
        paths = batch.column("file_value").field("path").to_pylist()
        types = batch.column("attribute_type").to_pylist()
        hashes = batch.column("file_sha256").to_pylist()
        steps = [text or "none" for text in step_texts(batch).to_pylist()]
        for row, stored in enumerate(paths):
            path = rows.paths[rows.series[row]]
            index += 1
            if only is not None and path not in only:
                continue
            if most and count >= most:
                losses.add(LossCode.FILE_CAP, 1, path)
                continue
            opened = _look(run, stored, hashes[row], path, losses)
            if opened is None:
                continue
            size, head = opened
            whole = head if size == len(head) else None
            series = types[row] == AttributeType.FILE_SERIES.value
            name, kind = _names(path, stored, head[:HEAD_BYTES], steps[row] if series else None)
            log_name = names.name(path, kind.media.upper(), rule=STORAGE_NAME)
            name = _unlike(given, log_name, name)
            count += 1
            if series and not rows.steps.usable[row]:
                losses.add(LossCode.FILE_STEP, 1, path)
            if series and rows.steps.rounded[row]:
                losses.add(LossCode.FRACTIONAL_STEP, 1, path)
            step = int(rows.steps.steps[row]) if series and rows.steps.usable[row] else 0
            yield FileTask(
                index - 1,
                path,
                FileToSign(log_name, name, kind.extension, size, step, int(rows.times[row])),
                content_type(kind.extension),
                _opener(run, stored, whole),
                hashes[row],
            )


def _opener(run: ExportedRun, stored: str, whole: bytes | None) -> Callable[[], BinaryIO]:
    if whole is not None:
        return lambda: io.BytesIO(whole)
    return lambda: run.open_file(stored)


def _look(
    run: ExportedRun, stored: str | None, sha256: str | None, path: str, losses: LossBook
) -> tuple[int, bytes] | None:
    """Size and first bytes of a file (all of a small one), or None with the loss counted."""
    try:
        with run.open_file(stored or "") as file:
            head = file.read(_KEPT_BYTES)
            if sha256 is not None and _sha256(head, file) != sha256:
                losses.add(LossCode.FILE_DAMAGED, 1, path)
                return None
            size = file.seek(0, io.SEEK_END)
        if size <= MAX_FILE_BYTES:
            return size, head
        losses.add(LossCode.FILE_TOO_LARGE, 1, path)
    except UnsafePathError:
        losses.add(LossCode.FILE_UNSAFE, 1, path)
    except MissingFileError:
        losses.add(LossCode.FILE_MISSING, 1, path)
    return None


def _sha256(head: bytes, rest: BinaryIO) -> str:
    digest = hashlib.sha256(head)
    while piece := rest.read(_PIECE):
        digest.update(piece)
    return digest.hexdigest()


def _names(path: str, stored: str, head: bytes, step: str | None) -> tuple[str, FileKind]:
    """The file's name in Pluto: the attribute's last part, the step of a series, the file's extension."""
    own = path.rsplit("/", 1)[-1].strip() or "file"
    kind = kind_of(own, head)
    suffix = PurePosixPath(own).suffix
    if not kind.extension or not suffix:
        stored_suffix = PurePosixPath(stored.replace("\\", "/")).suffix
        kind = kind_of(own + stored_suffix, head) if not suffix else kind
        suffix = suffix or stored_suffix
        if not suffix and kind.extension:
            suffix = "." + kind.extension
            own += suffix
        elif not own.endswith(suffix):
            own += suffix
    if step is not None:
        own = f"{own.removesuffix(suffix)}_step_{step}{suffix}"
    return file_name(own, path, step or ""), kind


def _unlike(given: set[bytes], log_name: str, name: str) -> str:
    """The name, or one like it if it was given before under this log name."""
    stem, dot, extension = name.rpartition(".")
    if not stem:
        stem, dot, extension = name, "", ""
    candidate, number = name, 1
    while (key := hashlib.blake2b(f"{log_name}\0{candidate}".encode(), digest_size=12).digest()) in given:
        number += 1
        candidate = f"{stem}-{number}{dot}{extension}"
    given.add(key)
    return candidate


def text_tasks(strings: StringStreams, names: NameBook, time: int) -> list[FileTask]:
    """The two texts of the public page. Their indices are negative: they are no files of the run."""
    tasks = []
    for number, text in enumerate(strings.texts.values()):
        text.finish()
        if text.size:
            name = names.name(text.name, "TEXT", rule=STORAGE_NAME)
            label = text.name.rsplit("/", 1)[-1] + ".txt"
            to_sign = FileToSign(name, label, "txt", text.size, 0, time)
            tasks.append(FileTask(-1 - number, text.name, to_sign, content_type("txt"), text.open))
    return tasks
