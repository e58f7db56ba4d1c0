"""What a check of a dataset finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from neptune_exporter.dataset.read.stored_run import StoredRun
from neptune_exporter.model import RunKey


class Severity(str, Enum):
    """How bad a finding is."""

    DAMAGE = "damage"
    """Something is lost, changed or unreadable."""
    GAP = "gap"
    """Missing, wholly or in its latest state, because an export could not read it. Without a run: a file that
    is not a part."""
    WARNING = "warning"
    """Nothing is lost, but a person should know about it."""

    __str__ = str.__str__


@dataclass(frozen=True)
class Finding:
    """One problem."""

    severity: Severity
    run: RunKey | None
    """None if it belongs to no run."""
    item: str
    """The part, receipt, file or attribute that it is about; empty if it is about the whole run."""
    reason: str
    """What is wrong, without the name of the item."""
    advice: str = ""
    """What to do."""
    attribute: str = ""
    """Of a file: the attribute whose row names it."""

    @property
    def message(self) -> str:
        """The reason and the advice."""
        return f"{self.reason}; {self.advice}" if self.advice else self.reason

    @property
    def is_damage(self) -> bool:
        return self.severity is Severity.DAMAGE

    @property
    def is_gap(self) -> bool:
        return self.severity is Severity.GAP

    @property
    def is_loss(self) -> bool:
        """Whether something is missing or changed: damage or a gap."""
        return self.severity is not Severity.WARNING


def damage(run: StoredRun, item: str, reason: str, advice: str = "", attribute: str = "") -> Finding:
    """Damage of an item of a run."""
    return Finding(Severity.DAMAGE, run.key, item, reason, advice, attribute)


def warning(run: StoredRun, item: str, reason: str) -> Finding:
    """A warning about an item of a run."""
    return Finding(Severity.WARNING, run.key, item, reason)
