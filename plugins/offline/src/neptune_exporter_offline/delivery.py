"""Turns the final state of a run into rows, attribute by attribute; a failure costs one attribute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial

import pyarrow as pa

from neptune_exporter.contract import AttributeFailure, NeptuneExporterError, RunRows, StoredFile
from neptune_exporter.model import FILE_TYPES, PARAMETER_TYPES, AttributeType, RunKey
from neptune_exporter.schema import TIME_TYPE, VALUE_COLUMN, attribute_batch, parameter_batch, step_columns
from neptune_exporter_offline.files import FileReference, FileStore
from neptune_exporter_offline.filesets import store_artifact, store_file_set
from neptune_exporter_offline.problems import Problems, Unreadable
from neptune_exporter_offline.series import Series
from neptune_exporter_offline.state import Attribute, State

_BATCH_ROWS = 65_536
_PARAMETER_BYTES = 16 * 2**20
"""Bytes of text in a batch of parameters at most, because a single text can be large."""
_FILES_PER_BATCH = 256
"""Files of a series that are stored before their rows are delivered."""
_POINT_TYPES = (AttributeType.FLOAT_SERIES, AttributeType.STRING_SERIES, AttributeType.HISTOGRAM_SERIES)

_MORE_THAN_ONE = (NeptuneExporterError, OSError, MemoryError)
"""Errors of the dataset or the machine: no attribute is at fault, and all others would fail as well."""


class Delivery:
    """The rows of a run, and what could not be read while they were made."""

    def __init__(self, key: RunKey, state: State, store: FileStore, problems: Problems) -> None:
        self._key = key
        self._state = state
        self._store = store
        self._problems = problems

    def parameters(self) -> Iterator[RunRows]:
        values: list[tuple[str, AttributeType, object]] = []
        size = 0
        for path, attribute in self._state.ordered(PARAMETER_TYPES):
            values.append((path, attribute.type, attribute.value))
            size += len(attribute.value) if isinstance(attribute.value, str) else 8
            if len(values) >= _BATCH_ROWS or size >= _PARAMETER_BYTES:
                yield from self._parameters(values)
                values, size = [], 0
        if values:
            yield from self._parameters(values)

    def _parameters(self, values: list[tuple[str, AttributeType, object]]) -> Iterator[RunRows]:
        """Rows of these values. If no batch can hold one of them, halving finds it, and only it fails."""
        try:
            rows = RunRows(self._key, parameter_batch(values))
        except _MORE_THAN_ONE:
            raise
        except Exception as error:  # noqa: BLE001
            if len(values) == 1:
                ((path, attribute_type, _),) = values
                self._fail(path, attribute_type, error)
                return
            middle = len(values) // 2
            yield from self._parameters(values[:middle])
            yield from self._parameters(values[middle:])
        else:
            yield rows

    def series_and_files(self) -> Iterator[RunRows | AttributeFailure]:
        """The rows of all series, then of all files. If one fails, the others are still delivered."""
        for types, read in ((_POINT_TYPES, self._points), (FILE_TYPES, self._files)):
            for path, attribute in self._state.ordered(types):
                try:
                    yield from read(path, attribute)
                except _MORE_THAN_ONE:
                    raise
                except Exception as error:  # noqa: BLE001
                    self._fail(path, attribute.type, error)
                yield from self._problems.take_failures(self._key)

    def _fail(self, path: str, attribute_type: AttributeType, error: Exception) -> None:
        message = f"it cannot be read: {error!r:.200}"
        self._problems.add(path, attribute_type, message, permanent=False)

    def _points(self, path: str, attribute: Attribute) -> Iterator[RunRows]:
        """The points of a series, with the previews that still count."""
        series, previews = attribute.value, attribute.previews
        batches = series.batches() if previews is None else _with_previews(series, previews)
        yield from self._point_rows(path, attribute.type, batches)

    def _point_rows(
        self, path: str, attribute_type: AttributeType, batches: Iterable[pa.RecordBatch]
    ) -> Iterator[RunRows]:
        for batch in batches:
            for start in range(0, batch.num_rows, _BATCH_ROWS):
                piece = batch.slice(start, _BATCH_ROWS)
                columns = {
                    **step_columns(piece.column("step")),
                    "timestamp": piece.column("time").cast(TIME_TYPE),
                    VALUE_COLUMN[attribute_type]: piece.column("value"),
                }
                yield RunRows(self._key, attribute_batch(path, attribute_type, columns))

    def _files(self, path: str, attribute: Attribute) -> Iterator[RunRows]:
        if attribute.type is AttributeType.FILE_SERIES:
            yield from self._file_series(path, attribute.value)
            yield from self._captions(path, attribute)
            return
        stored = self._single_file(path, attribute)
        if stored is not None:
            yield RunRows(self._key, attribute_batch(path, attribute.type, StoredFile.columns([stored])))

    def _captions(self, path: str, attribute: Attribute) -> Iterator[RunRows]:
        """Names and descriptions of images, under the paths that an export from a server gives them."""
        for name, series in attribute.captions.items():
            below = f"{path}/{name}"
            if below not in self._state.attributes:
                yield from self._point_rows(below, AttributeType.STRING_SERIES, series.batches())
            else:  # no 2.x client logs an attribute below another
                self._problems.note(
                    f"{below} is an attribute of its own: the {name}s of images were left out"
                )

    def _single_file(self, path: str, attribute: Attribute) -> StoredFile | None:
        report = partial(self._problems.add_unreadable, path, attribute.type)
        try:
            if attribute.type is AttributeType.FILE_SET:
                return store_file_set(path, attribute.value, self._store, report)
            if attribute.type is AttributeType.ARTIFACT:
                return store_artifact(path, attribute.value, self._store, report)
            return self._store.store(path, attribute.value, report)
        except Unreadable as problem:
            report(problem)
            return None

    def _file_series(self, path: str, series: Series) -> Iterator[RunRows]:
        report = partial(self._problems.add_unreadable, path, series.type)
        seen: Counter[float] = Counter()
        for batch in series.batches():
            for start in range(0, batch.num_rows, _FILES_PER_BATCH):
                piece = batch.slice(start, _FILES_PER_BATCH)
                stored: list[StoredFile] = []
                kept: list[int] = []
                references = zip(*(piece.column(name).to_pylist() for name in ("step", "value")), strict=True)
                for row, (step, reference) in enumerate(references):
                    try:
                        found = FileReference.decode(reference)
                        stored.append(self._store.store(path, found, report, step, seen[step]))
                    except Unreadable as problem:
                        message = f"step {step:f}".rstrip("0").rstrip(".") + f": {problem}"
                        self._problems.add(path, series.type, message, permanent=problem.permanent)
                        continue
                    seen[step] += 1
                    kept.append(row)
                if stored:
                    piece = piece.take(pa.array(kept, pa.int64()))
                    columns = {
                        **step_columns(piece.column("step")),
                        "timestamp": piece.column("time").cast(TIME_TYPE),
                        **StoredFile.columns(stored),
                    }
                    yield RunRows(self._key, attribute_batch(path, series.type, columns))


def _with_previews(series: Series, previews: Series) -> Iterator[pa.RecordBatch]:
    """A preview counts until another one or a final value of its step replaces it (`Run.log_metrics`)."""
    last: dict[float, tuple[int | None, float]] = {}
    for batch in previews.batches():
        points = zip(*(batch.column(name).to_pylist() for name in ("step", "time", "value")), strict=True)
        for step, time, value in points:
            last[step] = time, value
    for batch in series.batches():
        for step in batch.column("step").to_pylist():
            last.pop(step, None)
        yield batch
    if last:
        steps = sorted(last)
        columns = [
            pa.array(steps, pa.float64()),
            pa.array([last[s][0] for s in steps], pa.int64()),
            pa.array([last[s][1] for s in steps], pa.float64()),
        ]
        yield pa.RecordBatch.from_arrays(columns, names=["step", "time", "value"])
