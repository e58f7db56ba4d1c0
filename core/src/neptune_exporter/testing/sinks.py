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

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from itertools import count
from typing import TypeAlias

import pytest
from hypothesis import Phase, given, settings

from neptune_exporter.contract.sink import LoadedRun, LoadOptions, Sink, Verdict
from neptune_exporter.contract.specs import SinkCapabilities
from neptune_exporter.errors import DatasetError, NeptuneExporterError, SinkError
from neptune_exporter.model import RunKey, RunKind
from neptune_exporter.testing.arrival import Rules, arrival_problems
from neptune_exporter.testing.corpus import THEMES, sample_runs, themed_runs
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.loaded import LoadedSample
from neptune_exporter.testing.runs import SampleRun, file, float_series, parameter
from neptune_exporter.testing.strategies import sample_run

SinkFactory: TypeAlias = "Callable[[LoadOptions], Sink]"
ReadBack: TypeAlias = "Callable[[RunKey, LoadedRun], LoadedSample]"

_BAD = (Verdict.MISSING, Verdict.EXTRA, Verdict.DIFFERENT)


def load_runs(sink: Sink, runs: Iterable[MemoryRun]) -> dict[RunKey, LoadedRun]:
    """Load runs as core does: prepare each project, then parents before children."""
    waiting = {run.key: run for run in runs}
    for project_id in sorted({key.project_id for key in waiting}):
        sink.prepare(project_id, [run for key, run in waiting.items() if key.project_id == project_id])
    loaded: dict[RunKey, LoadedRun] = {}
    while waiting:
        for key, run in list(waiting.items()):
            if run.parent() not in waiting:
                parent = run.parent()
                loaded[key] = sink.load(run, loaded.get(parent) if parent else None)
                del waiting[key]
    return loaded


