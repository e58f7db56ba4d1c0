"""Sinks that are wrong on purpose, each in one way that once cost someone data.

Not collected by itself: `test_kit_catches.py` runs one class at a time and looks at what fails.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from typing import BinaryIO

import pytest

from neptune_exporter.contract import (
    ExportedRun,
    LoadedRun,
    LoadOptions,
    Loss,
    MissingFileError,
    Point,
    Row,
    Sink,
    TextLine,
    UnsafePathError,
)
from neptune_exporter.model import RunKey
from neptune_exporter.testing import LoadedSample, MemoryRun, MemorySink, MemoryTarget, ReadBack, SinkFactory
from neptune_exporter.testing.sinks import SinkConformance

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class _AlteringSink(MemorySink):
    """Alters what it took; subclasses say how."""

    def alter(self, rows: list[Row]) -> list[Row]:
        return rows

    def load(self, run: ExportedRun, parent: LoadedRun | None) -> LoadedRun:
        loaded = super().load(run, parent)
        if not loaded.already_loaded:
            stored = self.target.runs[run.key]
            stored.rows = self.alter(stored.rows)
        return loaded


class WrongSinkChecks(SinkConformance):
    capabilities = MemorySink.CAPABILITIES
    generated_runs = 0  # what they hold differs from one hypothesis to the next
    target_in_memory = True
    broken_lines = None
    crossed_lines = None
    make: Callable[[LoadOptions, MemoryTarget], Sink]

    @pytest.fixture
    def target(self) -> MemoryTarget:
        return MemoryTarget()

    @pytest.fixture
    def sink_factory(self, target: MemoryTarget) -> SinkFactory:
        return lambda options: type(self).make(options, target)

    @pytest.fixture
    def read_back(self, target: MemoryTarget) -> ReadBack:
        return MemorySink(target=target).read_back


class DroppingSink(_AlteringSink):
    def alter(self, rows: list[Row]) -> list[Row]:
        """Without the last line of one log."""
        lines = [row for row in rows if isinstance(row, TextLine) and row.path == "logs/stdout"]
        return [row for row in rows if row not in lines[-1:]]


class TestDropsARow(WrongSinkChecks):
    make = DroppingSink


class MergingSink(_AlteringSink):
    def alter(self, rows: list[Row]) -> list[Row]:
        """With names of metrics made safe, so that two become one."""
        safe = re.compile(r"[^A-Za-z0-9/_-]")
        return [replace(row, path=safe.sub("_", row.path)) if isinstance(row, Point) else row for row in rows]


class TestMergesNames(WrongSinkChecks):
    make = MergingSink


class NanLosingSink(_AlteringSink):
    def alter(self, rows: list[Row]) -> list[Row]:
        return [row for row in rows if not _is_nan(row)]


class TestLosesNan(WrongSinkChecks):
    make = NanLosingSink


class TestLosesNanAsDeclaredButInSilence(WrongSinkChecks):
    capabilities = replace(MemorySink.CAPABILITIES, nan=False, verifies=False)
    make = NanLosingSink


class HonestSink(NanLosingSink):
    def load(self, run: ExportedRun, parent: LoadedRun | None) -> LoadedRun:
        nans = [row.path for row in run.rows() if _is_nan(row)]
        loss = "the target has no NaN; the export keeps it"
        losses = [Loss(run.key, "nan", loss, nans.count(path), path) for path in sorted(set(nans))]
        return replace(super().load(run, parent), losses=losses)


class TestLosesNanAsDeclaredAndSaysSo(WrongSinkChecks):
    """Not wrong at all."""

    capabilities = replace(MemorySink.CAPABILITIES, nan=False, verifies=False)
    make = HonestSink


class TestSaysLostWhatItMayNotLose(WrongSinkChecks):
    capabilities = replace(MemorySink.CAPABILITIES, verifies=False)
    make = HonestSink


class StepRoundingSink(_AlteringSink):
    def alter(self, rows: list[Row]) -> list[Row]:
        """0.29 times 100 is 28.999999999999996, and int() makes 28 of it."""
        return [
            replace(row, step=int(float(row.step) * 100) / 100)
            if isinstance(row, Point) and row.step is not None and row.step != int(row.step)
            else row
            for row in rows
        ]


class TestRoundsSteps(WrongSinkChecks):
    make = StepRoundingSink


class AppendingSink(MemorySink):
    """Has no memory of what is there: sends everything again, beside the old."""

    def load(self, run: ExportedRun, parent: LoadedRun | None) -> LoadedRun:
        before = self.target.runs.pop(run.key, None)
        loaded = super().load(run, parent)
        if before is not None:
            self.target.runs[run.key].rows += before.rows
            self.target.runs[run.key].files |= before.files
        return loaded


class TestSendsTwice(WrongSinkChecks):
    capabilities = replace(MemorySink.CAPABILITIES, verifies=False)
    make = AppendingSink


class ForgetfulSink(MemorySink):
    """Knows what it loaded by the run id alone."""

    def load(self, run: ExportedRun, parent: LoadedRun | None) -> LoadedRun:
        same = [key for key in self.target.runs if key.run_id == run.key.run_id]
        if same:
            return LoadedRun(str(same[0]), already_loaded=True)
        return super().load(run, parent)


class TestTakesOneRunForAnother(WrongSinkChecks):
    capabilities = replace(MemorySink.CAPABILITIES, verifies=False)
    make = ForgetfulSink

    @pytest.fixture
    def read_back(self, target: MemoryTarget) -> ReadBack:
        def read(key: RunKey, loaded: LoadedRun) -> LoadedSample:
            (held,) = [k for k in target.runs if str(k) == loaded.target_id]
            return MemorySink(target=target).read_back(held)

        return read


class OrphaningSink(MemorySink):
    def load(self, run: ExportedRun, parent: LoadedRun | None) -> LoadedRun:
        return super().load(run, None)


class TestForgetsParents(WrongSinkChecks):
    make = OrphaningSink


class TimelessSink(_AlteringSink):
    def alter(self, rows: list[Row]) -> list[Row]:
        return [replace(row, timestamp=None) if isinstance(row, Point) else row for row in rows]


class TestForgetsTimes(WrongSinkChecks):
    capabilities = replace(MemorySink.CAPABILITIES, verifies=False)
    make = TimelessSink


class ClampingSink(_AlteringSink):
    def alter(self, rows: list[Row]) -> list[Row]:
        return [replace(row, timestamp=_EPOCH) if _is_early(row) else row for row in rows]


class TestSetsEarlyTimesInSilence(WrongSinkChecks):
    capabilities = replace(MemorySink.CAPABILITIES, earliest_time=0, verifies=False)
    make = ClampingSink


class GullibleSink(MemorySink):
    """Takes a file that cannot be opened for an empty one."""

    def load(self, run: ExportedRun, parent: LoadedRun | None) -> LoadedRun:
        assert isinstance(run, MemoryRun)
        return super().load(_GullibleRun(run), parent)


class _GullibleRun(MemoryRun):
    def __init__(self, run: MemoryRun) -> None:
        vars(self).update(vars(run))

    def open_file(self, file: str) -> BinaryIO:
        try:
            return super().open_file(file)
        except (MissingFileError, UnsafePathError):
            return io.BytesIO()


class TestTakesMissingFilesForEmpty(WrongSinkChecks):
    make = GullibleSink


def _is_early(row: Row) -> bool:
    return isinstance(row, Point) and row.timestamp is not None and row.timestamp < _EPOCH


def _is_nan(row: Row) -> bool:
    return isinstance(row, Point) and math.isnan(row.value)
