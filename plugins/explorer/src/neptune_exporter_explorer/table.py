"""All runs with their parameters in memory, by column: what the page of runs sorts, filters and groups.

A thread reads them, so that the first page is there before the last run was read; it looks again later, as
an export may be writing the dataset meanwhile.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from neptune_exporter.contract import NeptuneExporterError, RunView
from neptune_exporter.model import RunKey, SysAttribute
from neptune_exporter_explorer.runs import OpenRuns, run_name
from neptune_exporter_explorer.statistics import Statistics

_PAUSE = 5.0
"""Seconds between two looks at the dataset, at least; and ten times as long as a look takes."""
_END_SECONDS = 2.0
FACTS = ("project", "run", "state", "begin", "end", "duration", "failures")
"""Columns that are not attributes; in names of columns they begin with `:`."""


@dataclass
class RunRow:
    """What is known of a run beside its parameters."""

    key: RunKey
    name: str
    fingerprint: str
    facts: dict[str, Any]
    problem: str | None
    gone: bool = False


class RunsTable:
    """Columns of values, one for each row; a run that appears or changes later is added or replaced."""

    def __init__(self, runs: OpenRuns) -> None:
        self._runs = runs
        self.statistics = Statistics(runs)
        self.rows: list[RunRow] = []
        self.columns: dict[str, list[Any]] = {}
        self.types: dict[str, str] = {}
        self.problem: str | None = None
        """Why the dataset as a whole cannot be read."""
        self.complete = False
        """Every run was read at least once."""
        self.version = 0
        self._places: dict[RunKey, int] = {}
        self._guard = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_reading, name="runs", daemon=True)

    def start(self) -> None:
        """Begin to read in a thread that ends with the process."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the run that it reads; waits for that, but not for long."""
        self._ended.set()
        self._thread.join(_END_SECONDS)

    def wait_for_rows(self, number: int, seconds: float) -> None:
        """Wait until so many runs are there, or all of them, or the time is over."""
        ends = time.monotonic() + seconds
        while not self.complete and len(self.rows) < number and time.monotonic() < ends:
            time.sleep(0.01)

    def wait(self) -> None:
        """Wait until every run was read once."""
        self.wait_for_rows(1 << 62, float("inf"))

    def open(self, key: RunKey) -> RunView:
        """One run; raises DatasetError if it is not there."""
        return self._runs[key]

    def value(self, row: int, column: str) -> Any:
        """The value of a column, None if the run has none."""
        if column.startswith(":"):
            return self.rows[row].facts.get(column[1:])
        values = self.columns.get(column)
        return values[row] if values is not None and row < len(values) else None

    def _keep_reading(self) -> None:
        while not self._ended.is_set():
            begin = time.monotonic()
            try:
                self.read()
            except Exception as error:  # noqa: BLE001 - the pages say it, and show what was read before
                ours = isinstance(error, (NeptuneExporterError, OSError))
                self.problem = str(error) if ours else f"internal error: {error!r}"
            self.complete = True
            self._ended.wait(max(_PAUSE, 10 * (time.monotonic() - begin)))

    def read(self) -> None:
        """Look at every run once, and read those that are new or changed."""
        seen: set[RunKey] = set()
        for run in self._runs.dataset.runs():
            if self._ended.is_set():
                return
            seen.add(run.key)
            self._add(run)
        for row in self.rows:
            if row.key not in seen and not row.gone:
                row.gone = True
                self.version += 1
        self.problem = None

    def _add(self, run: RunView) -> None:
        place = self._places.get(run.key)
        if (
            place is not None
            and self.rows[place].fingerprint == run.fingerprint
            and not self.rows[place].gone
        ):
            return
        row, values = _read(run)
        with self._guard:
            if place is None:
                self._places[run.key] = place = len(self.rows)
                self.rows.append(row)
            else:
                self.rows[place] = row
                for column in self.columns.values():
                    if place < len(column):
                        column[place] = None
                self._runs.forget(run.key)
            for path, (kind, value) in values.items():
                column = self.columns.setdefault(path, [])
                column.extend([None] * (place + 1 - len(column)))
                column[place] = value
                self.types.setdefault(path, kind)
            self.version += 1


def _read(run: RunView) -> tuple[RunRow, dict[str, tuple[str, Any]]]:
    values: dict[str, tuple[str, Any]] = {}
    problem = None
    begin = end = None
    try:
        values = {path: (p.type.value, _plain(p.value)) for path, p in run.parameters().items()}
        begin, end = run.time_span()
        problem = next(iter(run.why_incomplete()), None)
    except (NeptuneExporterError, OSError) as error:
        problem = str(error)
    failures = len(run.failures)
    facts = {
        "project": run.key.project_id,
        "run": run.key.run_id,
        "kind": run.key.kind.value,
        "state": "damaged" if problem else "partial" if failures else "complete",
        "begin": _plain(begin) or _known(values, SysAttribute.CREATION_TIME),
        "end": _plain(end),
        "duration": (end - begin).total_seconds() if begin and end else None,
        "failures": failures,
        "failed": _known(values, SysAttribute.FAILED) is True,
    }
    return RunRow(run.key, run_name(run.key), run.fingerprint, facts, problem), values


def _known(values: dict[str, tuple[str, Any]], path: str) -> Any:
    return values[path][1] if path in values else None


def _plain(value: Any) -> Any:
    """A value as JSON has it; times sort as text."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value
