"""Keeps all runs and their parameters in memory, by column, so that a page can sort, filter and group them.

A thread first lists all runs, which takes a second for 10,000, and then reads their parameters. Rows that a
page shows are read first. The thread looks again from time to time, as an export may be writing the dataset.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from neptune_exporter.contract import NeptuneExporterError, Parameter, RunView
from neptune_exporter.model import RunKey, SysAttribute
from neptune_exporter_explorer.runs import OpenRuns, run_name
from neptune_exporter_explorer.statistics import Statistics

_PAUSE = 5.0
"""Seconds between two looks at the dataset at least; the pause is also ten times as long as the look took."""
_END_SECONDS = 2.0
"""How long `stop` waits for the thread."""
FACTS = ("project", "run", "state", "begin", "end", "duration", "failures")
"""Columns that are not attributes; in names of columns they begin with `:`."""


@dataclass
class RunRow:
    """What is known of a run beside its parameters."""

    key: RunKey
    name: str
    stamp: str
    facts: dict[str, Any]
    problem: str | None
    """Why the run is incomplete, judged by names and sizes of files."""
    unread: RunView | None
    """The run, as long as its parameters have not been read."""
    gone: bool = False
    damage: str | None = None
    """Why its parameters cannot be read."""


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
        self.listed = False
        """Every run has a row."""
        self.complete = False
        """Every run was read at least once."""
        self.unread = 0
        """Rows whose parameters are not known yet."""
        self.version = 0
        self._pages = 0
        """How many pages wait for rows."""
        self._places: dict[RunKey, int] = {}
        self._texts: dict[str, str] = {}
        self._guard = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_reading, name="runs", daemon=True)

    def start(self) -> None:
        """Begin to read in a thread that ends with the process."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the run that it is reading; waits for that for a short time."""
        self._ended.set()
        self._thread.join(_END_SECONDS)

    def wait_for_rows(self, number: int, patience: float, seconds: float) -> None:
        """Wait up to `patience` seconds for all rows; up to `seconds` if there are fewer than `number`."""
        begin = time.monotonic()
        while not (self.listed or self.complete):
            waited = time.monotonic() - begin
            if waited > seconds or (waited > patience and len(self.rows) >= number):
                return
            time.sleep(0.01)

    def wait(self) -> None:
        """Wait until every run was read once."""
        while not self.complete:
            time.sleep(0.01)

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
            if not self._give_way():
                return
            seen.add(run.key)
            self._add(run)
        for row in self.rows:
            if row.key not in seen and not row.gone:
                row.gone = True
                self._runs.known.pop(row.key, None)
                self.version += 1
        self.problem = None
        self.listed = True
        for _ in self._reading(range(len(self.rows))):
            if not self._give_way():
                return

    def read_rows(self, places: Iterable[int]) -> None:
        """Read the parameters of these rows now, as far as they are not known; the thread waits meanwhile."""
        with self._guard:
            self._pages += 1
        try:
            for _ in self._reading(places):
                pass
        finally:
            with self._guard:
                self._pages -= 1

    def _give_way(self) -> bool:
        """Wait while pages wait for rows. Returns whether to go on."""
        while self._pages and not self._ended.is_set():
            time.sleep(0.005)
        return not self._ended.is_set()

    def _reading(self, places: Iterable[int]) -> Iterator[None]:
        rows = {id(run): (place, run) for place in places if (run := self.rows[place].unread) is not None}
        for run, found in self._runs.dataset.parameters_of(run for _, run in rows.values()):
            self._keep(rows[id(run)][0], run, found)
            yield

    def _add(self, run: RunView) -> None:
        row = _row(run)
        with self._guard:
            place = self._places.setdefault(run.key, len(self.rows))
            if place == len(self.rows):
                self.rows.append(row)
            else:
                known = self.rows[place]
                if (known.stamp, known.problem, known.gone) == (row.stamp, row.problem, False):
                    return
                self.unread -= known.unread is not None
                self.rows[place] = row
            self._runs.known[run.key] = run
            self.unread += 1
            self.version += 1

    def _keep(self, place: int, run: RunView, found: Mapping[str, Parameter] | NeptuneExporterError) -> None:
        with self._guard:
            row = self.rows[place]
            if row.unread is not run:  # read by a page meanwhile, or changed
                return
            values: Mapping[str, Parameter] = {}
            if isinstance(found, NeptuneExporterError):
                row.damage, row.facts["state"] = str(found), "damaged"
            else:
                values = found
            for path, column in self.columns.items():
                if path not in values and place < len(column):
                    column[place] = None
            for path, parameter in values.items():
                column = self.columns.setdefault(path, [])
                column.extend([None] * (place + 1 - len(column)))
                column[place] = self._shared(_plain(parameter.value))
                self.types.setdefault(path, parameter.type.value)
            row.facts["begin"] = row.facts["begin"] or self.value(place, SysAttribute.CREATION_TIME)
            row.facts["failed"] = self.value(place, SysAttribute.FAILED) is True
            row.unread = None
            self.unread -= 1
            self.version += 1

    def _shared(self, value: Any) -> Any:
        """The value; equal texts of many runs are one object, to save memory."""
        return self._texts.setdefault(value, value) if type(value) is str else value


def _row(run: RunView) -> RunRow:
    """What is known of a run without opening a part that this tool wrote."""
    problem = None
    begin = end = None
    try:
        problem = next(iter(run.why_incomplete()), None)
        begin, end = run.time_span()
    except (NeptuneExporterError, OSError) as error:
        problem = problem or str(error)
    failures = len(run.failures)
    facts = {
        "project": run.key.project_id,
        "run": run.key.run_id,
        "kind": run.key.kind.value,
        "state": "damaged" if problem else "partial" if failures else "complete",
        "begin": _plain(begin),
        "end": _plain(end),
        "duration": (end - begin).total_seconds() if begin and end else None,
        "failures": failures,
        "failed": False,
    }
    return RunRow(run.key, run_name(run.key), run.stamp, facts, problem, run)


def _plain(value: Any) -> Any:
    """A value as JSON has it; times sort as text."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value
