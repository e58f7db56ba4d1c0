"""The way of a whole dataset into a target: loaded, compared in full, and loaded again from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from neptune_exporter.contract import ExportedRun, LoadOptions, Sink, SinkSpec, Verdict
from neptune_exporter.dataset import Dataset
from neptune_exporter.jobs.load import LoadJobOptions, LoadResult, load_runs
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.location import Location


def check_journey(
    spec: SinkSpec,
    settings: object,
    data: Path,
    files: Path,
    contents: Callable[[], object],
) -> LoadResult:
    """Load a dataset of any tool, and check that the target has all of it, once.

    Args:
        contents: What the target holds, to be compared: a second load must not change it.

    Returns:
        What became of the first load.

    Raises:
        AssertionError: a run failed, differs, has an attribute that the comparison does not name, or was
            sent a second time.
    """
    options = LoadJobOptions(Location.of(data), Location.of(files))
    result = load_runs(spec, settings, options, Progress())
    assert result.loaded and not result.failed, result.failed
    sink = spec.factory(settings, LoadOptions())
    try:
        for run in Dataset(data, files).runs():
            check_every_attribute(sink, run)
    finally:
        sink.close()
    held = contents()
    again = load_runs(spec, settings, options, Progress())
    assert not again.loaded and not again.failed, (again.loaded, again.failed)
    assert len(again.already_loaded) == len(result.loaded)
    assert contents() == held, "the second load changed what the target holds"
    return result


def check_every_attribute(sink: Sink, run: ExportedRun) -> None:
    """Nothing differs, and each attribute of the run is named as equal or as a known loss."""
    items = set()
    for comparison in sink.verify(run, full=True):
        assert comparison.verdict in (Verdict.EQUAL, Verdict.LOST), comparison
        items |= {comparison.item, comparison.item.removeprefix("file "), _after_of(comparison.item)}
    paths = {row.path for row in run.rows()}
    assert paths and paths <= items, f"{run.key}: the comparison does not name {sorted(paths - items)[:5]}"


def _after_of(item: str) -> str:
    return item.partition(" of ")[2]
