"""What reading a run takes, from the list of its attributes and the lengths of some of its series."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import ceil

from neptune_exporter.contract import RunSize, SourceRun
from neptune_exporter.model import FILE_TYPES, PARAMETER_TYPES, AttributeType
from neptune_exporter_neptune2 import series
from neptune_exporter_neptune2.api import LEADERBOARD, Api
from neptune_exporter_neptune2.values import Attribute, attributes_of

_ASKED = 5
"""The lengths of this many series of each type are requested; the other series count as the mean."""
_SERIES = (AttributeType.FLOAT_SERIES, AttributeType.STRING_SERIES)
_REQUESTS_OF_A_FILE_SET = 3
"""Ask for the zip, ask whether it is made, download it."""


def size_of(api: Api, run: SourceRun) -> RunSize:
    """Raises AuthenticationError, SourceError."""
    attributes = api.get(f"{LEADERBOARD}/attributes", {"experimentId": run.handle}, attributes_of)
    counts = Counter(each.type for each in attributes if each.has_value)
    files = sum(counts[kind] for kind in FILE_TYPES)
    rows = files + sum(counts[kind] for kind in PARAMETER_TYPES)
    requests = 1 + files + (_REQUESTS_OF_A_FILE_SET - 1) * counts[AttributeType.FILE_SET]
    for kind in _SERIES:
        lengths = _lengths(api, run, [a for a in attributes if a.type is kind])
        rows += round(sum(lengths))
        requests += round(sum(max(1, ceil(length / series.PAGE)) for length in lengths))
    return RunSize(rows, requests)


def _lengths(api: Api, run: SourceRun, attributes: Sequence[Attribute]) -> list[float]:
    """The length of each series, of most of them guessed."""
    if not attributes:
        return []
    asked = attributes[:: ceil(len(attributes) / _ASKED)]
    known = [series.fetch(api, run.handle, each, 0, limit=1).total for each in asked]
    return [sum(known) / len(known)] * len(attributes)
