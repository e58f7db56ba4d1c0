"""How many requests a load makes, from the counts of a run alone: for `load --dry-run`."""

from __future__ import annotations

from math import ceil

from neptune_exporter.contract import ExportedRun
from neptune_exporter.model import FILE_TYPES, PARAMETER_TYPES, AttributeType
from neptune_exporter_mlflow.settings import MlflowSettings

_OF_A_RUN = 12
"""To look for the run, make and tag it, and to end it: counted with a server of MLflow 3."""
BATCH_PARAMETERS, BATCH_POINTS = 100, 1_000
"""One request holds no more."""
_IN_A_FILE = (AttributeType.STRING_SERIES, AttributeType.HISTOGRAM_SERIES)


def requests(settings: MlflowSettings, run: ExportedRun) -> int | None:
    """About as many requests load the run, without those to compare it; None if it goes into a database."""
    if not (settings.tracking_uri or "").startswith(("http", "databricks")):
        return None
    counts = run.counts()
    rows = {kind: count.rows for kind, count in counts.items()}
    parameters = sum(rows.get(kind, 0) for kind in PARAMETER_TYPES)
    # Series of files mostly hold images, which are sent twice: MLflow shows a smaller copy.
    files = sum(rows.get(kind, 0) for kind in FILE_TYPES) + rows.get(AttributeType.FILE_SERIES, 0)
    points = rows.get(AttributeType.FLOAT_SERIES, 0) if settings.direct_database is None else 0
    tables = sum(counts[kind].attributes for kind in _IN_A_FILE if kind in counts)
    batches = ceil(parameters / BATCH_PARAMETERS) + ceil(points / BATCH_POINTS)
    return _OF_A_RUN + batches + files + tables
