"""Plain text tables: in a file or pipe as wide as what they hold, in a terminal no wider than that."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import TextIO, TypeAlias

from neptune_exporter.redaction import printable

Cell: TypeAlias = "str | int | None"

_GAP = "  "


def room_of(out: TextIO) -> int | None:
    """The columns of a terminal; None for a file or pipe."""
    return shutil.get_terminal_size().columns if out.isatty() else None


def table(header: Sequence[str], rows: Iterable[Sequence[Cell]], room: int | None = None) -> str:
    """Columns side by side, whole numbers with thousands separators to the right, None as a dash.

    If they are wider than `room`, the table is divided into several that have the first column in common, and
    long cells are folded.
    """
    return "\n".join(table_lines(header, rows, room))


def table_lines(
    header: Sequence[str], rows: Iterable[Sequence[Cell]], room: int | None = None
) -> Iterator[str]:
    """The lines of `table`, which together take much memory if there are thousands."""
    widths = list(map(len, header))
    kinds: set[tuple[type, ...]] = set()
    cells = [tuple(header)]
    for row in rows:
        kinds.add(tuple(map(type, row)))
        line = tuple([cell if isinstance(cell, str) else _number(cell) for cell in row])
        widths = list(map(max, widths, map(len, line)))
        cells.append(line)
    # the columns that do not hold only numbers
    texts = {number for of_row in kinds for number, kind in enumerate(of_row) if issubclass(kind, str)}
    for number, columns in enumerate(_divided(widths, room)):
        if number:
            yield ""
        yield from _block(cells, columns, texts)


def _block(cells: Sequence[Sequence[str]], columns: dict[int, int], texts: set[int]) -> Iterator[str]:
    """One of the tables that a table is divided into."""
    widths = list(columns.values())
    form = _GAP.join(f"{{:{'<' if n in texts else '>'}{width}}}" for n, width in columns.items())
    for line in cells:
        chosen = tuple(map(line.__getitem__, columns))
        fits = all(map(int.__le__, map(len, chosen), widths))
        for piece in (chosen,) if fits else _folded(map(printable, chosen), widths):
            yield printable(form.format(*piece)).rstrip()


def _divided(widths: Sequence[int], room: int | None) -> list[dict[int, int]]:
    """The columns of each of the tables that a table is divided into, with their widths."""
    if room is None or sum(widths) + len(_GAP) * (len(widths) - 1) <= room:
        return [dict(enumerate(widths))]
    first = min(widths[0], max(1, room // 2))
    tables: list[dict[int, int]] = []
    left = 0
    for number, wide in list(enumerate(widths))[1:]:
        width = min(wide, max(1, room - first - len(_GAP)))
        if left < width + len(_GAP):
            tables.append({0: first})
            left = room - first
        tables[-1][number] = width
        left -= width + len(_GAP)
    return tables or [{0: max(1, room)}]


def _folded(cells: Iterable[str], widths: Iterable[int]) -> Iterator[tuple[str, ...]]:
    pieces = (textwrap.wrap(cell, width) for cell, width in zip(cells, widths, strict=True))
    return zip_longest(*pieces, fillvalue="")


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


def counted(count: int, what: str) -> str:
    """`1 project`, `1,204 projects`."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"
