"""What a target cannot hold, counted by reason and attribute."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Mapping
from enum import Enum

from neptune_exporter.contract import Loss
from neptune_exporter.model import RunKey


class CommonLoss(str, Enum):
    """Losses that any loader may have. Programs may rely on the values: they do not change."""

    NEGATIVE_STEP = "negative-step"
    LARGE_STEP = "large-step"
    FRACTIONAL_STEP = "fractional-step"
    NO_STEP = "no-step"
    DUPLICATE_STEP = "duplicate-step"
    NOT_FINITE = "not-finite"
    EARLY_TIME = "early-time"
    NOT_TEXT = "not-text"
    FILE_MISSING = "file-missing"
    FILE_DAMAGED = "file-damaged"
    FILE_UNSAFE = "file-unsafe"
    FORK_NOT_NATIVE = "fork-not-native"

    __str__ = str.__str__

    __hash__ = str.__hash__  # a text that equals a code is found among codes


COMMON_MESSAGES: Mapping[str, str] = {
    CommonLoss.NEGATIVE_STEP: "the step is below the lowest that the target takes; it is only in the dataset",
    CommonLoss.LARGE_STEP: "the step is above the highest that the target takes; it is only in the dataset",
    CommonLoss.FRACTIONAL_STEP: "the step times the multiplier is not whole: it was cut to a whole one",
    CommonLoss.NO_STEP: "an entry without a step cannot be placed; it is only in the dataset",
    CommonLoss.DUPLICATE_STEP: "the target keeps one point a step, the newest; the rest is in the dataset",
    CommonLoss.NOT_FINITE: "the target cannot hold this NaN or infinity; it is only in the dataset",
    CommonLoss.EARLY_TIME: "the time is before the earliest that the target takes, and was set to that",
    CommonLoss.NOT_TEXT: "has bytes that are not valid text: they were replaced by the character U+FFFD",
    CommonLoss.FILE_MISSING: "the file is not in the files folder",
    CommonLoss.FILE_DAMAGED: "the file is not the one that was exported",
    CommonLoss.FILE_UNSAFE: "the row names a path outside of the files folder, or behind a link: not opened",
    CommonLoss.FORK_NOT_NATIVE: "the parent is not in the target: the fork is only named in the run's record",
}


class LossBook:
    """Counts losses of one run by reason and attribute. Thread-safe.

    `messages`: one sentence for a person, by code. `requested`: codes of what the user asked to leave out.

    Examples:
        >>> book = LossBook(run.key)
        >>> book.add(CommonLoss.NO_STEP, 3, "train/loss")
        >>> [(loss.reason, loss.count) for loss in book.losses()]
        [('no-step', 3)]
    """

    def __init__(
        self,
        run: RunKey,
        messages: Mapping[str, str] = COMMON_MESSAGES,
        requested: Collection[str] = frozenset(),
    ) -> None:
        self._run = run
        self._messages = messages
        self._requested = requested
        self._counts: Counter[tuple[str, str | None]] = Counter()
        self._lock = threading.Lock()

    def add(self, code: str, count: int = 1, path: str | None = None) -> None:
        """Add to what was lost; a count of 0 adds nothing."""
        if count > 0:
            with self._lock:
                self._counts[code, path] += count

    def add_all(self, counts: Mapping[str, int]) -> None:
        """Add losses of the run as a whole, by reason."""
        for code, count in counts.items():
            self.add(code, count)

    def by_reason(self) -> dict[str, int]:
        """How much was lost by each reason, over all attributes."""
        with self._lock:
            total: Counter[str] = Counter()
            for (code, _), count in self._counts.items():
                total[code] += count
            return dict(sorted(total.items()))

    def count(self, codes: Collection[str], path: str | None = None) -> int:
        """How much an attribute, or the run as a whole, has lost by some reasons."""
        with self._lock:
            return sum(self._counts[code, path] for code in codes) if self._counts else 0

    def losses(self) -> tuple[Loss, ...]:
        """All losses, by reason and then attribute."""
        with self._lock:
            items = sorted(self._counts.items(), key=lambda item: (str(item[0][0]), item[0][1] or ""))
        return tuple(
            Loss(self._run, str(code), self._messages[code], count, path, requested=code in self._requested)
            for (code, path), count in items
        )
