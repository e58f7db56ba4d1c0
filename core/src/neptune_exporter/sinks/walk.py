"""Reads a run once, and hands all of it to a receiver in the form that the target takes.

The receiver is the target in a load, and a `Comparer` in a comparison: so both use
the same names and steps and find the same losses.
"""

from __future__ import annotations

import io
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from neptune_exporter.contract import ExportedRun, Loss, ParameterValue
from neptune_exporter.model import FILE_TYPES, AttributeType
from neptune_exporter.sinks.files import FILE_COLUMNS, FileRow, check_file, file_rows, named_and_kind
from neptune_exporter.sinks.losses import CommonLoss, LossBook
from neptune_exporter.sinks.made import MADE, MANIFEST, MadeFile
from neptune_exporter.sinks.made_tables import MadeTables
from neptune_exporter.sinks.metadata import RunMetadata
from neptune_exporter.sinks.names import NameBook
from neptune_exporter.sinks.points import Order, Points, PointSorter, without_equal
from neptune_exporter.sinks.received import Entries, FileToSend, HistogramValue, Receiver
from neptune_exporter.sinks.series import Bools, SeriesNumbers, SeriesRows, series_rows
from neptune_exporter.sinks.steps import Multiplier
from neptune_exporter.sinks.texts import as_text, step_texts
from neptune_exporter.toolkit.filekinds import FileKind

if TYPE_CHECKING:
    from neptune_exporter.sinks.loader import Loader

_BATCH_ROWS = 65_536
_WINDOW_POINTS = 1 << 17
"""About how many points `Receiver.points` gets at once."""


