"""Tables that a loader makes of string series where a target shows files to people: one CSV a series.

The columns are `step` (as in Neptune; empty where there is none), `time` (UTC, such as
`2024-05-01 10:00:00.000+00:00`, or empty) and `text`, in the order of the rows. What a process printed is
also there as plain text.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from neptune_exporter.sinks.received import FileToSend
from neptune_exporter.sinks.texts import console_stream
from neptune_exporter.toolkit.filekinds import FileKind

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_HEADER = "step,time,text\r\n"


class MadeTables:
    """Files in a temporary folder, to which rows are appended, and which are sent at the end."""

    def __init__(self, folder: Path, what: str) -> None:
        self._folder = folder / what
        self._numbers: dict[str, int] = {}
        self._counts: Counter[str] = Counter()

    def write(
        self, paths: Sequence[str], steps: Sequence[str], times: Sequence[int | None], values: Sequence[Any]
    ) -> None:
        rows = zip(paths, steps, times, values, strict=True)
        for path, some in itertools.groupby(rows, key=lambda row: row[0]):
            self._append(path, [(step, _shown(time), text) for _, step, time, text in some])

    def _append(self, path: str, rows: list[tuple[str, str, str]]) -> None:
        is_new = path not in self._numbers
        number = self._numbers.setdefault(path, len(self._numbers))
        self._counts[path] += len(rows)
        self._folder.mkdir(parents=True, exist_ok=True)
        table = io.StringIO(newline="")
        csv.writer(table).writerows(rows)
        with self._path(number, "csv").open("ab") as file:
            file.write(((_HEADER if is_new else "") + table.getvalue()).encode())
        if console_stream(path):
            with self._path(number, "log").open("ab") as file:
                file.write(
                    "".join(text if text.endswith("\n") else f"{text}\n" for _, _, text in rows).encode()
                )

    def files(self, name_of: Callable[[str, str], str]) -> Iterator[FileToSend]:
        """The files to send when everything is written; each is deleted once it is sent. `name_of` gives the
        name in the target for an attribute path and an extension."""
        for path, number in self._numbers.items():
            for extension in ("csv", "log") if console_stream(path) else ("csv",):
                stored = self._path(number, extension)
                name, kind = name_of(path, extension), FileKind("text", extension)
                holds = {path: self._counts[path]} if extension == "csv" else {}
                size = stored.stat().st_size
                yield FileToSend(name, name, None, None, size, kind, _opener(stored), True, holds)
                stored.unlink()

    def _path(self, number: int, extension: str) -> Path:
        return self._folder / f"{number}.{extension}"


def _opener(path: Path) -> Callable[[], io.BufferedReader]:
    return lambda: path.open("rb")


def _shown(time: int | None) -> str:
    if time is None:
        return ""
    # With a blank: MLflow 3.17's page of a table makes dates of times with a `T`, and shows nothing for them.
    return (_EPOCH + timedelta(milliseconds=time)).isoformat(" ", "milliseconds")
