"""Plain text tables: as wide as what they hold, so that a pipe gets the same as a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from neptune_exporter.redaction import printable

Cell: TypeAlias = "str | int | None"

_GAP = "  "


def table(header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Columns side by side, whole numbers with thousands separators to the right, None as a dash."""
    cells = [[_cell(value) for value in row] for row in rows]
    right = [all(isinstance(row[i], (int, type(None))) for row in rows) for i in range(len(header))]
    widths = [max(len(text) for text in column) for column in zip(header, *cells, strict=True)]
    lines = [
        _GAP.join(
            text.rjust(width) if to_right else text.ljust(width)
            for text, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in [header, *cells]
    ]
    return "\n".join(lines)


def size(count: int) -> str:
    """Bytes for a person: exact below 1,000, then three digits and a unit of 1,000."""
    if count < 1000:
        return f"{count} B"
    value = float(count)
    for unit in ("kB", "MB", "GB", "TB", "PB"):
        value /= 1000
        if value < 999.5 or unit == "PB":
            break
    digits = max(0, 2 - len(str(int(value))) + 1)
    return f"{value:.{digits}f} {unit}"


def _cell(value: Cell) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else printable(value)
