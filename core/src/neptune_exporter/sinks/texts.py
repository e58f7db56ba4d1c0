"""String series: which of them are console output or errors, and their values as valid text."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from neptune_exporter.sinks.losses import CommonLoss, LossBook
from neptune_exporter.sinks.series import SeriesRows

_CONSOLE = re.compile(r"(?:^|/)(?:monitoring(?:/.*)?|runtime)/(stdout|stderr)$")
"""Where the Neptune clients put what a process printed: 2.x below `monitoring/`, 3.x in `runtime/`."""
_ERROR = re.compile(r"stderr|error", re.IGNORECASE)


def console_stream(path: str) -> str | None:
    """`stdout` or `stderr` for a path under which a client stored what was printed."""
    match = _CONSOLE.search(path)
    return match[1] if match else None


def is_error(path: str) -> bool:
    """Whether a series holds errors, by its name."""
    return _ERROR.search(path) is not None


def as_text(rows: SeriesRows, losses: LossBook) -> pa.Array:
    """The string values. Bytes that are not UTF-8, which Parquet may hold, are replaced and counted."""
    texts = rows.batch.column("string_value")
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        raw = [value or b"" for value in texts.cast(pa.binary()).to_pylist()]
        decoded = [value.decode("utf-8", "replace") for value in raw]
        bad = np.array([v != d.encode() for v, d in zip(raw, decoded, strict=True)], np.bool_)
        rows.count(bad, CommonLoss.NOT_TEXT, losses)
        return pa.array(decoded, pa.string())
    return texts


def step_texts(batch: pa.RecordBatch) -> pa.Array:
    """Steps as a person writes them: `5`, `0.25`; empty for a row without a step."""
    steps = batch.column("step").cast(pa.string())
    steps = pc.utf8_rtrim(pc.utf8_rtrim(steps, "0"), ".")
    if batch.column("step_float64").null_count < batch.num_rows:
        steps = pc.coalesce(batch.column("step_float64").cast(pa.string()), steps)
    return pc.fill_null(steps, "")
