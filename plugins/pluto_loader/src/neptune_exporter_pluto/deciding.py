"""Whether a run is loaded, gone on with, begun again or left to somebody else: one pure function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum


class Load(Enum):
    """How far a load of the run has got, by this machine's journal."""

    NONE = "none"
    BEGUN = "begun"
    WHOLE = "whole"


class Shown(Enum):
    """What reading back said of a load that came to its end."""

    UNKNOWN = "unknown"
    """It was not read back yet, or files that it lacked are there now."""
    ALL = "all"
    LACKS_REPEATABLE = "lacks what may be sent again"
    DAMAGED = "damaged"


class Other(Enum):
    """What Pluto holds under this run's external id that another machine made."""

    NOTHING = "nothing"
    WHOLE = "whole"
    """All of the same export."""
    ANOTHER_EXPORT = "another export"
    UNFINISHED = "unfinished"
    GIVEN_UP = "given up"


class Action(Enum):
    """What is to be done with the run."""

    NEW = "new"
    """Begin the first load of it."""
    SAME = "same"
    """It is there as it should be."""
    LISTED = "listed"
    """The list of loaded runs has it, and nothing else is known: somebody's earlier load counts."""
    READ_BACK = "read back"
    """Find out what Pluto shows of it, then decide again."""
    RESUME = "resume"
    """Go on with the load that was begun."""
    RESEND = "resend"
    """Send what may be sent twice into the run that is there."""
    SUPERSEDE = "supersede"
    """Give up the run that is there, and begin another."""
    NEXT = "next"
    """Begin another: the run that is there was given up already."""
    TAKE = "take"
    """Take the run that another machine has loaded for this one."""
    LEAVE = "leave"
    """Leave the run to the machine that is loading it."""


@dataclass(frozen=True)
class Situation:
    """All that the decision depends on."""

    load: Load = Load.NONE
    listed: bool = False
    """The list of loaded runs has a line of this name."""
    line_is_ours: bool = False
    """No other run has claimed that line."""
    same_export: bool = True
    same_options: bool = True
    """What was sent, was sent with the options and in the order of now."""
    parent_replaced: bool = False
    """The run of Pluto from which it was forked off is not its parent's any more."""
    shown: Shown = Shown.UNKNOWN
    wrong: str = ""
    """The first item that reading back found wrong."""
    other: Other = Other.NOTHING
    may_restart: bool = False
    """The user allows to begin what another machine left unfinished again."""


@dataclass(frozen=True)
class Decision:
    action: Action
    reason: str = ""
    """For a run that is given up: it is written into Pluto."""


def decide(situation: Situation) -> Decision:
    """What to do with a run. Called again when more is known: after reading back, and for a run of another.

    Example: `decide(Situation(load=Load.BEGUN)).action is Action.RESUME`
    """
    if situation.other is not Other.NOTHING:
        return _OF_ANOTHER[situation.other](situation)
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


def _unfinished(situation: Situation) -> Decision:
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

_OF_ANOTHER: Mapping[Other, Callable[[Situation], Decision]] = {
    Other.WHOLE: lambda _: Decision(Action.TAKE),
    Other.ANOTHER_EXPORT: lambda _: _supersede("another export of it is loaded"),
    Other.UNFINISHED: _unfinished,
    Other.GIVEN_UP: lambda _: Decision(Action.NEXT),
}
