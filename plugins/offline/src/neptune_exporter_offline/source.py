"""The source: lists the runs that folders belong to, and replays their logs into rows."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

from neptune_exporter.contract import (
    AttributeFailure,
    FileWriter,
    ReadEvent,
    RunDone,
    RunRequest,
    RunSelection,
    Source,
    SourceError,
    SourceRun,
    UnknownProjectError,
)
from neptune_exporter.model import RunKey
from neptune_exporter.toolkit import clean
from neptune_exporter_offline.counting import StepCounter
from neptune_exporter_offline.delivery import Delivery
from neptune_exporter_offline.files import FileStore
from neptune_exporter_offline.folders import Folder
from neptune_exporter_offline.gaps import Gaps
from neptune_exporter_offline.identity import FoundRun, identify, named_by_copies
from neptune_exporter_offline.problems import Problems, shown
from neptune_exporter_offline.replay import replay
from neptune_exporter_offline.search import DATA, Search, find_again, unread_beside
from neptune_exporter_offline.series import Spill
from neptune_exporter_offline.settings import OfflineSettings
from neptune_exporter_offline.state import State

_log = logging.getLogger(__name__)


class OfflineSource(Source):
    """Reads folders that both Neptune clients left on this machine."""

    def __init__(self, settings: OfflineSettings) -> None:
        self._settings = settings
        self._unread: tuple[str, ...] = ()
        """Where runs lie, or may lie, that are not read: a sentence each."""

    @cached_property  # core asks for it with each run, and to find it takes a millisecond
    def version(self) -> str:
        return f"neptune-exporter-offline {version('neptune-exporter-offline')}"

    def projects(self) -> Sequence[str]:
        return sorted(self._by_project)

    def runs(self, project_id: str, selection: RunSelection) -> Iterator[SourceRun]:
        if project_id not in self._by_project:
            raise self._unknown_project(project_id)
        for run in self._by_project[project_id]:
            listed = run.listed()
            if selection.takes(listed.key, listed.modified_at):
                yield listed
        if self._unread:  # only at the end, so that the runs that were found are exported
            raise SourceError("; ".join(self._unread))

    def _unknown_project(self, project_id: str) -> UnknownProjectError:
        others = ", ".join(self.projects()[:10])
        hint = ""
        if any(f.client == 2 for run in self._found.values() for f in run.folders):
            hint = "; folders of Neptune 2.x do not name their project: give it as --offline-project"
        return UnknownProjectError(f"no folder of project {project_id} was found, only of {others}{hint}")

    def read(self, group: Sequence[RunRequest], files: FileWriter) -> Iterator[ReadEvent]:
        for request in group:
            for event in self._events(request, files):
                if not isinstance(event, AttributeFailure) or _concerns(event, request):
                    yield event

    def _events(self, request: RunRequest, files: FileWriter) -> Iterator[ReadEvent]:
        """Rows and failures of one run, then its end: parameters, series, files, each by attribute path."""
        key, attributes, folders = request.run.key, request.attributes, self._folders(request.run)
        is_everything = attributes.wanted.is_everything
        # Only if everything is replaced: attributes that are not asked for keep their steps in the dataset.
        steps = StepCounter(request.memory, renumbers=request.replaces and is_everything)
        gaps = Gaps(request.memory, reads_all=is_everything)
        problems = Problems()
        with Spill() as spill:
            state = State(attributes, spill, problems)
            found = replay(key, folders, state, steps, gaps)
            read_paths = self._settings.read_files
            store = FileStore(key, files, folders, found.requests, found.processes, problems, read_paths)
            delivery = Delivery(key, state, store, problems)
            yield from problems.take_failures(key)
            yield from delivery.parameters()
            yield from delivery.series_and_files()
            yield from problems.take_failures(key)
        yield RunDone(key, problems.notes(), found.memory, found.ended)

    def _folders(self, run: SourceRun) -> Sequence[Folder]:
        """The folders of a run that was listed, often in another process: no worker searches for all runs."""
        paths = [Path(path) for path in json.loads(run.handle)]  # of `FoundRun.listed`
        found = {path: find_again(path) for path in paths}
        if gone := ", ".join(sorted(str(path) for path, folder in found.items() if folder is None)):
            raise SourceError(f"{run.key}: {gone} is not there any more")
        return named_by_copies([folder for folder in found.values() if folder is not None])

    @cached_property
    def _by_project(self) -> dict[str, list[FoundRun]]:
        projects = defaultdict(list)
        for key, run in self._found.items():
            projects[key.project_id].append(run)
        return projects

    @cached_property
    def _found(self) -> dict[RunKey, FoundRun]:
        search = Search(self._settings.path)
        self._unread = (*_not_searched(search.closed), *self._outside(search))
        if not search.folders:
            where = ", ".join(self._settings.path)
            nothing = f"no Neptune run was found in {where}: neither a log (data-*.log) nor a database"
            raise SourceError("; ".join([f"{nothing} (run_operations.sqlite3)", *self._unread]))
        for sentence in self._unread:
            _log.warning("%s", sentence)
        return identify(search.folders, self._settings)

    def _outside(self, search: Search) -> Iterator[str]:
        given = [Path(path).expanduser().absolute() for path in self._settings.path]
        data = [path for path in given if path.name == DATA]
        read = {folder.path for folder in search.folders}
        others = sorted({str(place) for path in data for place in unread_beside(path, read)})
        if others:
            inside, outside = (clean(shown(", ".join(map(str, paths)))) for paths in (data, others))
            yield (
                f"not read, because it lies outside of {inside}: Neptune runs in {outside}; "
                "give --offline-path that folder, or the one above"
            )


def _not_searched(closed: Sequence[str]) -> Iterator[str]:
    if closed:
        others = len(closed) - 1
        more = f", nor can {others:,} other places" if others else ""
        yield f"{closed[0]}{more}; runs that lie there were not found"


def _concerns(failure: AttributeFailure, request: RunRequest) -> bool:
    """Whether a failure concerns something that was asked for."""
    path, attribute_type = failure.attribute_path, failure.attribute_type
    if not path:
        return True
    if attribute_type is None:
        return request.attributes.wanted.includes_path(path)
    return request.attributes.includes(path, attribute_type)
