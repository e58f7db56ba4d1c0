"""Everything that a local Pluto holds, and how a test or a report looks into it.

What the real Pluto gives no way to read with an api key (histograms, tables,
string series) can be read here, from Python only.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from neptune_exporter_pluto_server.blobs import Blobs
from neptune_exporter_pluto_server.points import Key, Points, PointTable
from neptune_exporter_pluto_server.rows import DATA, FILES, LOGS, RowTable

_KINDS = {"HISTOGRAM": "histograms", "TABLE": "tables", "string-series": "string_series_rows"}


class Store:
    """The tables and the files of one server.

    Args:
        folder: where to keep the data when the server stops; a temporary folder
            that is removed then, if None.
        count_only: check and count everything, keep no points, rows or bytes of files.
        clock: the time in epoch seconds.
        delay: the seconds before a row is visible.
    """

    def __init__(
        self,
        folder: Path | None,
        count_only: bool,
        clock: Callable[[], float],
        delay: Callable[[], float],
    ) -> None:
        self.folder = folder
        self.count_only = count_only
        self._work = Path(tempfile.mkdtemp(prefix="pluto-rehearsal-", dir=self._made(folder)))
        self.points = PointTable(self._work / "points", clock, delay)
        self.data = RowTable(DATA, self._work / "data", clock, delay)
        self.logs = RowTable(LOGS, self._work / "logs", clock, delay)
        self.files = RowTable(FILES, self._work / "file-rows", clock, delay)
        self.blobs = Blobs(self._work / "incoming", (folder or self._work) / "files", count_only)
        self.counts: Counter[str] = Counter()
        self._clock = clock
        self._delay = delay
        self._marks: dict[Key, _Marks] = {}
        self._lock = threading.Lock()

    @staticmethod
    def _made(folder: Path | None) -> Path | None:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    # Writing

    def add_points(self, key: Key, points: Points) -> None:
        rows = len(points)
        if rows == 0:
            return
        with self._lock:
            self.counts["points"] += rows
            marks = self._marks.setdefault(key, _Marks())
            marks.waiting.append((self._clock(), int(points["time"].max()), int(points["step"].max())))
            if len(marks.waiting) > 1024:
                marks.fold(self._clock() - self._delay())
        if not self.count_only:
            self.points.append(key, points)

    def add_data(self, key: Key, batch: pa.RecordBatch) -> None:
        kinds = Counter(batch.column("dataType").to_pylist())
        with self._lock:
            for kind, rows in kinds.items():
                self.counts[_KINDS.get(kind, "other_data_rows")] += rows
        if not self.count_only:
            self.data.append(key, batch)

    def add_logs(self, key: Key, batch: pa.RecordBatch) -> None:
        with self._lock:
            self.counts["log_lines"] += batch.num_rows
        if not self.count_only:
            self.logs.append(key, batch)

    def add_files(self, key: Key, rows: list[dict[str, Any]]) -> None:
        with self._lock:
            self.counts["file_rows"] += len(rows)
        if not self.count_only:
            self.files.append_rows(key, rows)

    # What the API itself asks

    def last_metric_time(self, key: Key) -> int | None:
        """The newest time (epoch ms) of the visible points of a run."""
        return self._folded(key).time

    def last_step(self, key: Key) -> int | None:
        """The highest step of the visible points of a run."""
        return self._folded(key).step

    def _folded(self, key: Key) -> _Marks:
        with self._lock:
            marks = self._marks.setdefault(key, _Marks())
            marks.fold(self._clock() - self._delay())
            return marks

    # For tests and reports: no route of the real Pluto answers these

    def data_rows(
        self, key: Key, data_type: str | None = None, log_name: str | None = None
    ) -> list[dict[str, Any]]:
        """Rows of /ingest/data: time, step, dataType, logName, data, as they came."""
        rows = [row for batch in self.data.all_batches(key) for row in batch.to_pylist()]
        return [
            row for row in rows if data_type in (None, row["dataType"]) and log_name in (None, row["logName"])
        ]

    def histograms(self, key: Key, log_name: str | None = None) -> list[dict[str, Any]]:
        """Histogram rows with their `data` parsed."""
        return [
            {**row, "data": orjson.loads(row["data"])} for row in self.data_rows(key, "HISTOGRAM", log_name)
        ]

    def tables(self, key: Key, log_name: str | None = None) -> list[dict[str, Any]]:
        """Table rows with their `data` parsed."""
        return [{**row, "data": orjson.loads(row["data"])} for row in self.data_rows(key, "TABLE", log_name)]

    def string_series(self, key: Key, log_name: str | None = None) -> list[dict[str, Any]]:
        return self.data_rows(key, "string-series", log_name)

    def log_rows(self, key: Key) -> list[dict[str, Any]]:
        return [row for batch in self.logs.all_batches(key) for row in batch.to_pylist()]

    def file_rows(self, key: Key) -> list[dict[str, Any]]:
        return [row for batch in self.files.all_batches(key) for row in batch.to_pylist()]

    def close(self) -> None:
        """Stop writing, and remove what was not kept."""
        for table in (self.points, self.data, self.logs, self.files):
            table.close()
        shutil.rmtree(self._work, ignore_errors=True)


class _Marks:
    """The newest time and the highest step of a run, of what is visible."""

    def __init__(self) -> None:
        self.time: int | None = None
        self.step: int | None = None
        self.waiting: list[tuple[float, int, int]] = []
        """(arrived, time, step) of batches that were not visible yet."""

    def fold(self, limit: float) -> None:
        for arrived, time, step in self.waiting:
            if arrived <= limit:
                self.time = time if self.time is None else max(self.time, time)
                self.step = step if self.step is None else max(self.step, step)
        self.waiting = [mark for mark in self.waiting if mark[0] > limit]
