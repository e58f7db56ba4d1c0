"""Logs that a dataset has under another run: one folder exported under two ids becomes two runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from neptune_exporter.contract import SourceRun
from neptune_exporter.dataset import Dataset
from neptune_exporter.model import RunKey


def exported_as_others(dataset: Dataset, runs: Iterable[SourceRun]) -> Iterator[str]:
    """A line for each run that is not there yet and whose logs another run of the dataset was read from."""
    with_logs = [run for run in runs if run.logs]
    if not with_logs:
        return
    owners: dict[str, set[RunKey]] = {}
    exported = set()
    for there in dataset.runs():  # once: asking for each run by itself would list its project each time
        exported.add(there.key)
        for log in there.receipt.logs if there.receipt is not None else ():
            owners.setdefault(log.name, set()).add(there.key)
    for run in with_logs:
        if run.key in exported:
            continue
        others = sorted({str(key) for name, _ in run.logs for key in owners.get(name, ())})
        if others:
            yield (
                f"{run.key}: the same folder was exported as {', '.join(others)} before, which stays: the "
                "dataset now holds it twice, and a load sends it twice"
            )
