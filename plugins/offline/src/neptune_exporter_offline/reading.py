"""Reads one run: replays the logs of its folders, then delivers what is left, attribute by attribute."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from neptune_exporter.contract import FileWriter, ReadEvent, RunDone, RunRequest
from neptune_exporter_offline.counting import StepCounter
from neptune_exporter_offline.delivery import Delivery
from neptune_exporter_offline.files import FileStore
from neptune_exporter_offline.folders import Folder
from neptune_exporter_offline.problems import Problems
from neptune_exporter_offline.replay import replay
from neptune_exporter_offline.series import Spill
from neptune_exporter_offline.state import State


def read_run(
    request: RunRequest, folders: Sequence[Folder], files: FileWriter, *, read_paths: bool
) -> Iterator[ReadEvent]:
    """Rows and failures of one run, then its end.

    Rows come parameters first, then series, then files, each by attribute path.
    """
    key, attributes = request.run.key, request.attributes
    # What is not asked for keeps the steps that it has in the dataset.
    renumbers = request.replaces and attributes.wanted.is_everything
    problems = Problems()
    with Spill() as spill:
        state = State(attributes, spill, problems)
        replayed = replay(key, folders, state, StepCounter(request.memory, renumbers=renumbers))
        store = FileStore(
            key, files, folders, replayed.requests, replayed.processes, problems, read_paths=read_paths
        )
        delivery = Delivery(key, state, store, problems)
        yield from problems.take_failures(key)
        yield from delivery.parameters()
        yield from delivery.points()
        yield from delivery.files()
        yield from problems.take_failures(key)
    yield RunDone(key, problems.notes(), replayed.memory)
