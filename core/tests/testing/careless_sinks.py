"""Sinks that do things in a wrong order, look at too little or promise too much.

Not collected by itself: `test_kit_catches.py` runs one class at a time and looks at what fails.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from wrong_sinks import WrongSinkChecks

from neptune_exporter.contract import (
    Comparison,
    ExportedRun,
    FileEntry,
    LoadedRun,
    LoadOptions,
    Parameter,
    Point,
    Row,
    Verdict,
)
from neptune_exporter.model import RunKey
from neptune_exporter.testing import LoadedSample, MemorySink, ReadBack, SinkFactory
from neptune_exporter.testing.memory_sink import StoredRun
from neptune_exporter.testing.sinks import SinkConformance


class HastySink(MemorySink):
    """Marks a run as complete before its files are there."""

    def load(self, run: ExportedRun, parent: LoadedRun | None) -> LoadedRun:
        known = self.target.runs.get(run.key)
        if known is not None and known.fingerprint == run.fingerprint:
            return LoadedRun(str(run.key), already_loaded=True)
        rows = list(run.rows())
        name = self.options.name_prefix + _name(run)
        parent_id = parent.target_id if parent else None
        stored = StoredRun(run.fingerprint, name, rows, {}, parent_id, run.fork_step())
        self.target.runs[run.key] = stored
        for row in rows:
            if isinstance(row, FileEntry):
                with run.open_file(row.file) as stream:
                    stored.files[row.file] = stream.read()
        return LoadedRun(str(run.key))


class TestCompletesBeforeItsFiles(WrongSinkChecks):
    make = HastySink


class MetricsOnlySink(MemorySink):
    """Compares metrics, and says one `=` for the rest."""

    def verify(self, run: ExportedRun, *, full: bool = False) -> Iterator[Comparison]:
        metrics = {row.path for row in run.rows() if isinstance(row, Point)}
        for comparison in super().verify(run, full=full):
            if comparison.item in metrics:
                yield comparison
        yield Comparison(run.key, "everything else", Verdict.EQUAL)


class TestVerifiesMetricsOnly(WrongSinkChecks):
    make = MetricsOnlySink


class NewIdSink(MemorySink):
    """Loads a run that has changed into a new one, and leaves its forks where they were."""

    def load(self, run: ExportedRun, parent: LoadedRun | None) -> LoadedRun:
        loaded = super().load(run, parent)
        return replace(loaded, target_id=f"{run.key} {self.target.runs[run.key].fingerprint[:8]}")


class TestLeavesForksBehind(WrongSinkChecks):
    make = NewIdSink


class EndingSink(MemorySink):
    """Says that a run is complete, and then that it has ended."""

    def load(self, run: ExportedRun, parent: LoadedRun | None) -> LoadedRun:
        loaded = super().load(run, parent)
        if not loaded.already_loaded:
            self.target.ended.add(run.key)  # type: ignore[attr-defined]
        return loaded


class TestLeavesRunsRunning(WrongSinkChecks):
    make = EndingSink

    @pytest.fixture
    def target(self) -> object:
        from neptune_exporter.testing import MemoryTarget

        target = MemoryTarget()
        target.ended = set()  # type: ignore[attr-defined]
        return target

    @pytest.fixture
    def read_back(self, target: object) -> ReadBack:
        def read(key: RunKey, loaded: LoadedRun) -> LoadedSample:
            sample = MemorySink(target=target).read_back(key)  # type: ignore[arg-type]
            return replace(sample, running=key not in target.ended)  # type: ignore[attr-defined]

        return read


class BoastingSink(MemorySink):
    """Counts what nobody can check."""

    def load(self, run: ExportedRun, parent: LoadedRun | None) -> LoadedRun:
        loaded = super().load(run, parent)
        return replace(loaded, counts={"metric points": 10**9})


class TestInventsCounts(WrongSinkChecks):
    make = BoastingSink


class DoublingSink(MemorySink):
    """Looks whether a run is there, and adds it: between the two another load can add it as well."""

    def load(self, run: ExportedRun, parent: LoadedRun | None) -> LoadedRun:
        known = self.target.runs.get(run.key)
        if known is not None and known.fingerprint == run.fingerprint:
            return LoadedRun(str(run.key), already_loaded=True)
        rows: list[Row] = list(run.rows())
        loaded = super().load(run, parent)
        now = self.target.runs[run.key]
        if loaded.already_loaded:
            now.rows = now.rows + rows
        return replace(loaded, already_loaded=False)


class TestLoadsTwiceAtOnce(WrongSinkChecks):
    make = DoublingSink


class HoardingSink(MemorySink):
    """Writes into a file what it has gathered as a whole."""

    def __init__(self, options: LoadOptions, folder: Path) -> None:
        super().__init__(options)
        self._path = folder / "runs.sqlite"

    def load(self, run: ExportedRun, parent: LoadedRun | None) -> LoadedRun:
        rows = [json.dumps([row.path, str(row)]) for row in run.rows() if not isinstance(row, Parameter)]
        with closing(sqlite3.connect(self._path)) as db, db:
            db.execute("create table if not exists row (run, line)")
            db.executemany("insert into row values (?, ?)", ((str(run.key), row) for row in rows))
        return LoadedRun(str(run.key), counts=Counter())


class TestHoardsRows(SinkConformance):
    capabilities = replace(MemorySink.CAPABILITIES, resumable=False, verifies=False)

    @pytest.fixture
    def sink_factory(self, tmp_path: Path) -> SinkFactory:
        return lambda options: HoardingSink(options, tmp_path)


def _name(run: ExportedRun) -> str:
    name = run.parameters().get("sys/name")
    return str(name.value) if name is not None else run.key.run_id
