"""What the comparisons of one run share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from neptune_exporter.contract import Comparison, ExportedRun, Verdict
from neptune_exporter.interruption import pause
from neptune_exporter_pluto.api import PlutoApi
from neptune_exporter_pluto.facts import RunFacts
from neptune_exporter_pluto.losses import LossBook, LossCode
from neptune_exporter_pluto.names import NameBook
from neptune_exporter_pluto.session import ContentOptions, Session
from neptune_exporter_pluto.steps import Multiplier

_T = TypeVar("_T")


@dataclass
class Check:
    """One run of the dataset beside one run of Pluto.

    `deadline` is the moment (of `time.time`) from which what is not visible is missing.
    """

    session: Session
    run: ExportedRun
    project: str
    run_id: int
    details: dict[str, Any]
    options: ContentOptions
    """With which it was loaded."""
    facts: RunFacts
    multiplier: Multiplier
    folder: Path
    deadline: float
    full: bool
    losses: LossBook
    """Filled by going through the rows again."""
    declared: list[dict[str, Any]]
    """Losses as the load told them."""
    names: NameBook = field(default_factory=NameBook)

    @property
    def api(self) -> PlutoApi:
        return self.session.api

    def lost(self, path: str) -> int:
        """Rows of an attribute that were lost, as the load told or as going through them again shows."""
        told = sum(int(loss["count"]) for loss in self.declared if loss["attribute_path"] == path)
        return max(told, self.losses.total(path))

    def told(self, code: LossCode, path: str) -> int:
        """What the load told of one kind of loss."""
        mine = (loss for loss in self.declared if loss["attribute_path"] == path)
        return sum(int(loss["count"]) for loss in mine if loss["reason"] == code.value)

    def patiently(
        self, read: Callable[[], _T], is_right: Callable[[_T], bool], first: Callable[[], _T] | None = None
    ) -> _T:
        """Read until it is right, or until all that was sent must be visible.

        Args:
            first: Gives what was read ahead, the first time.
        """
        found = (first or read)()
        while not is_right(found) and (left := self.deadline - time.time()) > 0:
            pause(min(0.5, left))
            found = read()
        return found

    def line(self, item: str, verdict: Verdict, expected: object = "", found: object = "") -> Comparison:
        return Comparison(self.run.key, item, verdict, str(expected), str(found))

    def counted(self, item: str, expected: int, found: int, lost: int = 0) -> Comparison:
        """The comparison of two numbers; equal ones are `~` where something was lost before."""
        if expected == found:
            if lost:
                return self.line(item, Verdict.LOST, expected + lost, found)
            return self.line(item, Verdict.EQUAL, expected, found)
        return self.line(item, Verdict.MISSING if found < expected else Verdict.EXTRA, expected, found)
