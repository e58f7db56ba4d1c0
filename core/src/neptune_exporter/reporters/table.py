"""Plain text tables: as wide as what they hold, so that a pipe gets the same as a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from neptune_exporter.redaction import printable

Cell: TypeAlias = "str | int | None"

_GAP = "  "


def table(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """Columns side by side, whole numbers with thousands separators to the right, None as a dash."""
    return "\n".join(table_lines(header, rows))


def table_lines(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """The lines of `table`, which together take much memory if there are thousands."""
    widths = [len(title) for title in header]
    texts: set[int] = set()  # the columns that do not hold only numbers
    cells: list[tuple[str, ...]] = []
    for row in rows:
        texts.update(number for number, value in enumerate(row) if isinstance(value, str))
        line = tuple(map(_cell, row))
        widths = list(map(max, widths, map(len, line)))
        cells.append(line)
    form = _GAP.join(f"{{:{'<' if n in texts else '>'}{width}}}" for n, width in enumerate(widths))
    for line in (tuple(header), *cells):
        yield form.format(*line).rstrip()


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
