"""The units of work of a load and of a comparison: one run, and the sink of the job."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from neptune_exporter.contract import Comparison, DatasetError, LoadedRun, Loss
from neptune_exporter.dataset import StoredRun, advice
from neptune_exporter.jobs.executors import Worker
from neptune_exporter.jobs.opening import OpenSink
from neptune_exporter.jobs.run_unit import RunUnit
from neptune_exporter.jobs.selected_run import left_out, selected
from neptune_exporter.model import ALL_CLASSES, AttributeClass
from neptune_exporter.sinks.files import RESTORABLE
from neptune_exporter.toolkit import failpoint
from neptune_exporter.toolkit.free_memory import give_back_memory

_numbers = itertools.count()


@dataclass(frozen=True)
class _Unit(RunUnit):
    """A run, and the sink of the job."""

    sink: OpenSink
    classes: frozenset[AttributeClass] = ALL_CLASSES


@dataclass(frozen=True)
class LoadUnit(_Unit):
    """A run to load."""

    parent: LoadedRun | None = None
    found: object = None
    """What the sink's `prepare` returned for the run."""


@dataclass(frozen=True)
class CompareUnit(_Unit):
    """A run to compare with what the target holds of it."""

    full: bool = False
    """Every value, and not only counts; then the parts are read as a whole first."""
    after_load: bool = False
    """It ends a load: the sink notes a run in which nothing differs."""
    found: object = None
    """What the sink's `load` returned as `sent`."""


@dataclass(frozen=True)
class Report:
    """The closing report of a worker's sink, if the sink closed now."""

    process: str
    number: int
    """A later report of the process has a higher one."""
    lines: Mapping[str, str | int]


@dataclass(frozen=True)
class Loaded:
    """The result of a `LoadUnit`."""

    run: LoadedRun
    rows: int
    """How many rows the run has in the dataset."""
    report: Report | None = None
    """Set if the worker has a sink of its own."""


def load_run(unit: LoadUnit, worker: Worker) -> Loaded:
    """Check the parts of a run and load it. The losses include rows that no loader gets.

    Raises DatasetError if a part is damaged or changed since it was written, or the run was exported again
    since the job began. What was sent may then be of two states; the next load replaces it.
    """
    run = unit.stored()
    sink = worker.kept(unit.sink)
    check_parts(run)
    if run.receipt is None:
        for part in run.parts:  # some of its rows are counted first
            part.keep_if_small()
    rows = run.row_count()
    losses = [*unreadable(run), *left_out(run, unit.classes)]
    view = selected(run, unit.classes)
    view.found = unit.found
    loaded = sink.load(view, unit.parent)
    run.check_unchanged()
    failpoint("load.run-loaded")
    advised = [_with_advice(run, loss) for loss in loaded.losses]
    report = None
    if worker.is_shared:
        let_go(run)
        process = f"{socket.gethostname()}:{os.getpid()}"
        report = Report(process, next(_numbers), dict(sink.closing_report()))
    return Loaded(replace(loaded, losses=(*losses, *advised)), rows, report)


def _with_advice(run: StoredRun, loss: Loss) -> Loss:
    """Add how to get a lost file back: a loader does not know where the run came from."""
    if loss.reason not in RESTORABLE:
        return loss
    return replace(loss, message=f"{loss.message}: {advice(run, force=True)}")


def compare_run(unit: CompareUnit, worker: Worker) -> list[Comparison]:
    """Compare a run with what the target holds of it."""
    run = unit.stored()
    if unit.full:
        check_parts(run)
    sink, view = worker.kept(unit.sink), selected(run, unit.classes)
    view.found = unit.found
    found = list(sink.verify(view, full=unit.full))
    run.check_unchanged()
    if unit.after_load and not any(comparison.verdict.is_mismatch for comparison in found):
        sink.confirm(view)
    if worker.is_shared:
        let_go(run)
    return found


def let_go(run: StoredRun) -> None:
    """Free the run's memory: a load must not need more for more runs."""
    run.forget()
    give_back_memory()


def unreadable(run: StoredRun) -> list[Loss]:
    """Losses for what no loader gets of a run that another tool exported."""
    if run.receipt is not None:
        return []
    losses = [
        Loss(run.key, "unknown-type", f"rows of the unknown type {kind}; they stay in the dataset", count)
        for kind, count in run.left_out.unknown().items()
    ]
    if count := run.left_out.odd_times:
        message = "times outside of the years 1 to 9999: left out, or the nearest one where they are a value"
        losses.append(Loss(run.key, "odd-time", message, count))
    return losses


def check_complete(run: StoredRun) -> None:
    """Raise a DatasetError if the run is not complete."""
    if not run.complete:
        raise DatasetError(_why_incomplete(run))


def check_parts(run: StoredRun) -> None:
    """Read every part once, before its rows count as what the export wrote. Raises DatasetError if one
    changed since it was written."""
    if changed := run.changed_parts():
        raise DatasetError(_damaged(run, changed))


def _why_incomplete(run: StoredRun) -> str:
    if run.listed.is_pending:
        return "its export was interrupted while publishing: the next export or `verify --record` finishes it"
    if run.cut_short:
        return f"it may not be whole: {'; '.join(run.what_is_cut_short())}: {advice(run)}"
    problems = [*run.problems, *run.missing_parts()]
    return _damaged(run, problems or ["it has no parts"])


def _damaged(run: StoredRun, problems: Sequence[str]) -> str:
    return f"it is damaged: {'; '.join(problems)}: {advice(run, force=True)}; see `neptune-exporter verify`"
