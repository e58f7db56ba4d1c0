"""What an export has to do for a run, judged by the receipt of what was done before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from neptune_exporter.contract import (
    AttributeFailure,
    AttributeRequest,
    AttributeSelection,
    RunRequest,
    SourceRun,
)
from neptune_exporter.dataset import NOTHING, Dataset, Earlier, Receipt
from neptune_exporter.model import AttributeType, RunKey

_ADVICE = "give it folders of its own (-d, -f), or replace what is there by --force"


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
    retried: frozenset[str] = frozenset()
    """Paths that had failed and that will be read now, or fail again."""
    missing: tuple[AttributeFailure, ...] = ()
    """What is wanted, failed for good and is not asked for again."""
    adds: bool = False
    """Nothing of what is there goes, but for attributes of which rows come in."""
    replaces: bool = False
    """Nothing of what is there stays."""
    refusal: AttributeFailure | None = None
    """Why nothing is read of the run."""

    @property
    def asked(self) -> AttributeRequest:
        """For `RunWriter.prepare`."""
        return NOTHING if self.adds else self.request.attributes


def plan_run(
    dataset: Dataset, run: SourceRun, wanted: AttributeSelection, source: str, *, force: bool
) -> RunPlan:
    """Decide what to read of a run.

    A run is up to date if its receipt names the same modification time, everything
    wanted was asked for then, and nothing failed that may succeed now. What an
    earlier export left out is added; what failed is asked for again; a run that
    changed is read anew. Rows that this export does not ask for are never thrown away
    (`RunWriter.prepare`). Another run does not take the place of the one that is there,
    unless by force: that one may be gone from the source. Nor do what one source and what
    another has of a run, if either may be only a part of it; two parts that one source has
    are joined. Of rows of which no receipt told where they came from, none goes but by force.

    Args:
        source: Name and version of what does the reading.
    """
    earlier = dataset.earlier(run.key)
    if not earlier.exists:
        if place := dataset.elsewhere(run.key):
            where = f"the dataset holds it in {place.folder}, under a name to which nothing can be added"
            return _refused(run, wanted, where, "give it folders of its own (-d, -f)")
        return _plan(run, wanted, Action.NEW, "not in the dataset")
    if why := _in_the_way(earlier, run, source):
        if not force:
            return _refused(run, wanted, why)
        plan = _plan(run, wanted, Action.CHANGED, "takes the place of what is there, by force")
        return replace(plan, replaces=True)
    plan = (
        _anew(earlier.receipt, run, wanted, "asked for anew")
        if force
        else _against(dataset, earlier, run, wanted)
    )
    # Where two parts are joined, nobody knows whether what was lost was in this one.
    read_again = wanted.is_everything and (force or not run.partial)
    failures = earlier.receipt.failures if earlier.receipt and not read_again else ()
    missing = (*(f for f in failures if f.lost), *plan.missing)
    reads = plan.planned.action is not Action.UP_TO_DATE
    return replace(plan, missing=missing, adds=reads and not force and (run.partial or earlier.foreign))


def _against(dataset: Dataset, earlier: Earlier, run: SourceRun, wanted: AttributeSelection) -> RunPlan:
    """What is to be done for a run of which there is something, and nothing in the way."""
    receipt, trouble = earlier.receipt, earlier.trouble
    if receipt is None or trouble is not None:
        return _anew(receipt, run, wanted, trouble or "")
    same_state = receipt.is_of_state(run)
    if not same_state and not _has_all_of(receipt, run, wanted):
        return _anew(receipt, run, wanted, _change(receipt, run))
    failures = _unread(receipt)
    # Also if nothing is left to be read: what was lost has been read again since, in pieces.
    ends_loss = wanted.is_everything and len(failures) < len(receipt.failures)
    ended = _ended(receipt, run, wanted)
    if any(not f.attribute_path and not f.permanent for f in failures):
        return _anew(receipt, run, wanted, "it failed as a whole", Action.RETRY)
    asked = [f for f in failures if f.attribute_path in ended or _asks_for(wanted, f)]
    retry = frozenset(f.attribute_path for f in asked if not f.permanent)
    request = AttributeRequest(wanted, receipt.selections, retry)
    # What failed in an earlier state of the run and was not asked for since, for good or not.
    anew = {f.attribute_path for f in asked if f.attribute_type and request.includes(*_named(f))}
    missing = tuple(
        f
        for f in failures
        if f.permanent and f.attribute_path not in retry | anew and (f in asked or not f.attribute_path)
    )
    if not retry and (wanted in receipt.selections or not (request.classes or request.others or ends_loss)):
        reason = "unchanged since its export" if same_state else "an earlier export has all of it"
        planned = PlannedRun(run.key, Action.UP_TO_DATE, reason)
        return RunPlan(planned, RunRequest(run, request), missing=missing)
    if (stored := dataset.run(run.key)) is not None and stored.changed_parts():
        # Adding to it sets damaged parts aside: what was in them must not count as covered.
        return _anew(receipt, run, wanted, "damaged on disk")
    selections = (*receipt.selections, *(() if wanted in receipt.selections else (wanted,)))
    action, reason = (
        (Action.RETRY, f"{len(retry)} attributes failed before")
        if retry
        else (Action.ADD, "an earlier export left attributes out")
    )
    planned = PlannedRun(run.key, action, reason)
    return RunPlan(planned, RunRequest(run, request), selections, (retry & ended) | anew, missing)


def _in_the_way(earlier: Earlier, run: SourceRun, source: str) -> str | None:
    """What the dataset holds that this run must not take the place of."""
    if other := earlier.another(run):
        return f"the dataset holds another run with this id, {other}: not {run.identity}"
    if receipt := earlier.receipt:
        is_other = receipt.source.rpartition(" ")[0] != source.rpartition(" ")[0]
        in_parts = is_other and (run.partial or receipt.partial is not False)
    else:
        in_parts = run.partial
    if in_parts:
        return f"the dataset holds what {earlier.by} exported of it, and one of both may be a part only"
    return None


def _refused(run: SourceRun, wanted: AttributeSelection, reason: str, advice: str = _ADVICE) -> RunPlan:
    planned = PlannedRun(run.key, Action.REFUSE, reason)
    failure = AttributeFailure(run.key, "", None, f"not exported: {reason}; {advice}")
    return RunPlan(planned, RunRequest(run, AttributeRequest(wanted)), refusal=failure)


def _plan(run: SourceRun, wanted: AttributeSelection, action: Action, reason: str) -> RunPlan:
    """Read everything wanted, as if nothing had been read before."""
    request = RunRequest(run, AttributeRequest(wanted))
    return RunPlan(PlannedRun(run.key, action, reason), request, (wanted,))


def _anew(
    receipt: Receipt | None,
    run: SourceRun,
    wanted: AttributeSelection,
    reason: str,
    action: Action = Action.CHANGED,
) -> RunPlan:
    """Read everything wanted again, with what of it had failed."""
    plan = _plan(run, wanted, action, reason)
    return plan if receipt is None else replace(plan, retried=_ended(receipt, run, wanted))


def _unread(receipt: Receipt) -> tuple[AttributeFailure, ...]:
    """What could not be read from the source."""
    return tuple(f for f in receipt.failures if not f.lost)


def _ended(receipt: Receipt, run: SourceRun, wanted: AttributeSelection) -> frozenset[str]:
    """Paths of failures to which reading what is wanted puts an end, or meets them again."""
    if run.partial and not receipt.is_of_state(run) and not receipt.is_within(run):
        return frozenset()  # they may be of another part
    return frozenset(f.attribute_path for f in _unread(receipt) if _ends(f, wanted, receipt.selections))


def _has_all_of(receipt: Receipt, run: SourceRun, wanted: AttributeSelection) -> bool:
    """Whether a part of a run is a copy or an older state of what was exported, and nothing failed then."""
    return wanted in receipt.selections and not receipt.failures and receipt.has_read(run)


def _named(failure: AttributeFailure) -> tuple[str, AttributeType | None]:
    return failure.attribute_path, failure.attribute_type


def _asks_for(wanted: AttributeSelection, failure: AttributeFailure) -> bool:
    """Whether what failed may be wanted. Without a type it is of one that is not known, or any."""
    return bool(failure.attribute_path) and wanted.includes(*_named(failure))


def _ends(
    failure: AttributeFailure, wanted: AttributeSelection, earlier: tuple[AttributeSelection, ...]
) -> bool:
    """Whether reading what is wanted meets what failed for certain: only then does it end the failure.

    What is not known to be of a class may be of any that was asked for before.
    """
    path = failure.attribute_path
    if failure.attribute_type is not None:
        return wanted.includes(path, failure.attribute_type)
    if not path:
        return _covers_all(wanted, earlier)
    return wanted.includes_path(path) and _has_classes_of(wanted, earlier)


def _change(receipt: Receipt, run: SourceRun) -> str:
    if run.modified_at is None or receipt.modified_at is None:
        return "the source cannot tell whether it changed"
    if run.modified_at == receipt.modified_at:
        return "not read from there before"
    return f"changed at {run.modified_at.isoformat(timespec='seconds')}"


def _covers_all(wanted: AttributeSelection, earlier: tuple[AttributeSelection, ...]) -> bool:
    """Whether everything that earlier selections took is asked for again."""
    if wanted.is_of_all_paths:
        return _has_classes_of(wanted, earlier)
    return all(e == wanted for e in earlier)


def _has_classes_of(wanted: AttributeSelection, earlier: tuple[AttributeSelection, ...]) -> bool:
    return all(e.classes <= wanted.classes and e.others <= wanted.others for e in earlier)
