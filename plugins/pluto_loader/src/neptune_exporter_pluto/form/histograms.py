"""Histograms as Pluto draws them: even bins, whole counts.

What is so is exact. Anything else is drawn as near as that allows, and its exact
numbers go into a table beside it. Pluto's reader fails for all histograms of a
name if one row has a count that is no integer, so none is ever sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from neptune_exporter.sinks.values import as_json

_SAFE_INTEGER = 2.0**53
_DRAWN_TOTAL = 10_000
"""What the counts of a redrawn density or fraction add up to, about."""
_MAX_DRAWN_BINS = 2_048
_TABLE_ROWS = 600
_COUNTS = "COUNTING"
_EVEN_SPACINGS = 4
"""So many neighbouring doubles an even edge may be off, by the way in which it was computed."""
_EVEN_PART = 1e-3
"""And no more than this part of a bin, where bins are hardly wider than that."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Drawing:
    """What is sent for one histogram: JSON texts."""

    histogram: bytes | None
    """None if it has no finite width."""
    tables: list[bytes]
    """The exact numbers where the drawing is not exact; empty if it is."""


def draw(kind: str, edges: Floats, values: Floats) -> Drawing:
    """Draw a histogram.

    Args:
        kind: Neptune's `type`: COUNTING or DENSITY. Pluto draws counts, so nothing else is exact.
        edges: Edges of the bins.
        values: One for each bin.
    """
    consistent = len(edges) == len(values) + 1 and len(values) > 0
    exact = consistent and kind == _COUNTS and len(values) <= _MAX_DRAWN_BINS
    if exact and _is_even(edges) and _are_counts(values):
        return Drawing(_histogram(edges[0], edges[-1], values.astype(np.int64)), [])
    drawn = _nearest(kind, edges, values) if consistent else None
    return Drawing(drawn, list(_tables(kind, edges, values)))


def _is_even(edges: Floats) -> bool:
    """Whether the edges are those that a reader finds from the first, the last and the number of bins."""
    if not np.isfinite(edges).all() or edges[-1] <= edges[0]:
        return False
    width = edges[-1] - edges[0]
    if not np.isfinite(width):
        return False
    spacing = np.spacing(max(abs(edges[0]), abs(edges[-1])))
    allowed = min(_EVEN_SPACINGS * spacing, _EVEN_PART * width / (len(edges) - 1))
    even = np.linspace(edges[0], edges[-1], len(edges))
    return bool(np.all(np.abs(edges - even) <= allowed))


def _are_counts(values: Floats) -> bool:
    return bool(np.all((values >= 0) & (values <= _SAFE_INTEGER) & (values == np.floor(values))))


def _nearest(kind: str, edges: Floats, values: Floats) -> bytes | None:
    """Even bins over the finite range, each with its share of every bin that it overlaps."""
    low, high = edges[:-1], edges[1:]
    usable = np.isfinite(low) & np.isfinite(high) & (high > low) & np.isfinite(values)
    if not (usable & (values > 0)).any():
        finite = edges[np.isfinite(edges)]
        if len(finite) < 2 or not 0 < finite.max() - finite.min() < np.inf:
            return None
        return _histogram(finite.min(), finite.max(), np.zeros(min(len(values), _MAX_DRAWN_BINS), np.int64))
    low, high, mass = low[usable], high[usable], np.maximum(values[usable], 0.0)
    if not np.isfinite(high.max() - low.min()):
        return None
    if "DENSITY" in kind.upper():
        mass = mass * (high - low)
    bins = min(len(values), _MAX_DRAWN_BINS)
    even = np.linspace(low.min(), high.max(), bins + 1)
    order = np.argsort(low, kind="stable")
    cumulated = np.concatenate(([0.0], np.cumsum(mass[order])))
    if not np.isfinite(cumulated[-1]):
        return None
    shares = np.diff(np.interp(even, np.append(low[order], high[order][-1]), cumulated))
    return _histogram(even[0], even[-1], _whole(shares, float(cumulated[-1]), _are_counts(mass)))


def _whole(shares: Floats, total: float, counts: bool) -> npt.NDArray[np.int64]:
    """Shares as integers with the same total: rounded down, what is left given to the largest remainders."""
    aim = total if counts and total <= _SAFE_INTEGER else float(_DRAWN_TOTAL)
    scaled = np.clip(shares * (aim / total), 0, _SAFE_INTEGER) if total > 0 else np.zeros(len(shares))
    whole = np.floor(scaled).astype(np.int64)
    left = round(aim) - int(whole.sum())
    if 0 < left <= len(whole):
        whole[np.argsort(whole - scaled, kind="stable")[:left]] += 1
    return whole


def _histogram(low: float, high: float, counts: npt.NDArray[np.int64]) -> bytes:
    drawing: dict[str, Any] = {
        "freq": counts.tolist(),
        "maxFreq": int(counts.max(initial=0)),
        "bins": {"min": float(low), "max": float(high), "num": len(counts)},
        "shape": "uniform",
        "type": "Histogram",
        "v": 1,
    }
    return orjson.dumps(drawing)


def _tables(kind: str, edges: Floats, values: Floats) -> Iterator[bytes]:
    """All edges and values, in tables of bounded size. Numbers that JSON lacks are written as text."""
    names = {"bin": "int", "from": "float", "to": "float", f"value ({kind})": "float"}
    columns = [{"name": name, "dtype": dtype} for name, dtype in names.items()]
    rows = max(len(values), len(edges) - 1)
    for start in range(0, max(rows, 1), _TABLE_ROWS):
        table = [
            [i, _cell(edges, i), _cell(edges, i + 1), _cell(values, i)]
            for i in range(start, min(start + _TABLE_ROWS, rows))
        ]
        yield orjson.dumps(
            {"table": table or [[0, None, None, None]], "col": columns, "type": "Table", "v": 1}
        )


def _cell(numbers: Floats, index: int) -> float | str | None:
    return as_json(float(numbers[index])) if index < len(numbers) else None
