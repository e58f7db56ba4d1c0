"""JSON strings and numbers from columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

_COMMA, _COLON = 44, 58
_ESCAPED = (("\\", "\\\\"), ('"', '\\"'))
_COMMON_CONTROLS = (("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"))
_CONTROLS = "[\x00-\x1f]"
_NON_FINITE = pa.array([':"NaN"', ':"Infinity"', ':"-Infinity"'], pa.string()).cast(pa.binary())


def json_content(strings: pa.Array) -> pa.Array:
    """The strings as they stand between the quotes of a JSON string, as string column."""
    for plain, escaped in _ESCAPED:
        strings = pc.replace_substring(strings, plain, escaped)
    if not _any(pc.match_substring_regex(strings, _CONTROLS)):
        return strings
    for plain, escaped in _COMMON_CONTROLS:
        strings = pc.replace_substring(strings, plain, escaped)
    rare = pc.fill_null(pc.match_substring_regex(strings, _CONTROLS), False)
    if not _any(rare):
        return strings
    for code in range(0x20):
        strings = pc.replace_substring(strings, chr(code), f"\\u{code:04x}")
    return strings


def whole_numbers(values: npt.NDArray[Any]) -> pa.Array:
    """Integers as decimal digits, a string column."""
    return pc.cast(pa.array(values), pa.string())


def colon_numbers(values: npt.NDArray[np.float64]) -> pa.Array:
    """Doubles as `:1.5`, the shortest form that reads back the same; NaN and infinities as strings.

    orjson writes a whole array at once as `[1.5,2.0]`. Its brackets and commas become
    the colons, and their places the offsets: nothing is copied number by number.
    """
    text = bytearray(orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY))
    data = np.frombuffer(text, np.uint8)
    offsets = np.empty(len(values) + 1, np.int32)
    offsets[0] = 0
    offsets[1:-1] = np.flatnonzero(data == _COMMA)
    offsets[-1] = len(text) - 1
    data[offsets[:-1]] = _COLON
    numbers = pa.BinaryArray.from_buffers(
        pa.binary(), len(values), [None, pa.py_buffer(offsets), pa.py_buffer(text)]
    )
    finite = np.isfinite(values)
    if finite.all():
        return numbers
    kind = np.where(np.isnan(values), 0, np.where(values > 0, 1, 2)).astype(np.int8)
    return pc.if_else(pa.array(finite), numbers, _NON_FINITE.take(pa.array(kind)))


def lines_of(joined: pa.Array) -> memoryview:
    """The bytes of a binary or string column, one after the other, without copying."""
    offsets, data = joined.buffers()[1:]
    ends = np.frombuffer(offsets, np.int32)[joined.offset : joined.offset + len(joined) + 1]
    return memoryview(data)[int(ends[0]) : int(ends[-1])] if data is not None else memoryview(b"")


def _any(mask: pa.Array) -> bool:
    return bool(pc.any(mask, min_count=0).as_py())
