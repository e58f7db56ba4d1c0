"""A run that a loader finds in its target, and the record that its load left there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Found:
    """A run of the target that has the mark of a run.

    Examples:
        >>> found = [Found("41"), Found("42", '{"fingerprint": …}')]
        >>> [each.target_id for each in found if each.record]  # the load of the other did not end
        ['42']
    """

    target_id: str
    record: str = ""
    """What `finish` has written; empty if the load has not finished."""

    @property
    def is_compared(self) -> bool:
        """Whether a comparison has found nothing wrong with the run since it was loaded."""
        return bool(json.loads(self.record).get("compared"))

    def record_compared(self) -> str:
        """The record, with the note that the run was compared."""
        return json.dumps({**json.loads(self.record), "compared": True})

    def is_same_load(self, record: str) -> bool:
        """Whether a record says the same, whichever of both runs was compared."""
        return _without_note(self.record) == _without_note(record)


def _without_note(record: str) -> dict[str, Any]:
    return {name: value for name, value in json.loads(record).items() if name != "compared"}
