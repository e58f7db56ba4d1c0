"""Reads one run: single values, then series, then files; several requests at once, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial

import pyarrow as pa

from neptune_exporter.contract import (
    AttributeFailure,
    FileWriter,
    ReadEvent,
    RunDone,
    RunRequest,
    RunRows,
    SourceError,
)
from neptune_exporter.model import FILE_TYPES, PARAMETER_TYPES, AttributeType, RunKey
from neptune_exporter.schema import parameter_batch
from neptune_exporter.toolkit import look_ahead
from neptune_exporter.toolkit.http_errors import RequestRefusedError, StoppedError
from neptune_exporter_neptune2 import series
from neptune_exporter_neptune2.api import LEADERBOARD, Api
from neptune_exporter_neptune2.downloads import Downloads
from neptune_exporter_neptune2.file_rows import PartError, failure_of
from neptune_exporter_neptune2.filereading import FileReader
from neptune_exporter_neptune2.values import Attribute, attributes_of

_PARAMETERS = 2000
"""Rows of a batch of single values."""


@dataclass(frozen=True)
class Means:
    """What all reading shares."""

    api: Api
    executor: Executor
    """Its work never waits for other work of it."""
    connections: int
    project_uuid: Callable[[str], str]
    artifact_files: bool


@dataclass
class RunReader:
    """Reads what is asked for of one run."""

    means: Means
    request: RunRequest
    files: FileWriter
    notes: list[str] = field(default_factory=list)

    def read(self) -> Iterator[ReadEvent]:
        """The run's events, RunDone the last. Raises SourceError if not even its list of attributes can be
        read."""
        attributes = self._attributes()
        wanted = [a for a in attributes if self.request.attributes.includes(a.path, a.type)]
        yield from self._parameters(_of_types(wanted, PARAMETER_TYPES))
        for kind in (AttributeType.FLOAT_SERIES, AttributeType.STRING_SERIES):
            yield from self._series(kind, _of_types(wanted, {kind}))
        taken = frozenset(a.path for a in attributes)
        yield from self._files([a for a in _of_types(wanted, FILE_TYPES) if a.has_value], taken)
        yield RunDone(self._key, tuple(self.notes))

    @property
    def _key(self) -> RunKey:
        return self.request.run.key

    def _attributes(self) -> list[Attribute]:
        """Sorted by path.

        From the run itself and not from the search that listed it: a search's index may lag behind.
        """
        handle = self.request.run.handle
        try:
            return self.means.api.get(f"{LEADERBOARD}/attributes", {"experimentId": handle}, attributes_of)
        except StoppedError:
            raise
        except SourceError as error:
            raise PartError(error, f"its attributes cannot be listed: {error}") from None

    def _parameters(self, attributes: Sequence[Attribute]) -> Iterator[ReadEvent]:
        for start in range(0, len(attributes), _PARAMETERS):
            values: list[tuple[str, AttributeType, object]] = []
            for attribute in attributes[start : start + _PARAMETERS]:
                if not attribute.has_value:
                    continue
                try:
                    values.append((attribute.path, attribute.type, attribute.value))
                except ValueError as error:
                    yield failure_of(self._key, attribute, SourceError(str(error)))
                if attribute.wire_type == "float" and attribute.properties["value"] is None:
                    self.notes.append(f"{attribute.path}: the server gave null for its number; kept as NaN")
            if values:
                yield RunRows(self._key, parameter_batch(values))

    def _series(self, kind: AttributeType, attributes: Sequence[Attribute]) -> Iterator[ReadEvent]:
        api, handle, width = self.means.api, self.request.run.handle, 2 * self.means.connections
        batcher = series.Batcher(kind)
        first_page = partial(series.fetch, api, handle, offset=0)
        for attribute, first in look_ahead(self.means.executor, attributes, first_page, width):
            try:
                for batch in self._batches(attribute, first, batcher, width):
                    yield RunRows(self._key, batch)
            except StoppedError:
                raise
            except SourceError as error:
                is_without = isinstance(error, RequestRefusedError) and error.status == 404
                if attribute.has_value or not is_without:
                    yield failure_of(self._key, attribute, error)
        batch = batcher.flush()
        if batch is not None:
            yield RunRows(self._key, batch)

    def _batches(
        self, attribute: Attribute, first: Callable[[], series.Points], batcher: series.Batcher, width: int
    ) -> Iterator[pa.RecordBatch]:
        """Batches that are full once the points of one series are added; nulls in it are noted."""
        means, handle, without_value = self.means, self.request.run.handle, 0
        try:
            for page in series.pages(means.api, means.executor, width, handle, attribute, first()):
                without_value += page.without_value
                batch = batcher.add(attribute.path, page)
                if batch is not None:
                    yield batch
        finally:
            if without_value:
                stands_for_null = "NaN" if attribute.type is AttributeType.FLOAT_SERIES else "empty text"
                self.notes.append(
                    f"{attribute.path}: the server gave null for {without_value} values; "
                    f"kept as {stands_for_null}"
                )

    def _files(self, attributes: Sequence[Attribute], taken: frozenset[str]) -> Iterator[ReadEvent]:
        if not attributes:
            return
        means, run = self.means, self.request.run
        reader = FileReader(
            Downloads(means.api, run.key, run.handle, self.files),
            partial(means.project_uuid, run.key.project_id),
            means.artifact_files,
            taken,
            self.notes,
        )
        for event in reader.read(attributes, means.executor, means.connections):
            yield event if isinstance(event, AttributeFailure) else RunRows(self._key, event)


def _of_types(attributes: Sequence[Attribute], types: Collection[AttributeType]) -> list[Attribute]:
    return [attribute for attribute in attributes if attribute.type in types]