class SinkConformance:
    """Whether every row of every run arrives, or is a loss that the capabilities announce."""

    capabilities: SinkCapabilities
    """As its spec declares."""
    allowed_losses: Collection[str] = ()
    """Reasons of losses that no capability covers. Each belongs into the plugin's documentation."""
    generated_runs: int = 15
    """How many generated runs `test_any_run_arrives` loads."""

    @pytest.fixture
    def sink_factory(self) -> SinkFactory:
        """Makes sinks of one target, empty at the start of each test."""
        raise NotImplementedError("override the fixture sink_factory")

    @pytest.fixture
    def sink(self, sink_factory: SinkFactory) -> Iterator[Sink]:
        sink = sink_factory(LoadOptions())
        yield sink
        sink.close()

    @pytest.fixture
    def read_back(self) -> ReadBack:
        """Reads what the target holds of a run, without the sink. Waits until it is visible."""
        raise NotImplementedError("override the fixture read_back")

    def tamper(self, key: RunKey, loaded: LoadedRun) -> bool:
        """Change or remove one value of a run behind the sink's back. Override and return True."""
        return False

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
            bad = [c for c in sink.verify(run, full=True) if c.verdict in _BAD]
            assert not bad, f"{run.key}: {bad[:5]}"

    def test_counts_what_it_sent(self, sink: Sink, read_back: ReadBack) -> None:
        """Counts under these names must be true: points, texts, histograms, files."""
        for theme in ("types", "steps-duplicate", "histograms", "files"):
            runs = themed_runs(theme)
            loaded = self._load(sink, runs)
            for run in runs:
                found = read_back(run.key, loaded[run.key])
                self._check_counts(run, loaded[run.key].counts, found)

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
        """Runs that nobody thought of: made by hypothesis, the same every time."""
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

    # Once, and as a whole.

    @pytest.mark.parametrize("theme", ["types", "steps-duplicate", "forks"])
    def test_loading_again_changes_nothing(
        self, sink_factory: SinkFactory, read_back: ReadBack, theme: str
    ) -> None:
        if not self.capabilities.resumable:
            pytest.skip("declares that loads cannot be repeated")
        runs = themed_runs(theme)
        first = self._load_and_close(sink_factory, runs)
        second = self._load_and_close(sink_factory, runs)
        assert {k: v.target_id for k, v in first.items()} == {k: v.target_id for k, v in second.items()}
        # A sink that skips a loaded run need not find its losses again.
        again = {k: replace(v, losses=first[k].losses) if v.already_loaded else v for k, v in second.items()}
        self._check(runs, again, read_back)

    @pytest.mark.parametrize("broken_after", [0, 1, 7, 20])
    def test_completes_what_was_interrupted(
        self, sink_factory: SinkFactory, read_back: ReadBack, broken_after: int
    ) -> None:
        """A load that fails somewhere in the middle is said to have failed, and can be done again."""
        if not self.capabilities.resumable:
            pytest.skip("declares that loads cannot be repeated")
        (run,) = themed_runs("types")
        points = float_series("long", enumerate(map(float, range(40))))
        run = run.plus(points)
        sink = sink_factory(LoadOptions())
        with pytest.raises((DatasetError, SinkError)):
            load_runs(sink, [MemoryRun(run, break_after=broken_after)])
        sink.close()
        self._check([run], self._load_and_close(sink_factory, [run]), read_back)

    def test_a_run_that_grew_is_not_taken_for_loaded(
        self, sink_factory: SinkFactory, read_back: ReadBack
    ) -> None:
        """It gets the new rows, or the sink says that it cannot add them: never silence."""
        (run,) = themed_runs("types")
        self._load_and_close(sink_factory, [run])
        grown = run.plus(float_series("later", [(0, 1.0), (1, 2.0)]))
        try:
            loaded = self._load_and_close(sink_factory, [grown])
        except SinkError:
            return
        self._check([grown], loaded, read_back)

    def test_a_missing_file_is_told(self, sink: Sink, read_back: ReadBack) -> None:
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

    # Verification.

    @pytest.mark.parametrize("full", [False, True])
    def test_verifies_what_it_loaded(self, sink: Sink, full: bool) -> None:
        """`=` for what arrived, `~` for declared losses, `?` for what the target cannot tell."""
        if not self.capabilities.verifies:
            pytest.skip("declares that it cannot verify")
        for theme in THEMES:
            runs = [run for run in themed_runs(theme) if run.key.kind is RunKind.RUN]
            loaded = self._load(sink, runs)
            for run in runs:
                comparisons = list(sink.verify(MemoryRun(run), full=full))
                bad = [c for c in comparisons if c.verdict in _BAD]
                assert not bad, f"{run.key}: {bad[:5]}"
                lost = [c for c in comparisons if c.verdict is Verdict.LOST]
                assert not lost or loaded[run.key].losses, f"{run.key}: lost without a loss: {lost[:5]}"
                assert comparisons or not run.rows, f"{run.key}: nothing was compared"
                assert all(c.run == run.key for c in comparisons), f"{run.key}: compares another run"

    def test_verification_finds_a_changed_value(self, sink: Sink) -> None:
        (run,) = themed_runs("types")
        if not self.capabilities.verifies:
            pytest.skip("declares that it cannot verify")
        loaded = self._load(sink, [run])[run.key]
        if not self.tamper(run.key, loaded):
            pytest.skip("the author gives no tamper")
        verdicts = [c.verdict for c in sink.verify(MemoryRun(run), full=True)]
        assert any(v in _BAD for v in verdicts), "the changed value was not found"

    def test_verification_misses_a_run_that_is_not_there(self, sink: Sink) -> None:
        if not self.capabilities.verifies:
            pytest.skip("declares that it cannot verify")
        (run,) = themed_runs("types")
        try:
            verdicts = [c.verdict for c in sink.verify(MemoryRun(run))]
        except SinkError:
            return
        assert Verdict.MISSING in verdicts, "a run that was never loaded was found"

    # Manners.

    def test_prints_nothing(self, sink: Sink, capfd: pytest.CaptureFixture[str]) -> None:
        self._load(sink, themed_runs("types"))
        assert capfd.readouterr().out == ""

    def test_closes_twice(self, sink: Sink) -> None:
        self._load(sink, themed_runs("types"))
        sink.close()
        sink.close()

    # Helpers.

    def _load(self, sink: Sink, runs: Sequence[SampleRun]) -> dict[RunKey, LoadedRun]:
        return load_runs(sink, [MemoryRun(run) for run in runs if self._is_handed(run)])

    def _is_handed(self, run: SampleRun) -> bool:
        """Core itself counts models as lost where a target has no place for them."""
        return run.key.kind is RunKind.RUN or self.capabilities.models

    def _load_and_close(
        self, sink_factory: SinkFactory, runs: Sequence[SampleRun], options: LoadOptions | None = None
    ) -> dict[RunKey, LoadedRun]:
        sink = sink_factory(options or LoadOptions())
        try:
            return self._load(sink, runs)
        finally:
            sink.close()

    def _check(
        self,
        runs: Sequence[SampleRun],
        loaded: Mapping[RunKey, LoadedRun],
        read_back: ReadBack,
        *,
        name_prefix: str = "",
        capabilities: SinkCapabilities | None = None,
    ) -> None:
        known = capabilities or self.capabilities
        rules = Rules(known, self.allowed_losses, name_prefix)
        problems = []
        for run in filter(self._is_handed, runs):
            parent = loaded.get(run.parent) if run.parent else None
            found = read_back(run.key, loaded[run.key])
            problems += [
                f"{run.key}: {problem}"
                for problem in arrival_problems(run, loaded[run.key], found, parent, rules)
            ]
        if problems:
            pytest.fail("\n".join(problems[:40]), pytrace=False)

    def _check_counts(self, run: SampleRun, counts: Mapping[str, int], found: LoadedSample) -> None:
        held = {"points": found.points, "texts": found.texts, "histograms": found.histograms}
        for name, series in {**held, "files": found.files}.items():
            there = sum(map(len, series.values()))
            assert counts.get(name, there) >= there, f"{run.key}: {counts[name]} {name} sent, {there} there"
        for name, types in (("points", "float_series"), ("histograms", "histogram_series")):
            most = sum(len(a.entries) for a in run.attributes if a.type.value == types)
            assert counts.get(name, 0) <= most, f"{run.key}: {counts[name]} {name} of {most}"
        assert all(n >= 0 for n in counts.values()), f"{run.key}: {counts}"

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
        told = [loss for loss in loaded.losses if loss.attribute_path in (None, "bad")]
        assert sum(loss.count for loss in told) == 1, f"the missing file is not told: {loaded.losses}"
        if self.capabilities.verifies:
            bad = [c for c in sink.verify(exported, full=True) if c.verdict in _BAD]
            assert not bad, f"a file that was told as lost is no mismatch: {bad}"
