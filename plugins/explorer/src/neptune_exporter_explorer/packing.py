"""Lines of a chart as bytes: a JSON header, then numbers as float64, which a browser reads as they are."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from neptune_exporter_explorer.series import Line


def pack(lines: Sequence[Line], errors: Sequence[dict[str, str]]) -> bytes:
    """The length of the header as uint32, the header, spaces up to a multiple of 8, the numbers.

    The header tells for each line `run`, `origin`, `points`, and how many numbers of `x`, `y`, `odd_x` and
    `odd_y` follow for it. In `y` NaN stands where the line breaks; x repeats the x before it.
    """
    described: list[dict[str, Any]] = []
    numbers: list[bytes] = []
    for line in lines:
        x, y = broken(line)
        curve = line.curve
        described.append(
            {
                "run": line.run,
                "origin": line.origin,
                "points": curve.points,
                "length": len(x),
                "odd": len(curve.odd_x),
            }
        )
        numbers += [np.ascontiguousarray(each, "<f8").tobytes() for each in (x, y, curve.odd_x, curve.odd_y)]
    header = json.dumps({"lines": described, "errors": list(errors)}).encode()
    header += b" " * (-(len(header) + 4) % 8)
    return b"".join([struct.pack("<I", len(header)), header, *numbers])


def broken(line: Line) -> tuple[Any, Any]:
    """x and y with a NaN between segments."""
    curve = line.curve
    ends = np.flatnonzero(np.diff(curve.segment)) + 1
    return np.insert(curve.x, ends, curve.x[ends - 1]), np.insert(curve.y, ends, np.nan)
