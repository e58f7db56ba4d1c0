"""What the conformance tests of sinks have in common: what an author gives, how loads are made and judged."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TypeAlias

import pytest

from neptune_exporter.contract.run import ExportedRun
from neptune_exporter.contract.sink import LoadedRun, LoadOptions, Sink
from neptune_exporter.contract.specs import SinkCapabilities
from neptune_exporter.model import RunKey, RunKind
from neptune_exporter.testing.arrival import arrival_problems
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.loaded import LoadedSample
from neptune_exporter.testing.rules import Rules
from neptune_exporter.testing.runs import SampleRun

SinkFactory: TypeAlias = "Callable[[LoadOptions], Sink]"
ReadBack: TypeAlias = "Callable[[RunKey, LoadedRun], LoadedSample]"


def load_runs(sink: Sink, runs: Iterable[ExportedRun]) -> dict[RunKey, LoadedRun]:
    """Load runs as core does: prepare each project, then parents before children."""
    waiting = {run.key: run for run in runs}
    by_project = sorted(waiting.values(), key=lambda run: run.key.project_id)
    for project_id, of_project in groupby(by_project, lambda run: run.key.project_id):
        sink.prepare(project_id, list(of_project))
    loaded: dict[RunKey, LoadedRun] = {}
    while waiting:
        for key, run in list(waiting.items()):
            parent = run.parent()
            if parent not in waiting:
                loaded[key] = sink.load(run, loaded.get(parent) if parent else None)
                del waiting[key]
    return loaded


class SinkChecks:
    """What an author of a sink overrides, and the helpers of the tests."""

    capabilities: SinkCapabilities
    """As its spec declares."""
    allowed_losses: Collection[str] = ()
    """Reasons of losses that no capability covers. Each belongs into the plugin's documentation."""
    broken_lines: int | None = 12
    """At how many lines of the sink's own code loads are broken; None: at all. With the variable
    NEPTUNE_EXPORTER_KIT=all, as in the session `kit`, it is always all."""
    crossed_lines: int | None = 6
    """At how many lines of a load a second load of the same run comes in between."""
    target_in_memory: bool = False
    """The target is in the memory of the process of the tests, so that its growth cannot be measured."""
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

    def held_ids(self, key: RunKey) -> Collection[str] | None:
        """The ids of all runs that the target shows for a run of Neptune. Override to have it checked."""
        return None

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
