"""Opens files of a run and checks each against the digest that the export recorded."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO

from neptune_exporter.contract import ExportedRun, MissingFileError, UnsafePathError
from neptune_exporter.model import FILE_TYPES, AttributeType
from neptune_exporter.sinks.losses import CommonLoss
from neptune_exporter.sinks.series import SeriesRows
from neptune_exporter.sinks.texts import step_texts
from neptune_exporter.toolkit.filekinds import HEAD_BYTES, FileKind, kind_of
from neptune_exporter.toolkit.measuring import measured

FILE_COLUMNS = ("attribute_type", "file_value", "file_sha256")
"""What `file_rows` needs beside path, step and time."""
RESTORABLE = frozenset({CommonLoss.FILE_MISSING, CommonLoss.FILE_DAMAGED})
"""Losses of files that a person may still restore."""
_KEPT_BYTES = 1 << 16
"""Files up to this size are read once and kept."""


@dataclass(frozen=True)
class FileRow:
    """A row that names a file. `number`: its place in the batch."""

    number: int
    path: str
    stored: str
    sha256: str | None
    time: int
    """In ms since 1970."""
    step_text: str | None
    """Of a file series, empty for a row without a step; None for a single file."""
    step: int | None
    """Multiplied; None if there is none, or the target cannot hold it."""
    rounded: bool
    early: bool
    """As in `SeriesRows`."""


def file_rows(rows: SeriesRows) -> Iterator[FileRow]:
    """The rows of a batch that has `FILE_COLUMNS`."""
    batch, steps = rows.batch, rows.steps
    stored = batch.column("file_value").field("path").to_pylist()
    types, hashes = (batch.column(name).to_pylist() for name in ("attribute_type", "file_sha256"))
    texts = step_texts(batch).to_pylist()
    for row, name in enumerate(stored):
        is_series = types[row] == AttributeType.FILE_SERIES.value
        yield FileRow(
            row,
            rows.paths[rows.series[row]],
            name or "",
            hashes[row],
            int(rows.times[row]),
            texts[row] if is_series else None,
            int(steps.steps[row]) if is_series and steps.usable[row] else None,
            bool(steps.rounded[row]),
            rows.early is not None and bool(rows.early[row]),
        )


@dataclass(frozen=True)
class CheckedFile:
    """A file that is there and is the one that was exported."""

    size: int
    """Bytes."""
    head: bytes
    """Its first bytes, all of a small file."""
    open: Callable[[], BinaryIO]


def check_file(run: ExportedRun, stored: str | None, sha256: str | None) -> CheckedFile | CommonLoss:
    """Look at a file that a row names by its `file_value.path`. Without `file_sha256`, as in exports of other
    tools, only the size is read. Returns the file, or FILE_MISSING, FILE_DAMAGED or FILE_UNSAFE."""
    name = stored or ""
    try:
        with run.open_file(name) as file:
            head = file.read(_KEPT_BYTES)
            if sha256 is not None and measured(file, head)[1] != sha256:
                return CommonLoss.FILE_DAMAGED
            size = file.seek(0, io.SEEK_END)
    except UnsafePathError:
        return CommonLoss.FILE_UNSAFE
    except MissingFileError:
        return CommonLoss.FILE_MISSING
    if size == len(head):
        return CheckedFile(size, head, lambda: io.BytesIO(head))
    return CheckedFile(size, head, lambda: run.open_file(name))


def lost_files(run: ExportedRun) -> int:
    """How many files of a run are missing or damaged now."""
    count = 0
    for batch in run.batches(FILE_TYPES, columns=("file_value", "file_sha256")):
        paths, hashes = batch.column("file_value").field("path").to_pylist(), batch.column("file_sha256")
        found = map(check_file, itertools.repeat(run), paths, hashes.to_pylist())
        count += sum(each in RESTORABLE for each in found if isinstance(each, CommonLoss))
    return count


def named_and_kind(path: str, stored: str, head: bytes, step: str | None) -> tuple[str, FileKind]:
    """A file's own name: the attribute's last part, the step of a file series, an extension.

    Examples:
        >>> head = bytes.fromhex("89504e470d0a1a0a")  # of a PNG
        >>> named_and_kind("plots/roc", "RUN-1/plots/roc.png", head, "0.5")
        ('roc_step_0.5.png', FileKind(media='image', extension='png'))
    """
    own = path.rsplit("/", 1)[-1].strip() or "file"
    kind = kind_of(own, head[:HEAD_BYTES])
    suffix = PurePosixPath(own).suffix
    if not kind.extension or not suffix:
        stored_suffix = PurePosixPath(stored.replace("\\", "/")).suffix
        kind = kind_of(own + stored_suffix, head[:HEAD_BYTES]) if not suffix else kind
        suffix = suffix or stored_suffix
        if not suffix and kind.extension:
            suffix = "." + kind.extension
            own += suffix
        elif not own.endswith(suffix):
            own += suffix
    if step is not None:
        own = f"{own.removesuffix(suffix)}_step_{step}{suffix}"
    return own, kind
