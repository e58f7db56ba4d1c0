"""What a source could not read and what a sink could not hold: values, and one error, `UnreadError`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone

from neptune_exporter.errors import SourceError
from neptune_exporter.model import AttributeType, RunKey


@dataclass(frozen=True)
class AttributeFailure:
    """One attribute (or one step or file of it) that could not be read.

    The rest of the run is exported. The receipt keeps the failure, the error report and the last
    screen show it, and the next export tries just this attribute again.

    Examples:
        >>> key = RunKey("acme/vision", "RUN-1")
        >>> AttributeFailure(key, "train/loss", AttributeType.FLOAT_SERIES, "HTTP 500 at page 3").permanent
        False
        >>> gone = AttributeFailure(key, "data", AttributeType.FILE, "data.csv is not there", permanent=True)
    """

    run: RunKey
    attribute_path: str
    """Empty if the run as a whole failed."""
    attribute_type: AttributeType | None
    message: str
    """One line, for a person; without credentials."""
    attempts: int = 1
    """0: it was not tried, because many of its kind had failed in a row, or because rows were `lost`."""
    permanent: bool = False
    """No later export can succeed, for example because the file was deleted. It is not tried again."""
    time: datetime | None = field(default_factory=lambda: datetime.now(timezone.utc), compare=False)
    """When it failed. The default is now; a failure from a receipt has the time of its export."""
    lost: bool = False
    """Rows that an earlier export had were lost on disk; it is unknown of which attributes."""
    kept: bool = False
    """Only in a receipt: the dataset still has what an earlier export had read of the attribute."""

    @classmethod
    def of(
        cls,
        run: RunKey,
        attribute_path: str,
        attribute_type: AttributeType | None,
        error: SourceError,
        message: str | None = None,
    ) -> AttributeFailure:
        """Make a failure of an error, with the text of the error unless another `message` is given.

        Examples:
            >>> error = SourceError("the server closed the connection")
            >>> failure = AttributeFailure.of(run.key, "train/loss", AttributeType.FLOAT_SERIES, error)
            >>> failure.message, failure.attempts
            ('the server closed the connection', 1)
        """
        text = str(error) if message is None else message
        return cls(run, attribute_path, attribute_type, text, error.attempts)


@dataclass(frozen=True)
class Loss:
    """Something of a run that the target could not hold, typed and counted.

    Examples:
        >>> why = "Acme has no steps below 0; these points are only in the dataset"
        >>> loss = Loss(run.key, "negative-step", why, 3, "train/loss")
        >>> LoadedRun("42", counts={"points": 97}, losses=[loss]).losses[0].count
        3
    """

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
    """Some runs of a group cannot be read, each for its own reason. The others of the group are done.

    Examples:
        >>> gone = AttributeFailure(RunKey("acme/vision", "RUN-7"), "", None, "the server no longer has it")
        >>> raise UnreadError([gone])  # at the end of `read`, when the rest of the group is done
        Traceback (most recent call last):
        neptune_exporter.contract.failures.UnreadError: acme/vision:RUN-7: the server no longer has it
    """

    def __init__(self, failures: Sequence[AttributeFailure]) -> None:
        super().__init__("; ".join(f"{failure.run}: {failure.message}" for failure in failures))
        self.failures = tuple(failures)
