"""The source: groups of runs, read together."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain, groupby, islice

from neptune_exporter.contract import (
    FileWriter,
    ReadEvent,
    RunDone,
    RunRequest,
    RunRows,
    RunSelection,
    RunSize,
    Source,
    SourceError,
    SourceRun,
)
from neptune_exporter.toolkit import Patience
from neptune_exporter_neptune3 import listing, metrics, series
from neptune_exporter_neptune3.api import Api
from neptune_exporter_neptune3.attributes import Contents, FileToFetch, read_attributes
from neptune_exporter_neptune3.client import Client
from neptune_exporter_neptune3.downloads import Downloads
from neptune_exporter_neptune3.paging import read_pages
from neptune_exporter_neptune3.settings import Neptune3Settings
from neptune_exporter_neptune3.sizes import points, sizes

_WIDTH = 3
"""How many requests for series a group has under way: one answer is read while the next ones come."""


class GroupSize:
    """How many runs are read together. Enough that requests are full, but not so many that an error costs too
    much; judged by what the runs before held."""

    FIRST, MOST = 8, 100
    ATTRIBUTES, ROWS = 10_000, 500_000

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs = self._attributes = self._rows = 0

    def learn(self, runs: int, attributes: int, rows: int) -> None:
        with self._lock:
            self._runs += runs
            self._attributes += attributes
            self._rows += rows

    @property
    def now(self) -> int:
        with self._lock:
            if not self._runs:
                return self.FIRST
            by_attributes = self.ATTRIBUTES * self._runs // max(1, self._attributes)
            by_rows = self.ROWS * self._runs // max(1, self._rows)
            return max(1, min(self.MOST, by_attributes, by_rows))


class Neptune3Source(Source):
    """Reads a Neptune 3.x server."""

    def __init__(self, settings: Neptune3Settings) -> None:
        client = Client(settings.api_token, settings.timeout)
        self._version = f"neptune-query {client.version}"
        self._api = Api(client, Patience(settings.retry_seconds))
        self._executor = ThreadPoolExecutor(settings.connections, thread_name_prefix="neptune3")
        self._downloads = Downloads(self._api, self._executor, settings.connections, settings.timeout)
        self._size = GroupSize()

    @property
    def version(self) -> str:
        return self._version

    def projects(self) -> Sequence[str]:
        return listing.projects(self._api)

    def runs(self, project_id: str, selection: RunSelection) -> Iterator[SourceRun]:
        self._api.streaks.renew()
        return listing.runs(self._api, project_id, selection)

    def sizes(self, runs: Sequence[SourceRun]) -> Sequence[RunSize]:
        by_project = groupby(runs, lambda run: run.key.project_id)
        return [size for _, group in by_project for size in sizes(self._api, list(group))]

    def groups(self, requests: Iterable[RunRequest]) -> Iterator[Sequence[RunRequest]]:
        """Groups of one project each, because a request of `read` goes to one project."""
        for _, remaining in groupby(requests, lambda request: request.run.key.project_id):
            while group := list(islice(remaining, self._size.now)):
                yield group

    def read(self, group: Sequence[RunRequest], files: FileWriter) -> Iterator[ReadEvent]:
        contents = [Contents(request) for request in group]
        rows = 0
        yield from read_attributes(self._api, contents)
        found = [each for each in contents if each.found]
        for event in chain.from_iterable(self._read_portion(each, files) for each in _portions(found)):
            if isinstance(event, RunRows):
                rows += event.batch.num_rows
            yield event
        self._size.learn(len(contents), sum(each.attributes for each in contents), rows)
        if len(found) < len(contents):
            # The other runs are done. These stay unpublished, so that what earlier exports have of them is
            # not replaced.
            raise SourceError(
                "the server listed the run and does not know it any more: it was deleted meanwhile, or this "
                "token may not read it any more; what an earlier export has of it stays"
            )

    def close(self) -> None:
        self._api.stop()
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._downloads.close()
        self._api.close()

    def _read_portion(self, contents: Sequence[Contents], files: FileWriter) -> Iterator[ReadEvent]:
        previews = contents[0].request.attributes.wanted.metric_previews
        floats = map(metrics.Unread.begin, chain.from_iterable(held.floats for held in contents))
        fetch = partial(metrics.fetch, self._api, previews=previews)
        for event in read_pages(self._executor, _WIDTH, metrics.requests_for(list(floats)), fetch):
            if not isinstance(event, FileToFetch):
                yield event
        files_of = {held.run: list(held.files) for held in contents}
        objects = series.requests_for([each for held in contents for each in held.objects])
        for event in read_pages(self._executor, _WIDTH, objects, partial(series.fetch, self._api)):
            if isinstance(event, FileToFetch):
                files_of[event.run].append(event)
            else:
                yield event
        yield from self._read_files(contents, chain.from_iterable(files_of.values()), files)

    def _read_files(
        self, contents: Sequence[Contents], wanted: Iterable[FileToFetch], files: FileWriter
    ) -> Iterator[ReadEvent]:
        """Download files, run by run. A run is done with its last file, because later runs may take hours."""
        waiting = deque(contents)
        for event in self._downloads.read(wanted, files):
            while waiting[0].run != event.run:
                yield _done(waiting.popleft())
            yield event
        yield from map(_done, waiting)


def _done(held: Contents) -> RunDone:
    return RunDone(held.run, tuple(held.notes))


def _portions(contents: Sequence[Contents]) -> Iterator[Sequence[Contents]]:
    """Divide runs into portions whose series are requested together, and which are then done."""
    portion: list[Contents] = []
    weight = 0
    for held in contents:
        portion.append(held)
        weight += sum(points(each) for each in held.floats)
        weight += 100 * (len(held.objects) + len(held.files))
        if weight >= GroupSize.ROWS:
            yield portion
            portion, weight = [], 0
    if portion:
        yield portion
