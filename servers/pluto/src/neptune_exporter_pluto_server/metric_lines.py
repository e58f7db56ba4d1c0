"""Lines of /ingest/metrics: {"time":u64,"step":u64,"data":{name:number,…}}.

Two readers with one result. The fast one hands a whole block to Arrow's JSON
reader and accepts its answer only where it cannot differ from the exact one;
everything else (null, "NaN", escapes, blank lines, errors, many sparse series)
goes line by line.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.json as pj

from neptune_exporter_pluto_server.lines import (
    BadLineError,
    Block,
    Pairs,
    load_exact,
    looks_regular,
    members,
    stripped,
    unsigned,
)
from neptune_exporter_pluto_server.points import POINT, NameIds, Points

_FIELDS = ("time", "step", "data")
_SCHEMA = pa.schema([("time", pa.uint64()), ("step", pa.uint64())])
_SPECIAL = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}
_FAST_BYTES = 1 << 14  # below, Arrow's reader costs more to start than it saves
_HUGE = float(1 << 63)


def read_metrics(block: Block, ids: NameIds) -> tuple[Points, BadLineError | None]:
    """The points of a block, up to the first bad line, and what is wrong with that."""
    if len(block.text) >= _FAST_BYTES:
        points = read_fast(block.text, ids)
        if points is not None:
            return points, None
    return read_exact(block, ids)


def read_fast(text: bytes, ids: NameIds) -> Points | None:
    """The points of a block that is regular beyond doubt, else None."""
    lines = looks_regular(text)
    if lines == 0 or not _dense(text):
        return None
    try:
        table = pj.read_json(
            pa.BufferReader(text),
            read_options=pj.ReadOptions(use_threads=False, block_size=len(text) + 1),
            parse_options=pj.ParseOptions(explicit_schema=_SCHEMA),
        )
    except (pa.ArrowInvalid, UnicodeDecodeError):
        return None
    if table.num_rows != lines or table.column_names != list(_FIELDS):
        return None
    (batch,) = table.combine_chunks().to_batches()
    times, steps, data = batch.columns
    if times.null_count or steps.null_count or data.null_count or not pa.types.is_struct(data.type):
        return None
    columns = []
    filled = np.zeros(lines, np.int64)
    for index in range(data.type.num_fields):
        name, column = data.type.field(index).name, data.field(index)
        if not name.strip() or column.type not in (pa.int64(), pa.float64()):
            return None
        if column.null_count == lines:
            continue
        valid = None if column.null_count == 0 else column.is_valid().to_numpy(zero_copy_only=False)
        values = _numpy(column if valid is None else column.drop_null())
        if not (np.abs(values) < _HUGE).all():  # also false for NaN
            return None
        filled += 1 if valid is None else valid
        columns.append((ids[name], valid, values))
    if not filled.all():  # a line without a single value is refused
        return None
    points = np.empty(int(filled.sum()), POINT)
    start, times, steps = 0, _numpy(times), _numpy(steps)
    for ident, valid, values in columns:
        part = points[start : start + len(values)]
        part["name"] = ident
        part["time"] = times if valid is None else times[valid]
        part["step"] = steps if valid is None else steps[valid]
        part["value"] = values
        start += len(values)
    return points


def _numpy(column: pa.Array) -> npt.NDArray[Any]:
    # not to_numpy(): for floats that imports pandas, if it is there, which takes seconds
    return np.from_dlpack(column)


def read_exact(block: Block, ids: NameIds) -> tuple[Points, BadLineError | None]:
    """The same line by line."""
    times: list[int] = []
    steps: list[int] = []
    widths: list[int] = []
    names: list[str] = []
    values: list[float] = []
    error = None
    lines = block.text.split(b"\n")
    for number, line in enumerate(lines, 1):
        found = _plain(line)
        if found is None:
            try:
                found = _exact(line, block.final and number == len(lines))
            except BadLineError as bad:
                error = bad
                break
            if found is None:
                continue
        time, step, data = found
        times.append(time)
        steps.append(step)
        widths.append(len(data))
        names.extend(data)
        values.extend(data.values())
    points = np.empty(len(names), POINT)
    points["name"] = np.fromiter(map(ids.__getitem__, names), np.uint32, len(names))
    points["time"] = np.repeat(np.array(times, np.uint64), widths)
    points["step"] = np.repeat(np.array(steps, np.uint64), widths)
    points["value"] = values
    return points, error


def _plain(line: bytes) -> tuple[int, int, dict[str, float]] | None:
    """A line that has nothing special, or None."""
    try:
        loaded = orjson.loads(line)
        time, step, data = loaded["time"], loaded["step"], loaded["data"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    if len(loaded) != 3 or type(time) is not int or type(step) is not int or time < 0 or step < 0:
        return None
    if type(data) is not dict or not data or b"\\" in line or line.count(b'"') != 6 + 2 * len(data):
        return None  # the last: more names than members, so one was given twice
    for name, value in data.items():
        kind = type(value)
        if not (kind is float or kind is int) or not -_HUGE < value < _HUGE or not name.strip():
            return None
    return time, step, data


def _exact(line: bytes, final: bool) -> tuple[int, int, dict[str, float]] | None:
    """A line by the letter; None if it is blank.

    Raises:
        BadLineError: as the real ingest would.
    """
    line = stripped(line)
    if not line:
        return None
    found = members(load_exact(line, final), _FIELDS, line, final)
    time = unsigned(found["time"], "time", line, final)
    step = unsigned(found["step"], "step", line, final)
    if not isinstance(found["data"], Pairs):
        raise BadLineError.undecodable(line, "invalid type for `data`, expected a map of metric names", final)
    data = {}
    for name, value in found["data"]:
        number = _number(value, line, final)
        if number is not None:
            data[name] = number
    if not data:
        raise BadLineError.invalid("InvalidMetricFormat (2005", "'data' field cannot be empty")
    if not all(name.strip() for name in data):
        raise BadLineError.invalid("InvalidMetricFormat (2005", "metric name cannot be empty")
    return time, step, data


def _number(value: Any, line: bytes, final: bool) -> float | None:
    if value is None:
        return None
    if type(value) in (int, float):
        return float(value)
    if type(value) is str:
        if value in _SPECIAL:
            return float(_SPECIAL[value])
        raise BadLineError.undecodable(line, f"unexpected string metric value: '{value[:40]}'", final)
    raise BadLineError.undecodable(line, f"invalid type: {str(value)[:40]}, expected a number", final)


def _dense(text: bytes) -> bool:
    """Whether the lines share their series: Arrow's reader makes a column of every name."""
    names: set[str] = set()
    widest = 0
    for part in range(16):
        start = text.find(b"\n", part * len(text) // 16) + 1
        end = text.find(b"\n", start)
        try:
            data = orjson.loads(text[start : end if end > 0 else None])["data"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return False
        if not isinstance(data, dict):
            return False
        names.update(data)
        widest = max(widest, len(data))
    return len(names) <= 2 * widest + 4
