"""String series as tables of W&B: `step`, `time` (UTC), `text`.

A table lies in a file; W&B shows at most some 10,000 rows of one, so a long series is several tables under
one name. The format is that of the files that wandb 0.31.0 writes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from neptune_exporter.sinks.names import digest, only

MOST_ROWS = 10_000
"""`wandb.Table.MAX_ROWS`."""
_MOST_BYTES = 1 << 24
COLUMNS = ["step", "time", "text"]
_HEAD = b'{"columns":' + orjson.dumps(COLUMNS) + b',"data":['
_END = b"]}"
_READ_BYTES = 1 << 14
_ROW = json.JSONDecoder(parse_float=str, parse_int=str)
_plain = only("A-Za-z0-9_-")


@dataclass
class Table:
    """A file of one series."""

    name: str
    path: str
    """Within the folder of the run's files."""
    rows: int = 0
    size: int = 0
    time: int = 0
    """Of the last row, in ms since 1970."""
    sha: Any = field(default_factory=hashlib.sha256)

    def value(self) -> dict[str, Any]:
        """What the history holds of it."""
        return {
            "_type": "table-file",
            "path": self.path,
            "sha256": self.sha.hexdigest(),
            "size": self.size,
            "ncols": len(COLUMNS),
            "nrows": self.rows,
        }


class TableWriter:
    """Writes the tables of a run; no file stays open between two calls."""

    def __init__(self, files: Path) -> None:
        self._files = files
        self._parts: dict[str, int] = {}
        self._open: dict[str, Table] = {}
        self.whole: list[Table] = []

    def write(self, name: str, steps: list[bytes], times: list[int], texts: list[str]) -> None:
        """Append entries of a series.

        Args:
            steps: As texts of JSON numbers.
            times: In ms since 1970.
        """
        moments = np.datetime_as_string(np.array(times, "M8[ms]")).tolist()
        rows: list[bytes] = []
        table = self._open.get(name)
        for step, time, moment, text in zip(steps, times, moments, texts, strict=True):
            if table is None:
                table = self._begin(name)
            row = b'[%s,"%sZ",%s]' % (step, moment.encode(), orjson.dumps(text))
            rows.append(row if table.rows == 0 else b",\n" + row)
            table.rows, table.time, table.size = table.rows + 1, time, table.size + len(rows[-1])
            if table.rows == MOST_ROWS or table.size > _MOST_BYTES:
                self._append(table, rows)
                self._end(name)
                table = None
        if table is not None:
            self._append(table, rows)

    def _begin(self, name: str) -> Table:
        part = self._parts[name] = self._parts.get(name, -1) + 1
        shown = _plain(name)[:60]
        path = f"media/table/{shown}_{digest(name)}_{part}.table.json"
        table = self._open[name] = Table(name, path, size=len(_HEAD) + len(_END))
        self._append(table, [_HEAD])
        return table

    def _append(self, table: Table, rows: list[bytes]) -> None:
        content = b"".join(rows)
        rows.clear()
        path = self._files / table.path
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(content)
        table.sha.update(content)

    def _end(self, name: str) -> None:
        table = self._open.pop(name)
        self._append(table, [_END])
        self.whole.append(table)

    def close(self) -> None:
        for name in list(self._open):
            self._end(name)


def read_table(path: Path) -> Iterator[tuple[str, int, str]]:
    """Step as the text of a number, time in ms since 1970, and text of each row.

    Many tables can be read side by side: each has few rows in memory and no file open between two rows.
    Raises ValueError if it is not a whole table of a `TableWriter`.
    """
    last, place = b"", len(_HEAD)
    while True:
        with path.open("rb") as file:
            file.seek(place)
            lines = file.readlines(_READ_BYTES)
            place = file.tell()
        if not lines:
            break
        for last in lines:
            step, moment, text = _ROW.decode(last.removesuffix(b",\n").removesuffix(_END).decode())
            yield step, int(np.datetime64(moment[:-1], "ms").astype(np.int64)), text
    if not last.endswith(_END):
        raise ValueError("the table has no end")
