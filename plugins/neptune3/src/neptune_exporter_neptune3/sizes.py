"""What reading runs takes, guessed from their attributes: the last step tells how long a series is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import ceil

from neptune_exporter.contract import (
    AttributeRequest,
    AttributeSelection,
    RunRequest,
    RunRows,
    RunSize,
    SourceRun,
)
from neptune_exporter.model import RunKey
from neptune_exporter_neptune3 import metrics, series
from neptune_exporter_neptune3.api import Api
from neptune_exporter_neptune3.attributes import Contents, Series, read_attributes

_SIGNED_AT_ONCE = 200
_EVERYTHING = AttributeRequest(AttributeSelection())


def sizes(api: Api, runs: Sequence[SourceRun]) -> list[RunSize]:
    """The sizes of runs of one project that would be read in one group, without runs that have been deleted.

    Raises:
        AuthenticationError, SourceError
    """
    contents = [Contents(RunRequest(run, _EVERYTHING)) for run in runs]
    parameters = Counter[RunKey]()
    for event in read_attributes(api, contents):
        if isinstance(event, RunRows):
            parameters[event.run] += event.batch.num_rows
    found = [held for held in contents if held.found]
    requests = 1 + sum(
        1 for _ in metrics.requests_for([metrics.Unread.begin(s) for h in found for s in h.floats])
    )
    requests += sum(1 for _ in series.requests_for([s for held in found for s in held.objects]))
    files = sum(len(held.files) for held in found)
    requests += files + ceil(files / _SIGNED_AT_ONCE)
    each = ceil(requests / max(1, len(found)))
    return [RunSize(parameters[held.run] + _rows(held), each) for held in found]


def _rows(held: Contents) -> int:
    """The rows of everything except parameters."""
    return len(held.files) + sum(map(points, [*held.floats, *held.objects]))


def points(each: Series) -> int:
    """A guess, good where steps count up from 0."""
    last = each.last_step
    return int(last) + 1 if last is not None and 0 <= last < 1e7 else metrics.FIRST_LIMIT
