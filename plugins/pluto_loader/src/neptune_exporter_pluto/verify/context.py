"""What the comparisons of one run share."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from neptune_exporter.contract import Comparison, Verdict
from neptune_exporter.toolkit import pause
from neptune_exporter_pluto.form.content import Content
from neptune_exporter_pluto.form.losses import DROPPED, MESSAGES
from neptune_exporter_pluto.form.metadata import PlutoMetadata
from neptune_exporter_pluto.state.open_run import OpenRun

_T = TypeVar("_T")


@dataclass
class Check:
    """One run of the dataset beside one run of Pluto."""

    work: OpenRun
    content: Content
    """Its losses are filled by going through the rows again."""
    details: dict[str, Any]
    """Of the run in Pluto."""
    metadata: PlutoMetadata
    full: bool
    declared: list[dict[str, Any]]
    """Losses that the load recorded, on this machine or in the config."""
    deadline: float
    """The moment (of `time.time`) from which what is not visible is missing."""
    sent: Mapping[str, int]
    """How many steps of each series the load that now ends has sent; empty if the run is to be read."""

    def __post_init__(self) -> None:
        self.session, self.api = self.work.session, self.work.session.api
        self.project, self.run_id = self.work.target.project, int(self.details["id"])

    def lost(self, path: str, codes: Collection[str]) -> int:
        """Losses of an attribute: those that the load recorded, or that reading its rows again shows."""
        return max(self.recorded(codes, path), self.content.losses.count(codes, path))

    def recorded(self, codes: Collection[str], path: str) -> int:
        """How many losses of some kinds the load recorded."""
        mine = (loss for loss in self.declared if loss["attribute_path"] == path)
        return sum(int(loss["count"]) for loss in mine if loss["reason"] in codes)

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
            if path is not None and self.lost(path, MESSAGES):
                return self.line(item, Verdict.LOST, expected + self.lost(path, DROPPED), found)
            return self.line(item, Verdict.EQUAL, expected, found)
        return self.line(item, Verdict.MISSING if found < expected else Verdict.EXTRA, expected, found)
