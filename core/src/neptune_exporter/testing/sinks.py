"""The conformance tests of sinks. A plugin's author subclasses `SinkConformance`:

    class TestMySink(SinkConformance):
        capabilities = MY_SPEC.capabilities

        @pytest.fixture
        def sink_factory(self, server):
            return lambda options: MySink(MySettings(url=server.url), options)

        @pytest.fixture
        def read_back(self, server):
            return lambda key, loaded: ...   # a LoadedSample of what the server has

Nothing of core is needed: the runs that a sink gets are `MemoryRun`s.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timezone
from decimal import Decimal
from itertools import count

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from neptune_exporter.contract.sink import LOADED_COUNTS, LoadOptions, Sink
from neptune_exporter.errors import NeptuneExporterError
from neptune_exporter.model import RunKey, RunKind, SysAttribute
from neptune_exporter.testing.corpus import THEMES, sample_runs, themed_runs
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.loaded import LoadedSample
from neptune_exporter.testing.runs import SampleRun, file, float_series, parameter, string_series
from neptune_exporter.testing.sink_checks import ReadBack, SinkFactory, load_runs
from neptune_exporter.testing.sinks_once import OnceChecks
from neptune_exporter.testing.sinks_verify import VerificationChecks
from neptune_exporter.testing.strategies import dense_run, sample_run

__all__ = ["ReadBack", "SinkConformance", "SinkFactory", "load_runs"]


class SinkConformance(OnceChecks, VerificationChecks):
    """Whether every row of every run arrives, or is a loss that the capabilities announce."""

    # Rows.

    @pytest.mark.parametrize("theme", THEMES)
    def test_every_row_arrives(self, sink: Sink, read_back: ReadBack, theme: str) -> None:
        """Exactly, or as a loss that the capabilities announce. No two names, runs or steps merge."""
        self._check(themed_runs(theme), self._load(sink, themed_runs(theme)), read_back)

    def test_runs_stay_apart(self, sink: Sink, read_back: ReadBack) -> None:
        """All in one target: what is loaded later changes nothing that is there."""
        runs = [run for run in sample_runs() if run.key.kind is RunKind.RUN]
        loaded = self._load(sink, runs)
        ids = [known.target_id for known in loaded.values()]
        twice = sorted({i for i in ids if ids.count(i) > 1})
        assert not twice, f"several runs are one in the target: {twice}"
        self._check(runs, loaded, read_back)

    @pytest.mark.parametrize("theme", ["types", "steps-fractional", "names", "forks"])
    def test_takes_exports_of_other_tools(self, sink: Sink, read_back: ReadBack, theme: str) -> None:
        """Their rows come in any order, and those of files without size and digest."""
        runs = themed_runs(theme)
        exported = [MemoryRun(run, shuffle=7, sizes=False) for run in runs]
        self._check(runs, load_runs(sink, exported), read_back)
        for run in exported if self.capabilities.verifies else ():
            bad = [c for c in sink.verify(run, full=True) if c.verdict.is_mismatch]
            assert not bad, f"{run.key}: {bad[:5]}"

    def test_counts_what_it_sent(self, sink: Sink, read_back: ReadBack) -> None:
        """Counts have names of `LOADED_COUNTS`; those of points, texts, histograms, files are true."""
        for theme in ("types", "steps-duplicate", "histograms", "files"):
            runs = themed_runs(theme)
            loaded = self._load(sink, runs)
            for run in runs:
                found = read_back(run.key, loaded[run.key])
                self._check_counts(run, loaded[run.key].counts, found)

    def test_tells_times_before_1970(self, sink: Sink, read_back: ReadBack) -> None:
        """Some clocks were wrong. A target that cannot hold such a time says so by `earliest_time`."""
        early = datetime(1969, 7, 20, 20, 17, 40, tzinfo=timezone.utc)
        created = parameter(SysAttribute.CREATION_TIME, datetime(2024, 1, 1, tzinfo=timezone.utc))
        metric, text = float_series("loss", [(0, 1.0), (1, 2.0)]), string_series("note", [(0, "a"), (1, "b")])
        series = (
            replace(each, entries=(replace(each.entries[0], timestamp=early), each.entries[1]))
            for each in (metric, text)
        )
        run = SampleRun(RunKey("acme/vision", "early"), (created, *series))
        self._check([run], self._load(sink, [run]), read_back)

    def test_takes_runs_from_several_threads(self, sink: Sink, read_back: ReadBack) -> None:
        if self.capabilities.max_workers == 1:
            pytest.skip("declares that it takes one run at a time")
        runs = [*themed_runs("types"), *themed_runs("identities"), *themed_runs("text")]
        exported = [MemoryRun(run) for run in runs]
        for project_id in sorted({run.key.project_id for run in runs}):
            sink.prepare(project_id, [run for run in exported if run.key.project_id == project_id])
        with ThreadPoolExecutor(4) as pool:
            results = pool.map(lambda run: sink.load(run, None), exported)
            loaded = {run.key: known for run, known in zip(runs, results, strict=True)}
        self._check(runs, loaded, read_back)

    def test_any_run_arrives(self, sink: Sink, read_back: ReadBack) -> None:
        """Runs that hypothesis makes up, the same every time."""
        if self.generated_runs == 0:
            pytest.skip("the author wants no generated runs")
        numbers = count()

        @settings(
            max_examples=self.generated_runs,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],  # to shrink would mean hundreds of loads
        )
        @given(sample_run())
        def arrives(run: SampleRun) -> None:
            run = replace(run, key=replace(run.key, run_id=f"generated-{next(numbers)}"))
            self._check([run], self._load(sink, [run]), read_back)

        arrives()

    def test_any_project_arrives(self, sink: Sink, read_back: ReadBack) -> None:
        """Runs of one project with several series each, at steps of all sizes: some share their steps."""
        if self.generated_runs == 0:
            pytest.skip("the author wants no generated runs")
        numbers = count()

        @settings(
            max_examples=self.generated_runs,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
        )
        @given(st.lists(dense_run(), min_size=2, max_size=3))
        def arrive(runs: list[SampleRun]) -> None:
            project = f"acme/dense-{next(numbers)}"
            runs = [replace(run, key=RunKey(project, f"RUN-{n}")) for n, run in enumerate(runs)]
            self._check(runs, self._load(sink, runs), read_back)

        arrive()

    def test_a_missing_file_is_reported(self, sink: Sink, read_back: ReadBack) -> None:
        """A row may name a file that is gone: a loss or an error, the rest arrives."""
        self._check_unreadable_file(sink, read_back, "gone/model.pt")

    @pytest.mark.parametrize("path", ["../outside", "/etc/hostname", "a/../../outside", "C:\\outside"])
    def test_a_file_outside_is_never_read(self, sink: Sink, read_back: ReadBack, path: str) -> None:
        self._check_unreadable_file(sink, read_back, path)

    # Forks and models.

    def test_an_unloaded_parent_is_no_obstacle(self, sink: Sink, read_back: ReadBack) -> None:
        child = next(run for run in themed_runs("forks") if run.key.run_id == "fork-child")
        self._check([child], self._load(sink, [child]), read_back)

    # Options.

    def test_puts_the_prefix_before_names(self, sink_factory: SinkFactory, read_back: ReadBack) -> None:
        runs = [*themed_runs("types"), *themed_runs("people")]
        loaded = self._load_and_close(sink_factory, runs, LoadOptions(name_prefix="old "))
        self._check(runs, loaded, read_back, name_prefix="old ")

    @pytest.mark.parametrize("multiplier", ["1000", "1000000"])
    def test_multiplies_steps_exactly(
        self, sink_factory: SinkFactory, read_back: ReadBack, multiplier: str
    ) -> None:
        """Targets with whole steps: 0.29 becomes 290, not 289."""
        options = LoadOptions(step_multiplier=Decimal(multiplier))
        runs = themed_runs("steps-fractional")
        loaded = self._load_and_close(sink_factory, runs, options)
        self._check(runs, loaded, read_back)
        for run in runs:
            used = read_back(run.key, loaded[run.key]).step_multiplier
            assert used in (None, Decimal(multiplier)), f"the multiplier on record is {used}"

    def test_tells_steps_that_a_multiplier_leaves_fractional(
        self, sink_factory: SinkFactory, read_back: ReadBack
    ) -> None:
        """0.29 times 10 is no whole step: an exact arrival, a loss or an error, no merging."""
        runs = themed_runs("steps-fractional")
        try:
            loaded = self._load_and_close(sink_factory, runs, LoadOptions(step_multiplier=Decimal(10)))
        except NeptuneExporterError:
            return
        known = replace(self.capabilities, fractional_steps=False)
        self._check(runs, loaded, read_back, capabilities=known)

    # Manners.

    def test_prints_nothing(self, sink: Sink, capfd: pytest.CaptureFixture[str]) -> None:
        self._load(sink, themed_runs("types"))
        assert capfd.readouterr().out == ""

    def test_closes_twice(self, sink: Sink) -> None:
        self._load(sink, themed_runs("types"))
        sink.close()
        sink.close()

    def _check_counts(self, run: SampleRun, counts: Mapping[str, int], found: LoadedSample) -> None:
        held = {"points": found.points, "texts": found.texts, "histograms": found.histograms}
        for name, series in {**held, "files": found.files}.items():
            there = sum(map(len, series.values()))
            assert counts.get(name, there) >= there, f"{run.key}: {counts[name]} {name} sent, {there} there"
        for name, types in (("points", "float_series"), ("histograms", "histogram_series")):
            most = sum(len(a.entries) for a in run.attributes if a.type.value == types)
            assert counts.get(name, 0) <= most, f"{run.key}: {counts[name]} {name} of {most}"
        assert all(n >= 0 for n in counts.values()), f"{run.key}: {counts}"
        invented = sorted(counts.keys() - LOADED_COUNTS)
        assert not invented, f"{run.key}: counts {invented}, but the only counts are {sorted(LOADED_COUNTS)}"

    def _check_unreadable_file(self, sink: Sink, read_back: ReadBack, path: str) -> None:
        (sample,) = themed_runs("types")
        run = SampleRun(sample.key, (parameter("kept", 1), file("bad", b"the canary", ".bin")))
        exported = MemoryRun(run, renamed_files={"bad": path})
        try:
            loaded = load_runs(sink, [exported])[run.key]
        except NeptuneExporterError:
            return
        found = read_back(run.key, loaded)
        assert not found.files, f"a file came from nowhere: {found.files}"
        assert found.parameters.get("kept") == 1, "the rest of the run did not arrive"
        losses = [loss for loss in loaded.losses if loss.attribute_path in (None, "bad")]
        assert sum(loss.count for loss in losses) == 1, f"the missing file is not reported: {loaded.losses}"
        self._check_no_mismatch(sink, exported)

    def _check_no_mismatch(self, sink: Sink, exported: MemoryRun) -> None:
        if self.capabilities.verifies:
            bad = [c for c in sink.verify(exported, full=True) if c.verdict.is_mismatch]
            assert not bad, f"a file that was reported as lost is not a mismatch: {bad}"
