"""Reads a run's folder back without wandb's reader: framing, checksums, every record, every file."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from google.protobuf.message import DecodeError

from neptune_exporter.contract import SinkError
from neptune_exporter.sinks.comparing import Held
from neptune_exporter.sinks.points import Points, PointSorter, SeriesOrder
from neptune_exporter.sinks.received import FileToSend, HistogramValue
from neptune_exporter.sinks.steps import Multiplier
from neptune_exporter_wandb.framing import FramingError
from neptune_exporter_wandb.records import Record, Row
from neptune_exporter_wandb.rows import STEP
from neptune_exporter_wandb.steps import whole_step
from neptune_exporter_wandb.tables import read_table
from neptune_exporter_wandb.writing import HISTOGRAMS

_BATCH = 65_536
_SYSTEM = frozenset({STEP, "_timestamp", "_runtime", "_step"})
_POINT = np.dtype([("step", "<i8"), ("time", "<i8"), ("value", "<f8")])


class DamagedRunError(SinkError):
    """A run's folder has changed since it was written; the message says what is wrong."""


class SeriesFile:
    """Points by series, in a file that is deleted with this object."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="neptune-exporter-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._path = self._folder / "series"
        self._numbers: dict[str, int] = {}
        self._sorter = PointSorter(self._folder, SeriesOrder())
        self._waiting: list[tuple[int, int, int, float]] = []
        self._counts: Any = 0

    def add(self, name: str, step: int, time: int, value: float) -> None:
        number = self._numbers.setdefault(name, len(self._numbers))
        self._waiting.append((number, step, time, value))
        if len(self._waiting) >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            columns = zip(*self._waiting, strict=True)
            self._sorter.add(Points(*map(np.array, columns, (np.int32, np.int64, np.int64, np.float64))))
            self._waiting.clear()

    def close(self) -> None:
        """Sort the points; they can be read from now on."""
        self._flush()
        with self._path.open("wb") as file:
            for points in self._sorter.windows(_BATCH):
                file.write(np.rec.fromarrays(points.columns[1:], dtype=_POINT).tobytes())
                self._counts += np.bincount(points.series, minlength=len(self._numbers))
        self._sorter.close()

    @property
    def names(self) -> set[str]:
        return set(self._numbers)

    def points(self, name: str) -> Iterator[Points]:
        if name not in self._numbers:
            return
        number = self._numbers[name]
        count = int(self._counts[number])
        with self._path.open("rb") as file:
            file.seek(int(self._counts[:number].sum()) * _POINT.itemsize)
            while count:
                rows = np.frombuffer(file.read(min(count, _BATCH) * _POINT.itemsize), _POINT)
                count -= len(rows)
                zeros = np.zeros(len(rows), np.int32)
                yield Points(zeros, *(rows[column].copy() for column in ("step", "time", "value")))


class RunReader:
    """What the folder of a run holds. Raises DamagedRunError if it is not as it was written."""

    def __init__(self, folder: Path, records: Iterable[Record]) -> None:
        self._folder, self._files = folder, folder / "files"
        self.series = SeriesFile()
        self.config: dict[str, Any] = {}
        self.name = ""
        self.ended = False
        self.listed: set[str] = set()
        self.tables: dict[str, list[str]] = {}
        self.rows = 0
        manifest = json.loads(self._own("neptune/manifest.json"))
        self.multiplier = Multiplier.of(Decimal(manifest["step_multiplier"]))
        self.types: dict[str, str] = manifest["types"]
        self._histograms = self._index()
        try:
            for record in records:
                self._take(record)
        except (FramingError, DecodeError, OSError, ValueError, KeyError) as error:
            raise DamagedRunError(f"{folder}: {error}") from error
        if not self.ended:
            raise DamagedRunError(f"{folder}: the run has no end")
        self.series.close()

    def _own(self, name: str) -> bytes:
        path = self._files / name
        try:
            return path.read_bytes()
        except OSError as error:
            raise DamagedRunError(f"{path}: {error.strerror}") from error

    def _take(self, record: Record) -> None:
        if isinstance(record, Row):
            self._row(record)
            return
        self.name = self.name if record.name is None else record.name
        self.config |= record.config
        self.listed.update(record.paths)
        self.ended |= record.ended

    def _row(self, row: Row) -> None:
        if row.number != self.rows:
            raise DamagedRunError(f"{self._folder}: row {self.rows} has the number {row.number}")
        self.rows += 1
        for (name, part), value in row.parts.items():
            if part == "path" and row.parts.get((name, "_type")) == "table-file":
                self.tables.setdefault(name, []).append(value)
        if not row.parts:
            step = whole_step(row.values[STEP], self.multiplier)
            time = round(float(row.values["_timestamp"]) * 1000)
            for name in row.values.keys() - _SYSTEM:
                self.series.add(name, step, time, float(row.values[name]))

    def _index(self) -> dict[str, list[int]]:
        """Where the lines of each histogram series begin."""
        lines: dict[str, list[int]] = {}
        path = self._files / HISTOGRAMS
        if path.is_file():
            with path.open("rb") as file:
                start = 0
                for line in file:
                    lines.setdefault(json.loads(line)["name"], []).append(start)
                    start += len(line)
        return lines

    def texts(self, name: str) -> Iterator[tuple[int, int, str]]:
        for table in self.tables.get(name, ()):
            for step, time, text in read_table(self._files / table):
                yield whole_step(step, self.multiplier), time, text

    def histograms(self, name: str) -> Iterator[tuple[int, int, HistogramValue]]:
        starts = self._histograms.get(name, ())
        if not starts:
            return
        with (self._files / HISTOGRAMS).open("rb") as file:
            for start in starts:
                file.seek(start)
                line = json.loads(file.readline())
                value = HistogramValue(line["kind"], line["edges"], line["values"])
                yield whole_step(line["step"], self.multiplier), line["time"], value

    def file(self, file: FileToSend) -> BinaryIO | None:
        """Open a file; None also if W&B would not send it, as no record lists it."""
        path = self._files / file.unique_name
        if file.unique_name not in self.listed:
            return None
        with contextlib.suppress(FileNotFoundError):
            return path.open("rb")
        return None

    def held(self) -> Held:
        about = self.config.get("neptune", {})
        parameters = {name: value for name, value in self.config.items() if name not in ("neptune", "_wandb")}
        fork = about.get("fork") or {}
        own = {path for paths in self.tables.values() for path in paths} | {HISTOGRAMS}
        return Held(
            {name: self._typed(name, value) for name, value in parameters.items()},
            self.series.points,
            self.texts,
            self.histograms,
            self.file,
            {
                "points": self.series.names,
                "texts": set(self.tables),
                "histograms": set(self._histograms),
                "files": self.listed - own,
            },
            name=self.name,
            status=about.get("status"),
            created=about.get("created"),
            ended=about.get("ended"),
            parent_id=fork.get("target_id"),
            tags=about.get("tags"),
            sizes=dict(self._sizes()),
        )

    def _sizes(self) -> Iterator[tuple[str, int]]:
        """The existing files that W&B would send."""
        for name in self.listed:
            with contextlib.suppress(FileNotFoundError):
                yield name, (self._files / name).stat().st_size

    def _typed(self, name: str, value: Any) -> Any:
        """JSON writes the float 5.0 as `5`: the manifest has the type."""
        whole = isinstance(value, int) and not isinstance(value, bool)
        return float(value) if whole and self.types.get(name) == "float" else value
