"""Rows as lines of `/ingest/data` and `/ingest/logs`: arrays of lines, each with its line break."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from neptune_exporter_pluto.form.text import json_content, whole_numbers

Int64s = npt.NDArray[np.int64]


def string_rows(
    times: Int64s,
    steps: npt.NDArray[np.uint64],
    series: npt.NDArray[Any],
    names: Sequence[str],
    texts: pa.Array,
) -> pa.Array:
    """Entries of string series; `series` are indices into `names`."""
    tails = [b',"dataType":"string-series","logName":' + orjson.dumps(name) + b',"data":"' for name in names]
    return pc.binary_join_element_wise(
        '{"time":',
        whole_numbers(times),
        ',"step":',
        whole_numbers(steps),
        pa.array(tails, pa.binary()).cast(pa.string()).take(pa.array(series)),
        json_content(texts),
        '"}\n',
        "",
    )


def object_row(time: int, step: int, data_type: str, name: str, data: bytes) -> bytes:
    """One histogram or table; `data` is its JSON."""
    return b'{"time":%d,"step":%d,"dataType":%s,"logName":%s,"data":%s}\n' % (
        time,
        step,
        orjson.dumps(data_type),
        orjson.dumps(name),
        orjson.dumps(data.decode()),
    )


def log_rows(times: Int64s, numbers: Int64s, levels: pa.Array, messages: pa.Array) -> pa.Array:
    """Console lines."""
    return pc.binary_join_element_wise(
        '{"time":',
        whole_numbers(times),
        ',"lineNumber":',
        whole_numbers(numbers),
        ',"logType":"',
        levels,
        '","message":"',
        json_content(messages),
        '"}\n',
        "",
    )
