"""The content of one run on its way into Pluto: the same in a load and in a comparison."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from neptune_exporter.contract import ExportedRun
from neptune_exporter.model import AttributeType
from neptune_exporter.sinks.names import NameBook
from neptune_exporter.sinks.series import SeriesRows, series_rows
from neptune_exporter.sinks.steps import Multiplier
from neptune_exporter_pluto.form.limits import NAME, STEPS, shown_steps
from neptune_exporter_pluto.form.losses import LossBook
from neptune_exporter_pluto.form.section import ContentOptions


@dataclass(frozen=True)
class Content:
    """The rows of a run, with what decides their form in Pluto.

    Whoever goes through them reads entries, metrics, texts and files in this order: names depend on it.
    """

    run: ExportedRun
    multiplier: Multiplier
    """Of steps."""
    no_time: int
    """The time of rows that have none, in ms since 1970."""
    batch_rows: int
    """How many rows are read at a time."""
    options: ContentOptions
    losses: LossBook
    """Counts what cannot be in Pluto as it is, while the rows are read."""
    folder: Path
    """For what does not fit into memory."""
    names: NameBook = field(default_factory=lambda: NameBook(NAME))

    def rows(self, types: Collection[AttributeType], columns: Collection[str]) -> Iterator[SeriesRows]:
        """Rows of some types, with steps and times in Pluto's range: both are unsigned."""
        for rows in series_rows(
            self.run, types, columns, self.multiplier, STEPS, self.batch_rows, self.no_time, earliest=0
        ):
            yield replace(rows, steps=shown_steps(rows.steps))
