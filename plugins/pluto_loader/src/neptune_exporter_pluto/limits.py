"""What Pluto takes: how long names may be, how far steps may reach."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from neptune_exporter.contract import ExportedRun
from neptune_exporter.model import AttributeType
from neptune_exporter.sinks.names import NameRule, path_parts, printable
from neptune_exporter.sinks.series import SeriesRows, series_rows
from neptune_exporter.sinks.steps import Multiplier, StepRange

NAME = NameRule(2_000)
"""Pluto's API took names of 2,000 characters and failed at 3,000 (observed with pluto-server 3e89082)."""
STORAGE_NAME = NameRule(500, clean=lambda name: path_parts(printable(name)))
"""With the file name part of the storage key, which S3 limits to 1,024 bytes."""
STEPS = StepRange(0, 2**64 - 1)


def pluto_rows(
    run: ExportedRun,
    types: Collection[AttributeType],
    value_columns: Collection[str],
    multiplier: Multiplier,
    batch_rows: int,
    no_time: int,
) -> Iterator[SeriesRows]:
    """Rows of some types with steps and times as Pluto takes them: both are unsigned."""
    return series_rows(run, types, value_columns, multiplier, STEPS, batch_rows, no_time, earliest=0)
