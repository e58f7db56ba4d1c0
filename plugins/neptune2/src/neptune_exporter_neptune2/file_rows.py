"""Rows of files as record batches, and failures of attributes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from neptune_exporter.contract import AttributeFailure, SourceError, StoredFile
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.schema import TIME_TYPE, step_columns
from neptune_exporter_neptune2.values import Attribute


@dataclass(frozen=True)
class FileRow:
    """A stored file and the row that names it."""

    path: str
    type: AttributeType
    stored: StoredFile
    step: float | None = None
    time: int | None = None
    """Milliseconds since 1970."""


class PartError(SourceError):
    """The error of one request, with a message that says what it was a part of."""

    def __init__(self, error: SourceError, message: str) -> None:
        super().__init__(message)
        self.attempts = error.attempts


def file_batch(rows: Sequence[FileRow]) -> pa.RecordBatch:
    """The rows of some files. Not empty."""
    columns = {
        "attribute_path": pa.array([r.path for r in rows], pa.string()),
        "attribute_type": pa.array([r.type.value for r in rows], pa.string()),
        "timestamp": pa.array([r.time for r in rows], pa.int64()).cast(TIME_TYPE),
        **StoredFile.columns(r.stored for r in rows),
        **step_columns(pa.array([r.step for r in rows], pa.float64())),
    }
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def failure_of(run: RunKey, attribute: Attribute, error: SourceError, more: int = 0) -> AttributeFailure:
    """The failure of an attribute. `more`: how many parts of it failed after the first."""
    message = f"{error} (and {more} more of it failed)" if more else str(error)
    return AttributeFailure.of(run, attribute.path, attribute.type, error, message)
