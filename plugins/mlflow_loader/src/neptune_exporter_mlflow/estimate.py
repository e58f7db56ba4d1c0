"""How many requests a load makes, from the counts of a run alone: for `load --dry-run`."""

from __future__ import annotations

from math import ceil

from neptune_exporter.contract import ExportedRun
from neptune_exporter.model import FILE_TYPES, PARAMETER_TYPES, AttributeType
from neptune_exporter_mlflow.settings import MlflowSettings

_OF_A_RUN = 14
"""To look for the run, make and tag it, and to end it: counted with a server of MLflow 3."""
BATCH_PARAMETERS, BATCH_POINTS = 100, 1_000
"""One request holds no more."""
_OF_A_FILE = 1.5
"""Images are sent twice: MLflow shows a smaller copy."""
_IN_A_FILE = (AttributeType.STRING_SERIES, AttributeType.HISTOGRAM_SERIES)


def requests(settings: MlflowSettings, run: ExportedRun) -> int | None:
    """About as many requests load the run, without those to compare it; None if it goes into a database."""
    if not (settings.tracking_uri or "").startswith(("http", "databricks")):
        return None
    counts = run.counts()
    parameters, files = (
        sum(counts[kind].rows for kind in kinds if kind in counts) for kinds in (PARAMETER_TYPES, FILE_TYPES)
    )
    series = AttributeType.FLOAT_SERIES
    points = counts[series].rows if series in counts and settings.direct_database is None else 0
    tables = sum(counts[kind].attributes for kind in _IN_A_FILE if kind in counts)
    batches = ceil(parameters / BATCH_PARAMETERS) + ceil(points / BATCH_POINTS)
    return _OF_A_RUN + batches + ceil(files * _OF_A_FILE) + tables
