"""Rows of `metrics` in the binary format of PostgreSQL's COPY.

The format is that of PostgreSQL's manual, "COPY", "Binary Format": a header, for each row the number of its
fields, each field after its length, and a row of -1 fields at the end. All numbers are big-endian.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from neptune_exporter.sinks.points import Points

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"


def copied_rows(run_id: str, names: Sequence[str], points: Points, is_nan: Any) -> Iterator[bytes]:
    """Key, value, time, step, run, whether it is NaN: a piece for each series, whose rows are of one size."""
    yield _HEADER
    ends = np.flatnonzero(np.append(points.series[1:] != points.series[:-1], True)) + 1
    for start, end in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True):
        here = slice(start, end)
        fields = {
            "key": names[points.series[start]].encode(),
            "value": points.value[here],
            "time": points.time[here],
            "step": points.step[here],
            "run": run_id.encode(),
            "is_nan": is_nan[here],
        }
        yield _rows(fields, end - start)
    yield _END


def _rows(fields: dict[str, Any], count: int) -> bytes:
    types = {"value": ">f8", "time": ">i8", "step": ">i8", "is_nan": "u1"}
    layout: list[tuple[str, str]] = [("fields", ">i2")]
    for name, value in fields.items():
        layout += [(f"size of {name}", ">i4"), (name, types.get(name) or f"S{len(value)}")]
    rows = np.empty(count, np.dtype(layout))
    rows["fields"] = len(fields)
    for name, value in fields.items():
        rows[f"size of {name}"] = rows.dtype[name].itemsize
        rows[name] = value
    return rows.tobytes()
