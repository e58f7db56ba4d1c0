"""What is done with a run, for everything that may be known of it."""

from __future__ import annotations

import itertools
from dataclasses import fields, replace

import pytest

from neptune_exporter_pluto.deciding import Action, Decision, Load, Other, Shown, Situation, decide

BEGUN = Situation(Load.BEGUN)
WHOLE = Situation(Load.WHOLE, listed=True)
LISTED = Situation(listed=True)
OPTIONS = "it was begun with other options or another export"
PARENT = "its parent run was loaded again"
BOOLEANS = [f.name for f in fields(Situation) if f.type == "bool"]


def supersede(reason: str) -> Decision:
    return Decision(Action.SUPERSEDE, reason)


@pytest.mark.parametrize(
    ("situation", "decision"),
    [
        # Nothing is known of it here.
        (Situation(), Decision(Action.NEW)),
        (LISTED, Decision(Action.NEW)),  # its line stands for another run of this name
        (replace(LISTED, line_is_ours=True), Decision(Action.LISTED)),
        (Situation(line_is_ours=True), Decision(Action.NEW)),
        # Its load has begun; whether it is listed does not matter.
        (BEGUN, Decision(Action.RESUME)),
        (replace(BEGUN, listed=True), Decision(Action.RESUME)),
        (replace(BEGUN, same_export=False), supersede(OPTIONS)),
        (replace(BEGUN, same_options=False), supersede(OPTIONS)),
        (replace(BEGUN, parent_replaced=True), supersede(PARENT)),
        (replace(BEGUN, same_options=False, parent_replaced=True), supersede(OPTIONS)),
        # It was loaded whole.
        (Situation(Load.WHOLE), supersede("it was taken out of the list of loaded runs")),
        (replace(WHOLE, same_export=False), supersede("its export has changed")),
        (replace(WHOLE, parent_replaced=True), supersede(PARENT)),
        (WHOLE, Decision(Action.READ_BACK)),
        (replace(WHOLE, same_options=False), Decision(Action.READ_BACK)),
        (replace(WHOLE, shown=Shown.ALL), Decision(Action.SAME)),
        (replace(WHOLE, shown=Shown.ALL, same_options=False), Decision(Action.SAME)),
        (replace(WHOLE, shown=Shown.LACKS_REPEATABLE), Decision(Action.RESEND)),
        (
            replace(WHOLE, shown=Shown.LACKS_REPEATABLE, same_options=False, wrong="tags"),
            supersede("Pluto does not show it as it is: tags"),
        ),
        (
            replace(WHOLE, shown=Shown.DAMAGED, wrong="log lines"),
            supersede("Pluto does not show it as it is: log lines"),
        ),
        # Another machine has made a run of it.
        (Situation(other=Other.WHOLE), Decision(Action.TAKE)),
        (Situation(other=Other.ANOTHER_EXPORT), supersede("another export of it is loaded")),
        (Situation(other=Other.GIVEN_UP), Decision(Action.NEXT)),
        (Situation(other=Other.UNFINISHED), Decision(Action.LEAVE)),
        (
            Situation(other=Other.UNFINISHED, may_restart=True),
            supersede("begun by another machine and never finished"),
        ),
    ],
)
def test_what_is_done(situation: Situation, decision: Decision) -> None:
    assert decide(situation) == decision


def all_situations() -> list[Situation]:
    values = itertools.product((False, True), repeat=len(BOOLEANS))
    flags = [dict(zip(BOOLEANS, some, strict=True)) for some in values]
    return [
        Situation(load=load, shown=shown, other=other, wrong="x", **some)
        for load, shown, other in itertools.product(Load, Shown, Other)
        for some in flags
    ]


def test_there_is_a_decision_for_everything() -> None:
    """Only what is superseded has a reason, and nothing that is there is given up without one."""
    situations = all_situations()
    assert len(situations) == 3 * 4 * 5 * 2**6
    decisions = {situation: decide(situation) for situation in situations}
    assert {decision.action for decision in decisions.values()} == set(Action)
    for situation, decision in decisions.items():
        assert (decision.action is Action.SUPERSEDE) == bool(decision.reason), situation


def test_nothing_is_sent_into_a_run_of_other_rows_or_another_parent() -> None:
    for situation in all_situations():
        if decide(situation).action in (Action.RESUME, Action.RESEND):
            assert situation.same_export and situation.same_options and not situation.parent_replaced
            assert situation.other is Other.NOTHING


def test_another_machines_unfinished_run_is_given_up_only_where_the_user_allows_it() -> None:
    for situation in all_situations():
        if situation.other is Other.UNFINISHED and not situation.may_restart:
            assert decide(situation) == Decision(Action.LEAVE)
