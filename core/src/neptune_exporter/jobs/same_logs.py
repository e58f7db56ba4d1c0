"""Logs that a dataset has under another run: one folder exported under two ids becomes two runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from neptune_exporter.contract import SourceRun
from neptune_exporter.dataset import Dataset
from neptune_exporter.model import RunKey


def exported_as_others(dataset: Dataset, runs: Iterable[SourceRun]) -> Iterator[str]:
    """A line for each run that is not there yet and whose logs another run of the dataset was read from."""
    new = [run for run in runs if run.logs and dataset.run(run.key) is None]
    if not new:
        return
    owners = _owners(dataset)
    for run in new:
        others = sorted({str(key) for name, _ in run.logs for key in owners.get(name, ()) if key != run.key})
        if others:
            yield (
                f"{run.key}: the same folder was exported as {', '.join(others)} before, which stays: the "
                "dataset now holds it twice, and a load sends it twice"
            )


def _owners(dataset: Dataset) -> dict[str, set[RunKey]]:
    """The runs that were read from each log."""
    found: dict[str, set[RunKey]] = {}
    for run in dataset.runs():
        for log in run.receipt.logs if run.receipt is not None else ():
            found.setdefault(log.name, set()).add(run.key)
    return found
