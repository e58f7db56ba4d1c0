"""Finds logs that a dataset already holds under another run: one folder exported under two ids makes two
runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from neptune_exporter.contract import SourceRun
from neptune_exporter.dataset import Dataset
from neptune_exporter.model import RunKey


def exported_as_others(dataset: Dataset, runs: Iterable[SourceRun]) -> Iterator[str]:
    """A line for each new run whose logs were already exported as another run of the dataset."""
    with_logs = [run for run in runs if run.logs]
    if not with_logs:
        return
    exported, owners = _owners(dataset)
    for run in with_logs:
        others = sorted({str(key) for name, _ in run.logs for key in owners.get(name, ())})
        if others and run.key not in exported:
            yield (
                f"{run.key}: the same folder was exported as {', '.join(others)} before, which stays: the "
                "dataset now holds it twice, and a load sends it twice"
            )


def _owners(dataset: Dataset) -> tuple[set[RunKey], dict[str, set[RunKey]]]:
    """All runs of the dataset, and those that each log was exported as."""
    exported: set[RunKey] = set()
    owners: dict[str, set[RunKey]] = {}
    # once for all runs: asking for each run would list its project each time
    for there in dataset.runs(newer=False):
        exported.add(there.key)
        for log in there.receipt.logs if there.receipt is not None else ():
            owners.setdefault(log.name, set()).add(there.key)
    return exported, owners
