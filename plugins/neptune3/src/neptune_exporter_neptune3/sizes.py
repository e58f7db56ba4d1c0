"""Estimates what reading runs takes, by their attributes: the last step shows how long a series is."""

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
from neptune_exporter_neptune3.downloads import SIGNED_AT_ONCE

_EVERYTHING = AttributeRequest(AttributeSelection())


def sizes(api: Api, runs: Sequence[SourceRun]) -> list[RunSize]:
    """The sizes of runs of one project that would be read in one group, without runs that have been deleted.
    Raises AuthenticationError or SourceError."""
    contents = [Contents(RunRequest(run, _EVERYTHING)) for run in runs]
    parameters = Counter[RunKey]()
    for event in read_attributes(api, contents):
        if isinstance(event, RunRows):
            parameters[event.run] += event.batch.num_rows
    found = [held for held in contents if held.found]
    each = ceil(_requests(found) / max(1, len(found)))
    return [RunSize(parameters[held.run] + _rows(held), each) for held in found]


def _requests(found: Sequence[Contents]) -> int:
    """The list of attributes, the pages of series, the files, and the addresses to download these from."""
    unread = [metrics.Unread.begin(each) for held in found for each in held.floats]
    others = [each for held in found for each in held.objects]
    pages = len(list(metrics.requests_for(unread))) + len(list(series.requests_for(others)))
    files = sum(len(held.files) for held in found)
    return 1 + pages + files + ceil(files / SIGNED_AT_ONCE)


def _rows(held: Contents) -> int:
    """The rows of everything except parameters."""
    return len(held.files) + sum(map(points, [*held.floats, *held.objects]))


def points(each: Series) -> int:
    """A guess, good where steps count up from 0."""
    last = each.last_step
    return int(last) + 1 if last is not None and 0 <= last < 1e7 else metrics.FIRST_LIMIT
