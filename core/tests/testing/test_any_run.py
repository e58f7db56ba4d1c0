"""Any run that hypothesis thinks of goes from a source through a dataset into a sink, unchanged."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from neptune_exporter.contract import NoSettings, Verdict
from neptune_exporter.dataset import Dataset
from neptune_exporter.jobs.export import ExportOptions, export_runs
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.testing import (
    MemoryRun,
    MemorySink,
    MemorySource,
    SampleRun,
    difference,
    facts_of_exported,
    facts_of_run,
    memory_source_spec,
    strategies,
)

_SEVERAL = st.lists(strategies.sample_run(), min_size=1, max_size=3, unique_by=lambda run: run.key)


@settings(max_examples=25, deadline=None)
@given(_SEVERAL, st.integers(0, 5))
def test_any_run_goes_all_the_way(runs: list[SampleRun], order: int) -> None:
    with TemporaryDirectory() as folder:
        data, files = Path(folder, "data"), Path(folder, "files")
        spec = memory_source_spec(MemorySource(runs, shuffle=order, batch_rows=3))
        assert export_runs(spec, NoSettings(), ExportOptions((), data, files), Progress()).complete
        dataset, sink = Dataset(data, files), MemorySink()
        for run in runs:
            stored = dataset.run(run.key)
            assert stored is not None
            assert stored.complete
            assert difference(facts_of_run(run), facts_of_exported(stored)) == ""
            assert dict(stored.counts()) == dict(MemoryRun(run).counts())
            assert stored.time_span() == MemoryRun(run).time_span()
            sink.load(stored, None)
            assert {c.verdict for c in sink.verify(MemoryRun(run), full=True)} <= {Verdict.EQUAL}
