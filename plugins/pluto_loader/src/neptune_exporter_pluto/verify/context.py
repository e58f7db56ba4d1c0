"""What the comparisons of one run share."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeVar

from neptune_exporter.contract import Comparison, Verdict
from neptune_exporter.toolkit import pause
from neptune_exporter_pluto.form.content import Content
from neptune_exporter_pluto.form.losses import DROPPED, LossCode
from neptune_exporter_pluto.form.metadata import PlutoMetadata
from neptune_exporter_pluto.service.api import PlutoApi
from neptune_exporter_pluto.state.session import Session

_T = TypeVar("_T")


@dataclass
class Check:
    """One run of the dataset beside one run of Pluto.

    `deadline` is the moment (of `time.time`) from which what is not visible is missing.
    """

    session: Session
    content: Content
    """Its losses are filled by going through the rows again."""
    project: str
    run_id: int
    details: dict[str, Any]
    metadata: PlutoMetadata
    deadline: float
    full: bool
    declared: list[dict[str, Any]]
    """Losses that the load recorded, on this machine or in the config."""

    @property
    def api(self) -> PlutoApi:
        return self.session.api

    def lost(self, path: str, codes: Collection[LossCode]) -> int:
        """Losses of an attribute: those that the load recorded, or that reading its rows again shows."""
        reasons = {code.value for code in codes} if self.declared else ()
        mine = (loss for loss in self.declared if loss["attribute_path"] == path)
        recorded = sum(int(loss["count"]) for loss in mine if loss["reason"] in reasons)
        return max(recorded, self.content.losses.count(codes, path))

    def recorded(self, code: LossCode, path: str) -> int:
        """How many losses of one kind the load recorded."""
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
        return Comparison(self.content.run.key, item, verdict, str(expected), str(found))

    def counted(self, item: str, expected: int, found: int, path: str | None = None) -> Comparison:
        """The comparison of two numbers; equal ones are `~` where something was lost before.

        Args:
            path: The attribute whose losses count; what was dropped of it is expected beside the rest.
        """
        if expected == found:
            if path is not None and self.lost(path, tuple(LossCode)):
                return self.line(item, Verdict.LOST, expected + self.lost(path, DROPPED), found)
            return self.line(item, Verdict.EQUAL, expected, found)
        return self.line(item, Verdict.MISSING if found < expected else Verdict.EXTRA, expected, found)
