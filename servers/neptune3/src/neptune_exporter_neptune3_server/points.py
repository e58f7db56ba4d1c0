"""Float points as protobuf, written by numpy: what the server sends most of.

The bytes are exactly those that the protobuf library makes from
`ProtoFloatSeriesValuesDTO` (`series_values_pb2` in neptune-query): fields in order
of their numbers, zeros left out. Only the loop over points is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Float64s = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

_BLOCK = 8192  # small enough for the cache, and for one odd point not to slow all others
_MANY_CHANGES = 32
_FIELDS = ((16, "step", "<f8"), (32, "value", "<f8"), (64, "preview", "u1"), (128, "ratio", "<f4"))


@dataclass(frozen=True, eq=False)
class Points:
    """Columns of one series in the order of sending, all of one length.

    timestamps: milliseconds since the epoch. completion: the ratio of a preview,
    1.0 for every point that is not a preview.
    """

    timestamps: Int64s
    steps: Float64s
    values: Float64s
    preview: npt.NDArray[np.bool_] | None = None
    completion: npt.NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, part: slice | npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> Points:
        return Points(
            self.timestamps[part],
            self.steps[part],
            self.values[part],
            None if self.preview is None else self.preview[part],
            None if self.completion is None else self.completion[part],
        )

    @classmethod
    def join(cls, parts: Sequence[Points]) -> Points:
        """One after the other; a part without previews gets the columns of one that has them."""
        if len(parts) == 1:
            return parts[0]
        joined = cls(
            np.concatenate([part.timestamps for part in parts]),
            np.concatenate([part.steps for part in parts]),
            np.concatenate([part.values for part in parts]),
        )
        if all(part.preview is None for part in parts):
            return joined
        previews = np.concatenate(list(map(_previews, parts)))
        return replace(joined, preview=previews, completion=np.concatenate(list(map(_completions, parts))))


def _previews(points: Points) -> npt.NDArray[np.bool_]:
    return np.zeros(len(points), np.bool_) if points.preview is None else points.preview


def _completions(points: Points) -> npt.NDArray[np.float32]:
    return np.ones(len(points), np.float32) if points.completion is None else points.completion


def varint(number: int) -> bytes:
    """A non-negative number below 2**64 in protobuf's base 128."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number: int, payload: bytes) -> bytes:
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def encode(points: Points) -> bytes:
    """The points as field 2 of `ProtoFloatSeriesValuesDTO`, repeated."""
    return b"".join(_encode_block(points[at : at + _BLOCK]) for at in range(0, len(points), _BLOCK))


def _encode_block(points: Points) -> bytes:
    layouts = _layouts(points)
    starts = [0, *(np.flatnonzero(layouts[1:] != layouts[:-1]) + 1).tolist(), len(points)]
    if len(starts) > _MANY_CHANGES:
        return _interleaved(points, layouts)
    return b"".join(
        _same_layout(points[at:stop], int(layouts[at])).tobytes() for at, stop in pairwise(starts)
    )


def _interleaved(points: Points, layouts: Int64s) -> bytes:
    """Points whose fields differ from one to the next: encoded by kind, then put into their places."""
    lengths = np.zeros(len(points), np.int64)
    blocks = []
    for kind in np.unique(layouts):
        chosen = layouts == kind
        block = _same_layout(points[chosen], int(kind))
        lengths[chosen] = block.shape[1]
        blocks.append((chosen, block))
    ends = np.cumsum(lengths)
    starts = ends - lengths
    out = np.empty(int(ends[-1]), np.uint8)
    for chosen, block in blocks:
        out[starts[chosen][:, None] + np.arange(block.shape[1])] = block
    return out.tobytes()


def _layouts(points: Points) -> Int64s:
    """Which fields each point has: width of the time + 16 step + 32 value + 64 preview + 128 ratio."""
    times = points.timestamps.view(np.uint64)
    shortest, longest = (len(varint(int(end))) if end else 0 for end in (times.min(), times.max()))
    layouts: Int64s = (points.steps.view(np.uint64) != 0) * np.int64(16)
    layouts += (points.values.view(np.uint64) != 0) * np.int64(32)
    layouts += shortest
    for width in range(shortest, longest):
        layouts += times >= np.uint64(1 << 7 * width)
    if points.preview is not None:
        layouts += points.preview * np.int64(64)
    layouts += np.int64(128) if points.completion is None else (points.completion != 0) * np.int64(128)
    return layouts


@lru_cache(maxsize=512)
def _row(layout: int) -> np.dtype[np.void]:
    """One point as it is on the wire."""
    width = layout & 15
    fields = [("tag", "u1"), ("length", "u1")]
    if width:
        fields += [("time_tag", "u1"), *((f"time{k}", "u1") for k in range(width))]
    for bit, name, kind in _FIELDS:
        if layout & bit:
            fields += [(f"{name}_tag", "u1"), (name, kind)]
    return np.dtype(fields)


def _same_layout(points: Points, layout: int) -> Bytes:
    """Points that all have the same fields, as rows of one length."""
    width = layout & 15
    rows = np.empty(len(points), _row(layout))
    rows["tag"] = 0x12
    rows["length"] = rows.dtype.itemsize - 2
    if width:
        rows["time_tag"] = 0x08
        rest = points.timestamps.view(np.uint64)
        for k in range(width):
            more = 0x80 if k < width - 1 else 0
            rows[f"time{k}"] = (rest & np.uint64(0x7F)) | np.uint64(more)
            rest = rest >> np.uint64(7)
    if layout & 16:
        rows["step_tag"], rows["step"] = 0x11, points.steps
    if layout & 32:
        rows["value_tag"], rows["value"] = 0x19, points.values
    if layout & 64:
        rows["preview_tag"], rows["preview"] = 0x20, 1
    if layout & 128:
        rows["ratio_tag"] = 0x2D
        rows["ratio"] = np.float32(1) if points.completion is None else points.completion
    return rows.view(np.uint8).reshape(len(points), rows.dtype.itemsize)
