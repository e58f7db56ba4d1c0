"""The conformance tests of sources. A plugin's author subclasses `SourceConformance`:

    class TestMySource(SourceConformance):
        capabilities = MY_SPEC.capabilities

        @pytest.fixture
        def source_runs(self): ...   # what the source is known to hold

        @pytest.fixture
        def source(self, source_runs): ...   # the source, connected to it

The more of the corpus (`sample_runs()`) the source holds, the more is tested.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from neptune_exporter.contract.selection import AttributeRequest, AttributeSelection, RunSelection
from neptune_exporter.contract.source import RunRequest, Source, SourceRun
from neptune_exporter.contract.specs import SourceCapabilities
from neptune_exporter.errors import SourceError
from neptune_exporter.model import ALL_CLASSES, AttributeClass, AttributeType, RunKey, RunKind
from neptune_exporter.testing.facts import Facts, comparable_content, difference, facts_of_run
from neptune_exporter.testing.files import MemoryFiles
from neptune_exporter.testing.reading import ReadRuns, listed, read_runs
from neptune_exporter.testing.runs import SampleRun


class SourceConformance:
    """Whether a source delivers exactly what it holds, and keeps to the contract."""

    capabilities: SourceCapabilities
    """As its spec declares."""
    ignored_attributes: frozenset[str] = frozenset()
    """Attributes that the service adds by itself and that no test can foresee (`sys/ping_time`)."""

    @pytest.fixture
    def source_runs(self) -> Sequence[SampleRun]:
        """Everything that the source holds, archived runs and models included."""
        raise NotImplementedError("override the fixture source_runs")

    @pytest.fixture
    def source(self, source_runs: Sequence[SampleRun]) -> Source:
        """The source that holds `source_runs`. Override as a generator to close it afterwards."""
        raise NotImplementedError("override the fixture source")

    def file_content(self, attribute_type: AttributeType, content: bytes) -> bytes:
        """The form of a file's bytes by which it is compared (a zip: its members)."""
        return comparable_content(attribute_type, content)

    def break_attribute(self, key: RunKey, path: str) -> bool:
        """Let the service fail for good when this attribute is read. Override and return True."""
        return False

    # Listing.

    def test_says_its_version(self, source: Source) -> None:
        assert re.search(r"\S \S*\d", source.version), f"{source.version!r} is no name and version"

    def test_discovers_projects(self, source: Source, source_runs: Sequence[SampleRun]) -> None:
        if not self.capabilities.discovers_projects:
            with pytest.raises(SourceError):
                source.projects()
            return
        assert list(source.projects()) == sorted({run.key.project_id for run in source_runs})

    def test_lists_every_run_once(self, source: Source, source_runs: Sequence[SampleRun]) -> None:
        self._check_listing(source, source_runs, self._everything())

    def test_leaves_out_archived_runs_unless_asked(
        self, source: Source, source_runs: Sequence[SampleRun]
    ) -> None:
        self._check_listing(source, source_runs, replace(self._everything(), include_archived=False))

    def test_lists_runs_without_models_unless_asked(
        self, source: Source, source_runs: Sequence[SampleRun]
    ) -> None:
        for kind in RunKind if self.capabilities.models else [RunKind.RUN]:
            selection = replace(self._everything(), kinds=frozenset({kind}))
            self._check_listing(source, source_runs, selection)

    def test_listing_tells_name_time_and_state(
        self, source: Source, source_runs: Sequence[SampleRun]
    ) -> None:
        samples = {run.key: run for run in source_runs}
        for run in self._all(source, source_runs):
            sample = samples[run.key]
            assert run.archived == sample.archived, f"{run.key}: archived is {run.archived}"
            if run.name is not None:
                assert run.name == sample.name, f"{run.key}: the name is {run.name!r}"
            if self.capabilities.modification_times:
                assert run.modified_at == sample.modified_at, f"{run.key}: modified at {run.modified_at}"

    def test_selects_exact_ids(self, source: Source, source_runs: Sequence[SampleRun]) -> None:
        for run in source_runs:
            ids = frozenset({run.key.run_id, "no such run"})
            self._check_listing(source, source_runs, replace(self._everything(), ids=ids))

    def test_patterns_match_whole_ids(self, source: Source, source_runs: Sequence[SampleRun]) -> None:
        """`RUN-1` is not `RUN-10`."""
        for run in source_runs:
            run_id = run.key.run_id
            for pattern in (re.escape(run_id), re.escape(run_id[:-1]), re.escape(run_id[1:])):
                self._check_listing(source, source_runs, replace(self._everything(), patterns=(pattern,)))

    def test_any_of_several_patterns_or_ids_is_enough(
        self, source: Source, source_runs: Sequence[SampleRun]
    ) -> None:
        ids = sorted({run.key.run_id for run in source_runs})
        patterns = (re.escape(ids[0]), "(?i)" + re.escape(ids[-1].upper()))
        selection = replace(self._everything(), patterns=patterns, ids=frozenset(ids[1:2]))
        self._check_listing(source, source_runs, selection)
        self._check_listing(source, source_runs, replace(self._everything(), patterns=("no-such-.*",)))

    def test_selects_by_modification_time(self, source: Source, source_runs: Sequence[SampleRun]) -> None:
        """From `modified_since` on, before `modified_until`; runs without a time are never left out."""
        if not self.capabilities.modification_times:
            pytest.skip("knows no modification times")
        times = sorted(run.modified_at for run in source_runs if run.modified_at is not None)
        first, middle, last = times[0], times[len(times) // 2], times[-1]
        ranges: list[tuple[datetime | None, datetime | None]] = [
            (middle, None),
            (None, middle),
            (first, last),
            (middle, middle + timedelta(milliseconds=1)),
            (last + timedelta(milliseconds=1), None),
        ]
        for since, until in ranges:
            selection = replace(self._everything(), modified_since=since, modified_until=until)
            self._check_listing(source, source_runs, selection)

    def test_unknown_project_is_an_error(self, source: Source) -> None:
        with pytest.raises(SourceError, match="no-such-project"):
            list(source.runs("no-such-workspace/no-such-project", RunSelection()))

    # Reading.

    def test_delivers_exactly_what_it_holds(self, source: Source, source_runs: Sequence[SampleRun]) -> None:
        self._check_reading(source, source_runs)

    def test_delivers_the_same_run_by_run(self, source: Source, source_runs: Sequence[SampleRun]) -> None:
        runs = self._all(source, source_runs)
        together = self._read(source, runs)
        for run in runs:
            self._check_same(run.key, together, self._read(source, [run]))

    def test_delivers_the_same_again(self, source: Source, source_runs: Sequence[SampleRun]) -> None:
        runs = self._all(source, source_runs)
        assert runs == self._all(source, source_runs), "a second listing differs"
        first, second = self._read(source, runs), self._read(source, runs)
        for run in runs:
            self._check_same(run.key, first, second)

    def test_delivers_the_same_with_what_it_wanted_back(
        self, source: Source, source_runs: Sequence[SampleRun]
    ) -> None:
        """`RunDone.memory`, after a reading of everything and after one of parameters only."""
        runs = self._all(source, source_runs)
        parameters = AttributeRequest(AttributeSelection(classes=frozenset({AttributeClass.PARAMETERS})))
        whole, part = self._read(source, runs), self._read(source, runs, parameters)
        for memory in (whole.memory, part.memory):
            if memory:
                again = self._read(source, runs, memory=memory)
                for run in runs:
                    self._check_same(run.key, whole, again)

    def test_survives_a_reader_that_goes_away(self, source: Source, source_runs: Sequence[SampleRun]) -> None:
        runs = self._all(source, source_runs)
        before = self._read(source, runs)
        for group in source.groups(RunRequest(run, AttributeRequest()) for run in runs):
            events = iter(source.read(group, MemoryFiles()))
            next(events, None)
            close: Callable[[], None] = getattr(events, "close", lambda: None)
            close()
        after = self._read(source, runs)
        for run in runs:
            self._check_same(run.key, before, after)

    def test_can_be_read_by_several_threads(self, source: Source, source_runs: Sequence[SampleRun]) -> None:
        if self.capabilities.max_workers == 1:
            pytest.skip("declares that it is read by one thread")
        runs = self._all(source, source_runs)
        alone = self._read(source, runs)
        with ThreadPoolExecutor(4) as pool:
            for run, read in zip(runs, pool.map(lambda r: self._read(source, [r]), runs), strict=True):
                self._check_same(run.key, alone, read)

    @pytest.mark.parametrize("attribute_class", sorted(AttributeClass))
    def test_reads_only_the_class_asked_for(
        self, source: Source, source_runs: Sequence[SampleRun], attribute_class: AttributeClass
    ) -> None:
        if attribute_class not in self.capabilities.classes:
            pytest.skip(f"declares no {attribute_class}")
        wanted = AttributeSelection(classes=frozenset({attribute_class}))
        self._check_reading(source, source_runs, AttributeRequest(wanted))

    def test_reads_only_attributes_of_a_pattern(
        self, source: Source, source_runs: Sequence[SampleRun]
    ) -> None:
        for path in self._some_paths(source_runs):
            for pattern in (re.escape(path[: max(1, len(path) // 2)]), f"^{re.escape(path)}$"):
                self._check_reading(source, source_runs, AttributeRequest(AttributeSelection(pattern)))
        self._check_reading(source, source_runs, AttributeRequest(AttributeSelection("no-such-attribute")))

    def test_reads_only_named_attributes(self, source: Source, source_runs: Sequence[SampleRun]) -> None:
        """Names are exact: no pattern, no prefix, and one that a run lacks gives no row."""
        paths = self._some_paths(source_runs)
        for names in [*((path,) for path in paths), tuple(paths), ("no such attribute",)]:
            self._check_reading(source, source_runs, AttributeRequest(AttributeSelection(names=names)))

    def test_reads_nothing_that_is_covered(self, source: Source, source_runs: Sequence[SampleRun]) -> None:
        everything = AttributeSelection(metric_previews=self.capabilities.metric_previews)
        self._check_reading(source, source_runs, AttributeRequest(everything, (everything,)))

    def test_reads_what_is_not_covered_yet(self, source: Source, source_runs: Sequence[SampleRun]) -> None:
        parameters = AttributeSelection(classes=frozenset({AttributeClass.PARAMETERS}))
        metrics = replace(parameters, classes=frozenset({AttributeClass.METRICS}), pattern="a")
        request = AttributeRequest(AttributeSelection(), (parameters, metrics))
        self._check_reading(source, source_runs, request)

    def test_reads_again_what_had_failed(self, source: Source, source_runs: Sequence[SampleRun]) -> None:
        everything = AttributeSelection()
        retry = frozenset(self._some_paths(source_runs))
        self._check_reading(source, source_runs, AttributeRequest(everything, (everything,), retry))

    def test_delivers_previews_if_asked(self, source: Source, source_runs: Sequence[SampleRun]) -> None:
        if not self.capabilities.metric_previews:
            pytest.skip("declares no metric previews")
        self._check_reading(source, source_runs, AttributeRequest(AttributeSelection(metric_previews=True)))
        before = (AttributeSelection(),)
        both = AttributeRequest(AttributeSelection(metric_previews=True), before)
        self._check_reading(source, source_runs, both)

    def test_names_the_attribute_that_failed(self, source: Source, source_runs: Sequence[SampleRun]) -> None:
        """It costs that attribute only, and is reported as a value."""
        run, path = self._first_attribute(source_runs)
        if not self.break_attribute(run.key, path):
            pytest.skip("the author gives no break_attribute")
        read = self._read(source, self._all(source, source_runs))
        failures = [f for f in read.failures if (f.run, f.attribute_path) == (run.key, path)]
        assert failures, f"no failure names {run.key} {path!r}: {read.failures}"
        for failure in failures:
            assert failure.message.strip(), "the failure has no message"
            assert "\n" not in failure.message, "the message has more than one line"
        self._check_rest(run, read, {path})
        for sample in source_runs:
            if sample is not run:
                self._check_rest(sample, read, set())

    def test_prints_nothing(
        self, source: Source, source_runs: Sequence[SampleRun], capfd: pytest.CaptureFixture[str]
    ) -> None:
        for group in source.groups(RunRequest(r, AttributeRequest()) for r in self._all(source, source_runs)):
            for _ in source.read(group, MemoryFiles()):
                pass
        assert capfd.readouterr().out == ""

    def test_closes_twice(self, source: Source, source_runs: Sequence[SampleRun]) -> None:
        self._all(source, source_runs)
        source.close()
        source.close()

    # Helpers.

    def _everything(self) -> RunSelection:
        kinds = frozenset(RunKind) if self.capabilities.models else frozenset({RunKind.RUN})
        return RunSelection(include_archived=self.capabilities.archived_runs, kinds=kinds)

    def _check_listing(
        self, source: Source, source_runs: Sequence[SampleRun], selection: RunSelection
    ) -> None:
        for project_id in sorted({run.key.project_id for run in source_runs}):
            expected = {
                str(run.key)
                for run in source_runs
                if run.key.project_id == project_id
                and selection.takes(run.key, run.modified_at, is_archived=run.archived)
            }
            found = {str(run.key) for run in listed(source, project_id, selection)}
            assert not expected - found, f"not listed for {selection}: {sorted(expected - found)}"
            assert not found - expected, f"listed in spite of {selection}: {sorted(found - expected)}"

    def _check_rest(self, sample: SampleRun, read: ReadRuns, lost: set[str]) -> None:
        whole = self._expected(sample, AttributeRequest())
        wanted = Counter({fact: n for fact, n in whole.items() if fact.path not in lost})
        found = Counter({fact: n for fact, n in read.facts[sample.key].items() if fact in wanted})
        gap = difference(wanted, found)
        assert not gap, f"{sample.key} lost more than the attribute that failed:\n{gap}"

    def _all(self, source: Source, source_runs: Sequence[SampleRun]) -> list[SourceRun]:
        projects = sorted({run.key.project_id for run in source_runs})
        return [run for project in projects for run in listed(source, project, self._everything())]

    def _read(
        self,
        source: Source,
        runs: Sequence[SourceRun],
        request: AttributeRequest | None = None,
        memory: Mapping[RunKey, str] | None = None,
    ) -> ReadRuns:
        """Project by project, as core does."""
        result = ReadRuns()
        for project_id in sorted({run.key.project_id for run in runs}):
            read = read_runs(
                source,
                [run for run in runs if run.key.project_id == project_id],
                request,
                content=self.file_content,
                ignored=self.ignored_attributes,
                memory=memory,
            )
            result.memory |= read.memory
            result.facts |= read.facts
            result.failures += read.failures
            result.done |= read.done
        return result

    def _expected(self, sample: SampleRun, request: AttributeRequest) -> Facts:
        possible = sample.asked_for(request)
        classes = self.capabilities.classes
        if classes != ALL_CLASSES:
            possible = possible.adapted(lambda a: a if a.type.attribute_class in classes else None)
        facts = facts_of_run(possible, self.file_content)
        return Counter({fact: n for fact, n in facts.items() if fact.path not in self.ignored_attributes})

    def _check_reading(
        self, source: Source, source_runs: Sequence[SampleRun], request: AttributeRequest | None = None
    ) -> None:
        read = self._read(source, self._all(source, source_runs), request)
        for sample in source_runs:
            self._check(sample, read, request)

    def _check(self, sample: SampleRun, read: ReadRuns, request: AttributeRequest | None = None) -> None:
        assert not read.failures, f"failures of a source that has no reason to fail: {read.failures[:3]}"
        request = request or AttributeRequest()
        gap = difference(self._expected(sample, request), read.facts[sample.key])
        assert not gap, f"{sample.key}, asked for {request}:\n{gap}"

    def _check_same(self, key: RunKey, first: ReadRuns, second: ReadRuns) -> None:
        gap = difference(first.facts[key], second.facts[key])
        assert not gap, f"{key} reads differently the second time:\n{gap}"

    def _some_paths(self, source_runs: Sequence[SampleRun]) -> list[str]:
        """One attribute of each type, and one that is a prefix of another if there is one."""
        by_type = {a.type: a.path for run in source_runs for a in run.attributes if a.entries}
        paths = {a.path for run in source_runs for a in run.attributes}
        prefixes = sorted(p for p in paths if any(other.startswith(f"{p}/") for other in paths))
        return sorted({*by_type.values(), *prefixes[:1]} - self.ignored_attributes)

    def _first_attribute(self, source_runs: Sequence[SampleRun]) -> tuple[SampleRun, str]:
        """What `break_attribute` is asked to break: a metric if there is one."""
        candidates = [(run, a) for run in source_runs for a in run.attributes if a.entries]
        candidates.sort(key=lambda c: c[1].type is not AttributeType.FLOAT_SERIES)
        run, attribute = candidates[0]
        return run, attribute.path
