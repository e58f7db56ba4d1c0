"""The last, least and greatest value of a metric in each run, for columns of the page of runs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from neptune_exporter.contract import NeptuneExporterError
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter_explorer.curves import floats
from neptune_exporter_explorer.runs import OpenRuns

KINDS = ("last", "min", "max")


def metric_of(column: str) -> tuple[str, str] | None:
    """Attribute and statistic of a column like `train/loss@last`; None for any other column."""
    path, separator, kind = column.rpartition("@")
    return (path, kind) if separator and kind in KINDS else None


class Statistics:
    """Reads a series once for all three values, and keeps these."""

    def __init__(self, runs: OpenRuns) -> None:
        self._runs = runs
        self._known: dict[tuple[RunKey, str, str], dict[str, float | None]] = {}

    def known(self, key: RunKey, stamp: str, path: str) -> dict[str, float | None] | None:
        return self._known.get((key, stamp, path))

    def read(self, key: RunKey, stamp: str, path: str) -> dict[str, float | None]:
        """The statistics of one series; all None where the run has none or it cannot be read."""
        found = self.known(key, stamp, path)
        if found is None:
            try:
                found = self._read(key, path)
            except (NeptuneExporterError, OSError):  # the page of the run says why
                found = dict.fromkeys(KINDS)
            self._known[key, stamp, path] = found
        return found

    def _read(self, key: RunKey, path: str) -> dict[str, float | None]:
        least, greatest, last = math.inf, -math.inf, math.nan
        rows = 0
        for batch in self._runs[key].series(path, AttributeType.FLOAT_SERIES, columns=["float_value"]):
            values = floats(batch.column("float_value"))
            if not len(values):
                continue
            rows += len(values)
            last = float(values[-1])
            if not np.isnan(values).all():
                least = min(least, float(np.nanmin(values)))
                greatest = max(greatest, float(np.nanmax(values)))
        if not rows:
            return dict.fromkeys(KINDS)
        numbers: dict[str, Any] = {"last": last, "min": least, "max": greatest}
        return numbers if least <= greatest else {"last": last, "min": math.nan, "max": math.nan}
