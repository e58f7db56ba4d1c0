"""The source: lists projects and runs of a Neptune 2.x server, and reads runs through their attributes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial

from neptune_exporter.contract import (
    AttributeFailure,
    FileWriter,
    ReadEvent,
    RunRequest,
    RunSelection,
    RunSize,
    Source,
    SourceError,
    SourceRun,
    UnreadError,
    chunked,
)
from neptune_exporter.toolkit import Patience, read_ahead
from neptune_exporter.toolkit.http_errors import StoppedError
from neptune_exporter_neptune2 import listing
from neptune_exporter_neptune2.api import Api
from neptune_exporter_neptune2.client import Connection
from neptune_exporter_neptune2.reading import Means, RunReader
from neptune_exporter_neptune2.settings import Neptune2Settings
from neptune_exporter_neptune2.sizes import size_of

_GROUP = 8
"""Runs of a group, which one worker reads one after the other."""
_EVENTS_AHEAD = 4
"""Events that may wait for the writer: bounds memory."""


class Neptune2Source(Source):
    """Reads one server with one token. All workers share its connections."""

    def __init__(self, settings: Neptune2Settings) -> None:
        self._connection = Connection(settings.api_token, settings.connections, settings.timeout)
        self._api = Api(self._connection, Patience(float(settings.retry_seconds)))
        self._executor = ThreadPoolExecutor(settings.connections, thread_name_prefix="neptune2")
        project_uuid = cache(partial(listing.project_uuid, self._api))
        self._means = Means(
            self._api, self._executor, settings.connections, project_uuid, settings.artifact_files
        )

    @property
    def version(self) -> str:
        return f"neptune-client {self._connection.client_version}"

    def projects(self) -> Sequence[str]:
        return listing.projects(self._api)

    def runs(self, project_id: str, selection: RunSelection) -> Iterator[SourceRun]:
        self._api.streaks.renew()
        return listing.runs(self._api, project_id, selection)

    def sizes(self, runs: Sequence[SourceRun]) -> Sequence[RunSize]:
        return [size_of(self._api, run) for run in runs]

    def groups(self, requests: Iterable[RunRequest]) -> Iterator[Sequence[RunRequest]]:
        """Groups of several runs, so that one run is published while the next is read."""
        return chunked(requests, _GROUP)

    def read(self, group: Sequence[RunRequest], files: FileWriter) -> Iterator[ReadEvent]:
        return read_ahead(self._events(group, files), _EVENTS_AHEAD)

    def _events(self, group: Sequence[RunRequest], files: FileWriter) -> Iterator[ReadEvent]:
        """The events of all runs. Runs that cannot be read are reported at the end, in one error."""
        unread: list[AttributeFailure] = []
        for request in group:
            try:
                yield from RunReader(self._means, request, files).read()
            except StoppedError:
                raise
            except SourceError as error:
                unread.append(AttributeFailure.of(request.run.key, "", None, error))
        if unread:
            raise UnreadError(unread)

    def close(self) -> None:
        self._api.stop()
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._connection.close()
