"""Decides whether a run is loaded, resumed, begun again or left to another machine: one pure function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum


class Load(Enum):
    """How far this machine has loaded the run, according to its journal."""

    NONE = "none"
    BEGUN = "begun"
    WHOLE = "whole"


class Shown(Enum):
    """The result of reading back a finished load."""

    UNKNOWN = "unknown"
    """Not read back yet, or files that it lacked exist now."""
    ALL = "all"
    LACKS_REPEATABLE = "lacks what may be sent again"
    DAMAGED = "damaged"


class Other(Enum):
    """What another machine has made in Pluto under this run's external id."""

    NOTHING = "nothing"
    WHOLE = "whole"
    """A complete load of the same export."""
    ANOTHER_EXPORT = "another export"
    UNFINISHED = "unfinished"
    GIVEN_UP = "given up"


class Action(Enum):
    """What to do with the run."""

    NEW = "new"
    """Begin the first load of it."""
    SAME = "same"
    """Nothing: Pluto has it as it should be."""
    LISTED = "listed"
    """Nothing: the list of loaded runs has it, and no more is known. An earlier load by another tool
    counts."""
    READ_BACK = "read back"
    """Read back what Pluto shows of it, then decide again."""
    RESUME = "resume"
    RESEND = "resend"
    """Send again what may be sent twice, into the existing run."""
    SUPERSEDE = "supersede"
    """Mark the existing run as superseded, and begin another."""
    NEXT = "next"
    """Begin another: the existing run is superseded already."""
    TAKE = "take"
    """Use the run that another machine has loaded."""
    LEAVE = "leave"
    """Leave the run to the machine that is loading it."""


@dataclass(frozen=True)
class Situation:
    """Everything on which the decision depends."""

    load: Load = Load.NONE
    listed: bool = False
    """Whether the list of loaded runs has a line of this name."""
    line_is_ours: bool = False
    """Whether no other run has claimed that line."""
    same_export: bool = True
    same_options: bool = True
    """Whether everything was sent with the present options and in the present order."""
    parent_replaced: bool = False
    """Whether the Pluto run from which it was forked no longer belongs to its parent."""
    shown: Shown = Shown.UNKNOWN
    wrong: str = ""
    """The first item that reading back found wrong."""
    other: Other = Other.NOTHING
    may_restart: bool = False
    """Whether the user allows to begin again what another machine left unfinished."""


@dataclass(frozen=True)
class Decision:
    action: Action
    reason: str = ""
    """For a superseded run: the reason, which is written into Pluto."""


def decide(situation: Situation) -> Decision:
    """What to do with a run. Called again when more is known: after reading back, and for a run of another.

    Example: `decide(Situation(load=Load.BEGUN)).action is Action.RESUME`
    """
    if situation.other is not Other.NOTHING:
        return _of_another(situation)
    return _OF_OUR_OWN[situation.load](situation)


def _unknown(situation: Situation) -> Decision:
    return Decision(Action.LISTED if situation.listed and situation.line_is_ours else Action.NEW)


def _begun(situation: Situation) -> Decision:
    if not (situation.same_export and situation.same_options):
        return _supersede("it was begun with other options or another export")
    return _PARENT_REPLACED if situation.parent_replaced else Decision(Action.RESUME)


def _whole(situation: Situation) -> Decision:
    if not situation.listed:
        return _supersede("it was taken out of the list of loaded runs")
    if not situation.same_export:
        return _supersede("its export has changed")
    return _PARENT_REPLACED if situation.parent_replaced else _of_shown(situation)


def _of_shown(situation: Situation) -> Decision:
    if situation.shown is Shown.UNKNOWN:
        return Decision(Action.READ_BACK)
    if situation.shown is Shown.ALL:
        return Decision(Action.SAME)
    if situation.shown is Shown.LACKS_REPEATABLE and situation.same_options:
        return Decision(Action.RESEND)
    return _supersede(f"Pluto does not show it as it is: {situation.wrong}")


def _of_another(situation: Situation) -> Decision:
    if situation.other is Other.WHOLE:
        return Decision(Action.TAKE)
    if situation.other is Other.ANOTHER_EXPORT:
        return _supersede("another export of it is loaded")
    if situation.other is Other.GIVEN_UP:
        return Decision(Action.NEXT)
    if situation.may_restart:
        return _supersede("begun by another machine and never finished")
    return Decision(Action.LEAVE)


def _supersede(reason: str) -> Decision:
    return Decision(Action.SUPERSEDE, reason)


_PARENT_REPLACED = _supersede("its parent run was loaded again")

_OF_OUR_OWN: Mapping[Load, Callable[[Situation], Decision]] = {
    Load.NONE: _unknown,
    Load.BEGUN: _begun,
    Load.WHOLE: _whole,
}
