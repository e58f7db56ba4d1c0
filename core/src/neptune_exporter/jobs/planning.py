"""Decides what an export does for a run, by a table of states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from neptune_exporter.contract import (
    AttributeFailure,
    AttributeRequest,
    AttributeSelection,
    RunRequest,
    SourceRun,
)
from neptune_exporter.dataset import Dataset, RunState, Stays
from neptune_exporter.jobs.planning_case import Case, whole
from neptune_exporter.model import RunKey

_OWN_FOLDERS = "give it folders of its own (-d, -f)"


class Action(str, Enum):
    """What an export does for a run."""

    NEW = "new"
    CHANGED = "changed"
    ADD = "add"
    RETRY = "retry"
    UP_TO_DATE = "up-to-date"
    REFUSE = "refuse"

    __str__ = str.__str__


@dataclass(frozen=True)
class PlannedRun:
    """A run and what an export would do for it."""

    key: RunKey
    action: Action
    reason: str


@dataclass(frozen=True)
class RunPlan:
    """A planned run and all that is needed to carry the plan out."""

    planned: PlannedRun
    request: RunRequest
    selections: tuple[AttributeSelection, ...] = ()
    """The selections that the receipt will record once the request has been read."""
    retried: frozenset[str] = frozenset()
    """Paths that had failed and that will be read now, or fail again."""
    can_end: frozenset[str] = frozenset()
    """Messages of failures of the whole run that end if the source says so (`RunDone.ended`)."""
    missing: tuple[AttributeFailure, ...] = ()
    """What is wanted but failed permanently or was lost, and is not requested again."""
    stays: Stays = Stays.NOT_ASKED_FOR
    """Which of the existing rows stay."""
    refusal: AttributeFailure | None = None
    """Why the run is not read."""


def plan_run(
    dataset: Dataset, run: SourceRun, wanted: AttributeSelection, source: str, *, force: bool
) -> RunPlan:
    """Decide what to read of a run: the first row of the table that matches its state decides. `source`: name
    and version of what does the reading."""
    case = Case(dataset, run, wanted, source, force)
    plan = next(plan(case) for is_in_state, plan in _TABLE if is_in_state(case))
    memory = "" if plan.refusal or plan.stays is Stays.NOTHING else case.memory
    return replace(plan, request=replace(plan.request, memory=memory, replaces=force))


def _refuse_newer(case: Case) -> RunPlan:
    return _refused(
        case, "a newer neptune-exporter wrote what the dataset has of it", "upgrade neptune-exporter"
    )


def _refuse_elsewhere(case: Case) -> RunPlan:
    place = case.dataset.elsewhere(case.run.key)
    folder = "" if place is None else place.folder
    reason = f"the dataset holds it in {folder}, under a name to which nothing can be added"
    return _refused(case, reason, _OWN_FOLDERS)


def _refuse_obstacle(case: Case) -> RunPlan:
    return _refused(case, case.obstacle, f"{_OWN_FOLDERS}, or replace what is there by --force")


def _replace(case: Case) -> RunPlan:
    plan = _read(case, Action.CHANGED, "takes the place of what is there, by force")
    return replace(plan, retried=frozenset(), stays=Stays.NOTHING)


def _read_by_force(case: Case) -> RunPlan:
    case = _of_all_that_was_selected(case) if case.has_damage else case
    return replace(_read(case, Action.CHANGED, "asked for by --force"), missing=case.lost)


def _read_whole(case: Case) -> RunPlan:
    return _read_beside(_of_all_that_was_selected(case), RunState.DAMAGED.value)


def _read_failed(case: Case) -> RunPlan:
    return _read_beside(case, "it failed as a whole", Action.RETRY)


def _leave(case: Case) -> RunPlan:
    reason = "unchanged since its export" if case.is_of_same_state else "an earlier export has all of it"
    planned = PlannedRun(case.run.key, Action.UP_TO_DATE, reason)
    return RunPlan(planned, RunRequest(case.run, case.request), missing=(*case.lost, *case.missing))


def _retry(case: Case) -> RunPlan:
    return _read_rest(case, Action.RETRY, f"{len(case.retry)} attributes failed before")


_TABLE: tuple[tuple[Callable[[Case], bool], Callable[[Case], RunPlan]], ...] = (
    (lambda case: case.is_of_newer_version, _refuse_newer),
    (lambda case: case.is_elsewhere, _refuse_elsewhere),
    (lambda case: case.is_absent, lambda case: _read(case, Action.NEW, case.folder.state.value)),
    (lambda case: bool(case.obstacle) and not case.force, _refuse_obstacle),
    (lambda case: bool(case.obstacle), _replace),
    (lambda case: case.force, _read_by_force),
    (lambda case: case.has_no_usable_receipt, lambda case: _read_beside(case, case.folder.state.value)),
    (lambda case: case.lacks_parts, _read_whole),
    (lambda case: case.has_changed, lambda case: _read_beside(case, case.change)),
    (lambda case: case.failed_as_a_whole, _read_failed),
    (lambda case: case.has_all_that_is_wanted, _leave),
    (lambda case: case.is_damaged, _read_whole),
    (lambda case: bool(case.retry), _retry),
    (lambda case: True, lambda case: _read_rest(case, Action.ADD, "an earlier export left attributes out")),
)
"""The states, and what is done in each. The first match counts, so each row may assume that no row before it
matches."""


def _of_all_that_was_selected(case: Case) -> Case:
    """Read all that was ever selected: the damaged part may have held any of it."""
    return case if case.receipt is None else replace(case, wanted=whole(case.wanted, case.receipt))


def _refused(case: Case, reason: str, advice: str) -> RunPlan:
    planned = PlannedRun(case.run.key, Action.REFUSE, reason)
    failure = AttributeFailure(case.run.key, "", None, f"not exported: {reason}; {advice}")
    return RunPlan(planned, RunRequest(case.run, AttributeRequest(case.wanted)), refusal=failure)


def _read(case: Case, action: Action, reason: str) -> RunPlan:
    """Read everything that is wanted, as if nothing had been read before; this ends its earlier failures."""
    planned = PlannedRun(case.run.key, action, reason)
    request = RunRequest(case.run, AttributeRequest(case.wanted))
    return RunPlan(planned, request, (case.wanted,), case.ended, case.can_end)


def _read_beside(case: Case, reason: str, action: Action = Action.CHANGED) -> RunPlan:
    return _beside_what_is_there(case, _read(case, action, reason))


def _read_rest(case: Case, action: Action, reason: str) -> RunPlan:
    """Read only what is wanted and not yet there."""
    assert case.receipt is not None
    planned = PlannedRun(case.run.key, action, reason)
    selections = tuple(dict.fromkeys([*case.receipt.selections, case.wanted]))
    retried = (case.retry & case.ended) | case.read_again
    missing = tuple(f for f in case.missing if f.attribute_path or f.message not in case.can_end)
    plan = RunPlan(planned, RunRequest(case.run, case.request), selections, retried, case.can_end, missing)
    return _beside_what_is_there(case, plan)


def _beside_what_is_there(case: Case, plan: RunPlan) -> RunPlan:
    """A partial run is joined with what is there, and only --force removes rows of unknown origin."""
    adds = case.run.partial or case.folder.foreign
    stays = Stays.NOT_DELIVERED if adds else Stays.NOT_ASKED_FOR
    return replace(plan, stays=stays, missing=(*case.lost, *plan.missing))
