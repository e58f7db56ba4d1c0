"""How many requests a load makes, from the counts of a run alone: for `load --dry-run`."""

from __future__ import annotations

from math import ceil

from neptune_exporter.contract import ExportedRun
from neptune_exporter.model import FILE_TYPES, SERIES_TYPES, AttributeType
from neptune_exporter_pluto.settings import NAMES_A_CALL, PlutoSettings

_OF_A_RUN = 6
"""To look for the run, make and describe it, and to end it: counted by the local Pluto, as all of these."""
_BODY = 1 << 20
_POINT, _ENTRY = 50, 200
"""Bytes in the body of a request."""


def requests(settings: PlutoSettings, run: ExportedRun) -> int:
    """About as many requests load the run, without those to compare it."""
    counts = run.counts()
    rows = {kind: count.rows for kind, count in counts.items() if count.rows}
    points = ceil(rows.get(AttributeType.FLOAT_SERIES, 0) / settings.log_every)
    entries = rows.get(AttributeType.STRING_SERIES, 0) + rows.get(AttributeType.HISTOGRAM_SERIES, 0)
    bodies = ceil(points / max(_BODY // _POINT, settings.flush_every)) + ceil(entries * _ENTRY / _BODY)
    files = sum(rows.get(kind, 0) for kind in FILE_TYPES)
    uploads = min(files, settings.max_files_per_run or files) + (AttributeType.STRING_SERIES in rows)
    announcements = ceil(uploads / min(settings.file_chunk_size, 2 * settings.file_connections))
    # The names of each type are registered, and those of texts that hold whole string series.
    named = (counts[kind].attributes for kind in rows.keys() & (SERIES_TYPES | FILE_TYPES))
    names = sum(ceil(count / NAMES_A_CALL) for count in named) + (AttributeType.STRING_SERIES in rows)
    return _OF_A_RUN + bodies + announcements + uploads + names
