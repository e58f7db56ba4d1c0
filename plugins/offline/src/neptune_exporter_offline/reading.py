"""Reads one run: replays the logs of its folders, then delivers what is left, attribute by attribute."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from neptune_exporter.contract import AttributeFailure, AttributeRequest, FileWriter, RunRows
from neptune_exporter.model import RunKey
from neptune_exporter_offline.delivery import Delivery
from neptune_exporter_offline.files import FileStore
from neptune_exporter_offline.folders import Folder
from neptune_exporter_offline.problems import Problems
from neptune_exporter_offline.replay import replay
from neptune_exporter_offline.series import Spill
from neptune_exporter_offline.state import State


def read_run(
    key: RunKey,
    folders: Sequence[Folder],
    request: AttributeRequest,
    files: FileWriter,
    notes: list[str],
    *,
    read_paths: bool,
) -> Iterator[RunRows | AttributeFailure]:
    """Rows and failures of one run; what else there is to say is added to `notes`.

    Rows come parameters first, then series, then files, each by attribute path.
    """
    problems = Problems()
    with Spill() as spill:
        state = State(request, spill, problems)
        replayed = replay(key, folders, state)
        store = FileStore(
            key, files, folders, replayed.requests, replayed.processes, problems, read_paths=read_paths
        )
        delivery = Delivery(key, state, store, problems)
        yield from problems.take_failures(key)
        yield from delivery.parameters()
        yield from delivery.points()
        yield from delivery.files()
        yield from problems.take_failures(key)
    notes.extend(problems.notes())
