"""What went wrong with one attribute, and what a sink could not hold: values, not exceptions but for one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone

from neptune_exporter.errors import SourceError
from neptune_exporter.model import AttributeType, RunKey


def _now() -> datetime:
    return datetime.now(timezone.utc)


@dataclass(frozen=True)
class AttributeFailure:
    """One attribute (or one step or file of it) that could not be read.

    It costs that attribute only. The receipt keeps it, the error report and the last
    screen show it, and the next export asks for just this attribute again.
    """

    run: RunKey
    attribute_path: str
    """Empty when the failure is the run's as a whole."""
    attribute_type: AttributeType | None
    message: str
    """One line, for a person; without credentials."""
    attempts: int = 1
    """0: not tried, because many of its kind had failed in a row, or because rows were `lost`."""
    permanent: bool = False
    """No later export can succeed (a file that is gone from this machine, say): not asked for again."""
    time: datetime | None = field(default_factory=_now, compare=False)
    """When it failed: now, unless a receipt repeats it."""
    lost: bool = False
    """Rows that an earlier export had were lost on disk; it is unknown of which attributes."""

    @classmethod
    def of(
        cls,
        run: RunKey,
        attribute_path: str,
        attribute_type: AttributeType | None,
        error: SourceError,
        message: str | None = None,
    ) -> AttributeFailure:
        """The failure that an error stands for, with its text unless another `message` is given."""
        text = str(error) if message is None else message
        return cls(run, attribute_path, attribute_type, text, error.attempts)


@dataclass(frozen=True)
class Loss:
    """Something of a run that the target could not hold, typed and counted."""

    run: RunKey
    reason: str
    """A short kebab-case code, stable for machines: `negative-step`, `duplicate-step`."""
    message: str
    """One sentence for a person: why, and where it can still be found."""
    count: int
    """How many rows (or files, tags …) it concerns."""
    attribute_path: str | None = None
    requested: bool = False
    """The user asked for it (downsampling, a cap on files): shown, but the exit code stays 0."""


class UnreadError(SourceError):
    """Some runs of a group cannot be read, each for its own reason. The others of the group are done."""

    def __init__(self, failures: Sequence[AttributeFailure]) -> None:
        super().__init__("; ".join(f"{failure.run}: {failure.message}" for failure in failures))
        self.failures = tuple(failures)
