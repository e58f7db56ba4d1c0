"""What an export has to do for a run, judged by the receipt of what was done before."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from neptune_exporter.contract import (
    AttributeFailure,
    AttributeRequest,
    AttributeSelection,
    RunRequest,
    SourceRun,
)
from neptune_exporter.dataset import Dataset, Receipt
from neptune_exporter.model import RunKey


class Action(str, Enum):
    """What is to be done for a run."""

    NEW = "new"
    CHANGED = "changed"
    ADD = "add"
    RETRY = "retry"
    UP_TO_DATE = "up-to-date"
    REFUSE = "refuse"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class PlannedRun:
    """A run and what an export would do for it."""

    key: RunKey
    action: Action
    reason: str


@dataclass(frozen=True)
class RunPlan:
    """A planned run with what carrying it out takes."""

    planned: PlannedRun
    request: RunRequest
    selections: tuple[AttributeSelection, ...] = ()
    """What the receipt will say is covered once the request was read."""
    keep_others: bool = False
    """Rows of attributes that are not delivered now stay as they are."""
    retried: frozenset[str] = frozenset()
    """Paths that had failed and are asked for again."""
    missing: tuple[AttributeFailure, ...] = ()
    """What is wanted, failed for good and is not asked for again."""
    refusal: AttributeFailure | None = None
    """Why nothing is read of the run."""


def plan_run(dataset: Dataset, run: SourceRun, wanted: AttributeSelection, *, force: bool) -> RunPlan:
    """Decide what to read of a run.

    A run is up to date if its receipt names the same modification time, everything
    wanted was asked for then, and nothing failed that may succeed now. What an
    earlier export left out is added; what failed is asked for again; a run that
    changed is read anew. Rows that this export does not ask for are never thrown away.
    Another run does not take the place of the one that is there, unless by force: that
    one may be gone from the source.
    """
    receipt = dataset.receipt(run.key)
    if receipt is None:
        return _without_receipt(dataset, run, wanted)
    if receipt.is_of_another(run) and not force:
        return _refused(receipt, run, wanted)
    asked = [f for f in receipt.failures if _asked_for(f, wanted, receipt.selections)]
    failed = frozenset(f.attribute_path for f in asked)
    if force or not _is_same_state(receipt, run):
        keep = not _covers_all(wanted, receipt.selections)
        reason = "asked for anew" if force else _change(receipt, run)
        return _plan(run, wanted, Action.CHANGED, reason, keep, failed)
    if any(not f.attribute_path and not f.permanent for f in receipt.failures):
        return _plan(run, wanted, Action.RETRY, "it failed as a whole", True, failed)
    retry = frozenset(f.attribute_path for f in asked if not f.permanent)
    missing = tuple(
        f
        for f in receipt.failures
        if f.permanent and f.attribute_path not in retry and (f in asked or not f.attribute_path)
    )
    request = AttributeRequest(wanted, receipt.selections, retry)
    if not retry and (wanted in receipt.selections or not request.classes):
        planned = PlannedRun(run.key, Action.UP_TO_DATE, "unchanged since its export")
        return RunPlan(planned, RunRequest(run, request), missing=missing)
    if (stored := dataset.run(run.key)) is not None and stored.changed_parts():
        # Adding to it sets damaged parts aside: what was in them must not count as covered.
        return _plan(run, wanted, Action.CHANGED, "damaged on disk", True, failed)
    selections = (*receipt.selections, *(() if wanted in receipt.selections else (wanted,)))
    action, reason = (
        (Action.RETRY, f"{len(retry)} attributes failed before")
        if retry
        else (Action.ADD, "an earlier export left attributes out")
    )
    planned = PlannedRun(run.key, action, reason)
    return RunPlan(planned, RunRequest(run, request), selections, True, retry, missing)


def _without_receipt(dataset: Dataset, run: SourceRun, wanted: AttributeSelection) -> RunPlan:
    """New, or exported by another tool: what that one has and this one does not ask for is kept."""
    if not dataset.holds(run.key):
        return _plan(run, wanted, Action.NEW, "not in the dataset")
    return _plan(run, wanted, Action.CHANGED, "exported by another tool, without a receipt", keep_others=True)


def _refused(receipt: Receipt, run: SourceRun, wanted: AttributeSelection) -> RunPlan:
    reason = f"the dataset holds another run with this id, {receipt.identity}: not {run.identity}"
    message = f"{reason}, which was not exported; give it folders of its own, or replace the other by --force"
    planned = PlannedRun(run.key, Action.REFUSE, reason)
    failure = AttributeFailure(run.key, "", None, message)
    return RunPlan(planned, RunRequest(run, AttributeRequest(wanted)), refusal=failure)


def _plan(
    run: SourceRun,
    wanted: AttributeSelection,
    action: Action,
    reason: str,
    keep_others: bool = False,
    retried: frozenset[str] = frozenset(),
) -> RunPlan:
    """Read everything wanted, as if nothing had been read before."""
    request = RunRequest(run, AttributeRequest(wanted))
    return RunPlan(PlannedRun(run.key, action, reason), request, (wanted,), keep_others, retried)


def _asked_for(
    failure: AttributeFailure, wanted: AttributeSelection, earlier: tuple[AttributeSelection, ...]
) -> bool:
    """Whether reading what is wanted would meet what failed: only then does it end the failure.

    What is not known to be of a class may be of any that was asked for before.
    """
    path = failure.attribute_path
    if failure.attribute_type is not None:
        return wanted.includes(path, failure.attribute_type)
    if not path:
        return _covers_all(wanted, earlier)
    return wanted.includes_path(path) and all(e.classes <= wanted.classes for e in earlier)


def _is_same_state(receipt: Receipt, run: SourceRun) -> bool:
    return run.modified_at is not None and receipt.modified_at == run.modified_at


def _change(receipt: Receipt, run: SourceRun) -> str:
    if run.modified_at is None or receipt.modified_at is None:
        return "the source cannot tell whether it changed"
    return f"changed at {run.modified_at.isoformat(timespec='seconds')}"


def _covers_all(wanted: AttributeSelection, earlier: tuple[AttributeSelection, ...]) -> bool:
    """Whether everything that earlier selections took is asked for again."""
    if wanted.pattern is None and not wanted.names:
        return all(e.classes <= wanted.classes for e in earlier)
    return all(e == wanted for e in earlier)