@dataclass
class Walk:
    """One way through a run, for a loader that says what the target takes. What does not fit into memory is
    in the folder, a temporary one."""

    run: ExportedRun
    metadata: RunMetadata
    loader: Loader
    multiplier: Multiplier
    order: Order
    folder: Path
    losses: LossBook
    counts: Counter[str] = field(default_factory=Counter)
    """How many parameters, points, texts, histograms and files were handed over."""
    types: dict[str, str] = field(default_factory=dict)
    """The type of each parameter that is not a string, by its name."""
    files: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    """Attribute path, step as text and time of each file, by its unique name."""

    finite: list[tuple[str, int, int, float]] = field(default_factory=list)
    """Name, step, time and value of points whose value really is the number that stands for infinity."""

    tables: dict[str, str] = field(default_factory=dict)
    """Attribute path of each table of a string series, by its unique name."""

    def __post_init__(self) -> None:
        self.names = NameBook(self.loader.names)
        self.file_names = NameBook(self.loader.file_names)
        for made in MADE:  # before files of the run, so that made files get these names
            self.file_names.name(made, "made", used=False)

    def hand_to(self, receiver: Receiver) -> None:
        """Hand over everything except what `losses` counts. Raises DatasetError if a part of the run is
        damaged."""
        self._parameters(receiver)
        self._points(receiver)
        self._entries(receiver, "texts", AttributeType.STRING_SERIES, self._text_values)
        self._entries(receiver, "histograms", AttributeType.HISTOGRAM_SERIES, _histogram_values)
        self._files(receiver)

    def manifest(self) -> FileToSend:
        """The last file of a loaded run, as JSON: all that is needed to see the run as it was in Neptune."""
        key, parent = self.run.key, self.metadata.fork_parent
        document = {
            "project": key.project_id,
            "run_id": key.run_id,
            "kind": key.kind.value,
            "url": self.metadata.url,
            "fork": parent and {"parent": parent.run_id, "step": str(self.metadata.fork_step)},
            "step_multiplier": str(self.multiplier),
            "names": dict(self.names.changed()),
            "types": self.types,
            "files": self.files,
            "finite": self.finite,
            "tables": self.tables,
            "losses": list(map(_recorded, self.losses.losses())),
        }
        return made_text(MANIFEST, json.dumps(document, indent=1).encode())

    def _parameters(self, receiver: Receiver) -> None:
        values: dict[str, ParameterValue] = {}
        for path, parameter in self.run.parameters().items():
            name = self.names.name(path, "parameters")
            value = parameter.value
            if isinstance(value, int) and abs(value) > self.loader.capabilities.largest_integer:
                value = str(value)
            values[name] = value
            if parameter.type is not AttributeType.STRING:
                self.types[name] = parameter.type.value
        self.counts["parameters"] += len(values)
        if values:
            receiver.parameters(values)

    def _rows(self, types: frozenset[AttributeType], *columns: str) -> Iterator[SeriesRows]:
        earliest, within = self.loader.capabilities.earliest_time, self.loader.steps
        created = self.metadata.created or 0
        no_time = created if earliest is None else max(created, earliest)
        for rows in series_rows(
            self.run, types, columns, self.multiplier, within, _BATCH_ROWS, no_time, earliest
        ):
            self.loader.check_interrupted()
            yield rows

    def _points(self, receiver: Receiver) -> None:
        series = SeriesNumbers()
        sorter = PointSorter(self.folder, self.order)
        try:
            for rows in self._rows(frozenset({AttributeType.FLOAT_SERIES}), "float_value"):
                values = rows.batch.column("float_value").to_numpy(zero_copy_only=False)
                usable = self._usable(rows) & self._finite_enough(rows, values)
                numbers = series.of(rows.paths)[rows.series]
                sorter.add(Points(numbers, rows.steps.steps, rows.times, values)[usable])
            names = [self.names.name(path, "points") for path in series.paths]
            for window in sorter.windows(_WINDOW_POINTS):
                window = self._as_stored(names, window)
                points, dropped = without_equal(window, self.loader.capabilities.equal_points)
                for number, count in zip(*np.unique(dropped.series, return_counts=True), strict=True):
                    self.losses.add(CommonLoss.DUPLICATE_STEP, int(count), series.paths[number])
                self.loader.check_interrupted()
                self.counts["points"] += len(points)
                receiver.points(names, points)
        finally:
            sorter.close()

    def _as_stored(self, names: Sequence[str], points: Points) -> Points:
        """The points as the target stores them: equal values to it have equal bits."""
        values, infinity = points.value, self.loader.infinity
        values = np.where(np.isnan(values), np.nan, values)
        if not self.loader.capabilities.signed_zeros:
            values = values + 0.0
        if infinity is not None:
            for i in np.flatnonzero(np.abs(values) == infinity).tolist():
                at = (int(points.step[i]), int(points.time[i]), float(values[i]))
                self.finite.append((names[points.series[i]], *at))
            values = np.clip(values, -infinity, infinity)
        return replace(points, value=values)

    def _usable(self, rows: SeriesRows) -> Bools:
        rows.count_unusable(self.losses)
        return rows.steps.usable

    def _finite_enough(self, rows: SeriesRows, values: Any) -> Bools:
        capabilities = self.loader.capabilities
        if capabilities.nan and capabilities.infinities:
            return np.ones(len(values), np.bool_)
        wrong = np.zeros(len(values), np.bool_)
        if not capabilities.nan:
            wrong |= np.isnan(values)
        if not capabilities.infinities:
            wrong |= np.isinf(values)
        rows.count(wrong & rows.steps.usable, CommonLoss.NOT_FINITE, self.losses)
        return ~wrong

    def _text_values(self, rows: SeriesRows) -> list[Any]:
        values: list[Any] = as_text(rows, self.losses).to_pylist()
        return values

    def _entries(
        self, receiver: Receiver, what: str, kind: AttributeType, values_of: Callable[[SeriesRows], list[Any]]
    ) -> None:
        column = "string_value" if what == "texts" else "histogram_value"
        batches = self._rows(frozenset({kind}), column)
        if what in self.loader.made:
            self._made(receiver, what, batches, values_of)
            return
        series = SeriesNumbers()
        names: list[str] = []
        take = receiver.texts if what == "texts" else receiver.histograms
        for rows in batches:
            usable = self._usable(rows)
            numbers = series.of(rows.paths)[rows.series][usable]
            names += [self.names.name(path, what) for path in series.paths[len(names) :]]
            values = list(itertools.compress(values_of(rows), usable))
            entries = Entries(names, numbers, rows.steps.steps[usable], rows.times[usable], values)
            self.counts[what] += len(entries)
            if values:
                take(entries)

    def _made(
        self,
        receiver: Receiver,
        what: str,
        batches: Iterator[SeriesRows],
        values_of: Callable[[SeriesRows], list[Any]],
    ) -> None:
        is_table = what == "texts" and self.loader.tables
        made = (MadeTables if is_table else MadeFile)(self.folder, what)
        for rows in batches:
            times = rows.batch.column("timestamp").cast(pa.int64()).to_pylist()
            paths = [rows.paths[number] for number in rows.series.tolist()]
            made.write(paths, step_texts(rows.batch).to_pylist(), times, values_of(rows))
            self.counts[what] += len(paths)
        for file in made.files(self._table_name if is_table else self._made_name):
            self.loader.check_interrupted()
            receiver.file(file)

    def _made_name(self, path: str, extension: str) -> str:
        return self.file_names.name(f"{path}.{extension}", "made")

    def _table_name(self, path: str, extension: str) -> str:
        name = self.file_names.name(f"{path}.{extension}", f"table {path}")
        self.tables[name] = path
        return name

    def _files(self, receiver: Receiver) -> None:
        for rows in self._rows(FILE_TYPES, *FILE_COLUMNS):
            for row in file_rows(rows):
                self._file(receiver, rows, row)

    def _file(self, receiver: Receiver, rows: SeriesRows, row: FileRow) -> None:
        self.loader.check_interrupted()
        path, step = row.path, row.step
        checked = check_file(self.run, row.stored, row.sha256)
        if isinstance(checked, CommonLoss):
            self.losses.add(checked, 1, path)
            return
        if row.step_text is not None:
            only = np.zeros(len(rows.series), np.bool_)
            only[row.number] = True
            rows.count_unusable(self.losses, only)
        own, kind = named_and_kind(path, row.stored, checked.head, row.step_text or None)
        folder = path.rpartition("/")[0]
        wanted = f"{folder}/{own}" if folder else own
        shown = None if step is None else self.loader.shown_name(path, step, row.time, kind)
        unique = self.file_names.name(shown or wanted, f"file {self.counts['files']}")
        self.counts["files"] += 1
        self.files[unique] = (path, row.step_text or "", row.time)
        name = self.names.name(path, "files")
        receiver.file(FileToSend(name, unique, step, row.time, checked.size, kind, checked.open))


def _histogram_values(rows: SeriesRows) -> list[HistogramValue]:
    column = rows.batch.column("histogram_value")
    parts = (column.field(name).to_pylist() for name in ("type", "edges", "values"))
    return [HistogramValue(kind or "", e or [], v or []) for kind, e, v in zip(*parts, strict=True)]


def _recorded(loss: Loss) -> dict[str, object]:
    return {"reason": loss.reason, "message": loss.message, "count": loss.count, "path": loss.attribute_path}


def made_text(name: str, content: bytes) -> FileToSend:
    """A small file that the loader made."""
    kind = FileKind("text", "json")
    return FileToSend(name, name, None, None, len(content), kind, lambda: io.BytesIO(content), True)
