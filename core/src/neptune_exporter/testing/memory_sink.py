"""A sink in memory, taken as perfect: what it cannot hold does not exist."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from neptune_exporter.contract.rows import FileEntry, Histogram, Parameter, Row, parameters_by_path
from neptune_exporter.contract.run import ExportedRun
from neptune_exporter.contract.sink import Comparison, LoadedRun, LoadOptions, Sink, Verdict
from neptune_exporter.contract.specs import SinkCapabilities, SinkSpec
from neptune_exporter.errors import NeptuneExporterError, SinkError
from neptune_exporter.model import RunKey, SysAttribute
from neptune_exporter.testing.facts import Facts, comparable_content, facts_of_rows
from neptune_exporter.testing.loaded import LoadedEntry, LoadedSample
from neptune_exporter.testing.runs import SampleHistogram


@dataclass
class StoredRun:
    """A run in the memory target: its typed rows as they came, and the bytes of its files."""

    fingerprint: str
    name: str
    rows: list[Row]
    files: dict[str, bytes]
    parent: str | None
    fork_step: object

    def facts(self) -> Facts:
        return facts_of_rows(self.rows, lambda row: comparable_content(row.type, self.files[row.file]))


@dataclass
class MemoryTarget:
    """Outlives its sinks, as a real target does."""

    runs: dict[RunKey, StoredRun] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


class MemorySink(Sink):
    """Keeps every row. Loading a run again replaces it if it changed since.

    `loads` lists what was really taken, in order; `fail_run` lets the load of a run fail.
    """

    CAPABILITIES = SinkCapabilities(verifies=True)

    def __init__(self, options: LoadOptions | None = None, target: MemoryTarget | None = None) -> None:
        self.options = options or LoadOptions()
        self.target = target or MemoryTarget()
        self.prepared: list[tuple[str, tuple[RunKey, ...]]] = []
        self.loads: list[RunKey] = []
        self.closed = False
        self._errors: dict[RunKey, tuple[NeptuneExporterError, int]] = {}

    def fail_run(self, key: RunKey, error: NeptuneExporterError | None = None, *, times: int = 1) -> None:
        """Let the next loads of a run fail."""
        self._errors[key] = (error or SinkError(f"{key}: the target answered HTTP 503"), times)

    def prepare(self, project_id: str, runs: Sequence[ExportedRun]) -> Mapping[RunKey, object]:
        self.prepared.append((project_id, tuple(run.key for run in runs)))
        return {}

    def load(self, run: ExportedRun, parent: LoadedRun | None) -> LoadedRun:
        error, left = self._errors.get(run.key, (None, 0))
        if error is not None and left > 0:
            self._errors[run.key] = (error, left - 1)
            raise error
        with self.target.lock:
            known = self.target.runs.get(run.key)
        if known is not None and known.fingerprint == run.fingerprint and self._holds(run):
            return LoadedRun(_target_id(run.key), already_loaded=True)
        rows = list(run.rows())
        files = {}
        for row in rows:
            if isinstance(row, FileEntry):
                with run.open_file(row.file) as stream:
                    files[row.file] = stream.read()
        stored = StoredRun(
            run.fingerprint,
            self.options.name_prefix + _name(run),
            rows,
            files,
            parent.target_id if parent else None,
            run.fork_step(),
        )
        with self.target.lock:
            self.target.runs[run.key] = stored
            self.loads.append(run.key)
        return LoadedRun(_target_id(run.key), counts=_counts(rows))

    def _holds(self, run: ExportedRun) -> bool:
        return not any(comparison.verdict.is_mismatch for comparison in self.verify(run))

    def verify(self, run: ExportedRun, *, full: bool = False) -> Iterator[Comparison]:
        stored = self.target.runs.get(run.key)
        if stored is None:
            raise SinkError(f"{run.key}: not in the target; load it first")

        def content(row: FileEntry) -> bytes:
            with run.open_file(row.file) as stream:
                return comparable_content(row.type, stream.read())

        expected, found = _by_path(facts_of_rows(run.rows(), content)), _by_path(stored.facts())
        for path in sorted(expected | found):
            verdict = Verdict.EQUAL
            if path not in found:
                verdict = Verdict.MISSING
            elif path not in expected:
                verdict = Verdict.EXTRA
            elif expected[path] != found[path]:
                same_count = expected[path].total() == found[path].total()
                verdict = Verdict.EQUAL if same_count and not full else Verdict.DIFFERENT
            yield Comparison(run.key, path, verdict)

    def read_back(self, key: RunKey, loaded: LoadedRun | None = None) -> LoadedSample:
        """What the target holds of a run, for tests."""
        stored = self.target.runs[key]
        series: dict[str, dict[str, list[LoadedEntry]]] = defaultdict(lambda: defaultdict(list))
        parameters = {path: row.value for path, row in parameters_by_path(stored.rows).items()}
        for row in stored.rows:
            if isinstance(row, Parameter):
                continue
            if isinstance(row, FileEntry):
                section, value = "files", stored.files[row.file]
            elif isinstance(row, Histogram):
                section, value = "histograms", SampleHistogram(row.edges, row.values, row.kind)  # type: ignore[assignment]
            else:
                section = "texts" if isinstance(row.value, str) else "points"
                value = row.value  # type: ignore[assignment]
            series[section][row.path].append(LoadedEntry(value, row.step, row.timestamp))
        tags, created = parameters.get(SysAttribute.TAGS), parameters.get(SysAttribute.CREATION_TIME)
        return LoadedSample(
            parameters,
            **series,  # type: ignore[arg-type]
            name=stored.name,
            tags=frozenset(tags) if isinstance(tags, list) else frozenset(),
            parent=stored.parent,
            fork_step=stored.fork_step,  # type: ignore[arg-type]
            created_at=created,  # type: ignore[arg-type]
            failed=parameters.get(SysAttribute.FAILED) is True,
        )

    def closing_report(self) -> Mapping[str, str | int]:
        return {"runs": len(self.loads)}

    def close(self) -> None:
        self.closed = True


def memory_sink_spec(target: MemoryTarget, name: str = "memory") -> SinkSpec:
    """A spec whose factory gives sinks of this target."""
    return SinkSpec(
        name,
        "keeps runs in memory",
        lambda _, options: MemorySink(options, target),
        capabilities=MemorySink.CAPABILITIES,
    )


def _target_id(key: RunKey) -> str:
    return str(key)


def _name(run: ExportedRun) -> str:
    name = run.parameters().get(SysAttribute.NAME)
    return str(name.value) if name is not None else run.key.run_id


def _counts(rows: Sequence[Row]) -> dict[str, int]:
    kinds = {Parameter: "parameters", FileEntry: "files", Histogram: "histograms"}
    counts = dict.fromkeys(("parameters", "points", "texts", "histograms", "files"), 0)
    for row in rows:
        kind = kinds.get(type(row))
        if kind is None:
            kind = "texts" if isinstance(getattr(row, "value"), str) else "points"  # noqa: B009
        counts[kind] += 1
    return counts


def _by_path(facts: Facts) -> dict[str, Facts]:
    paths: dict[str, Facts] = defaultdict(Counter)
    for fact, count in facts.items():
        paths[fact.path][fact] += count
    return paths
