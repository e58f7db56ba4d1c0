"""What Pluto cannot hold: the codes, their messages, and the counts by series."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from neptune_exporter.model import RunKey
from neptune_exporter.sinks.losses import COMMON_MESSAGES, CommonLoss
from neptune_exporter.sinks.losses import LossBook as CountedLosses


class LossCode(str, Enum):
    """Losses that only Pluto has. The values are stable, for machines."""

    DOWNSAMPLED = "downsampled"
    HISTOGRAM_REDRAWN = "histogram-redrawn"
    HISTOGRAM_NOT_DRAWN = "histogram-not-drawn"
    LONG_TEXT = "long-text"
    TAGS_BEYOND_LIMIT = "tags-beyond-limit"
    ROUNDED_NUMBER = "rounded-number"
    TIME_BEFORE_1970 = "time-before-1970"
    LONG_DESCRIPTION = "long-description"
    LONG_RUN_NAME = "long-run-name"
    PROJECT_RENAMED = "project-renamed"
    FILE_TOO_LARGE = "file-too-large"
    FILE_CAP = "file-cap"
    FILE_LISTED_TWICE = "file-listed-twice"
    FILE_STEP = "file-step"
    FORK_STEP = "fork-step"

    __hash__ = str.__hash__  # a text that equals a code is found among codes, as in journals

    def __str__(self) -> str:
        return self.value


MESSAGES: Mapping[str, str] = {
    **COMMON_MESSAGES,
    CommonLoss.NEGATIVE_STEP: "Pluto has no negative steps; these are only in the dataset",
    CommonLoss.LARGE_STEP: "the step times the multiplier is beyond 2**64 - 1; these are only in the dataset",
    CommonLoss.FRACTIONAL_STEP: "step × multiplier is not whole, or Pluto rounds it (above 2**53): cut",
    LossCode.DOWNSAMPLED: "left out because only every N-th point was requested (LOG_EVERY)",
    LossCode.HISTOGRAM_REDRAWN: "Pluto draws only even bins and whole counts; a table has the exact numbers",
    LossCode.HISTOGRAM_NOT_DRAWN: "without a finite width it cannot be drawn; a table has the exact numbers",
    LossCode.LONG_TEXT: "longer than 60,000 bytes: cut in the series, whole in logs/stdout or logs/stderr",
    LossCode.TAGS_BEYOND_LIMIT: "Pluto takes 50 tags, and only one `group:…`; the config has the others",
    LossCode.ROUNDED_NUMBER: "Pluto shows 16 digits of a parameter; all of them are in the config",
    LossCode.TIME_BEFORE_1970: "Pluto has no time before 1970; the time of creation is in the config",
    LossCode.LONG_DESCRIPTION: "notes hold 1,000 UTF-16 units; the whole description is in the config",
    LossCode.LONG_RUN_NAME: "names hold 255 characters; the whole name is in the config",
    LossCode.PROJECT_RENAMED: "Pluto's project names are printable ASCII; the original is in the config",
    LossCode.FILE_TOO_LARGE: "Pluto takes files of up to 5 GiB; this one is only in the dataset",
    LossCode.FILE_CAP: "left out because a limit was requested (MAX_FILES_PER_RUN)",
    LossCode.FILE_LISTED_TWICE: "its upload address expired and was requested again: it is listed twice",
    LossCode.FILE_STEP: "Pluto cannot hold its step: it is listed at step 0, the step is in its name",
    CommonLoss.FORK_NOT_NATIVE: "Pluto lacks its parent up to that step: only the config records the fork",
    LossCode.FORK_STEP: "the parent has no point at that step: the fork is at its last step (see config)",
}

REQUESTED = frozenset({LossCode.DOWNSAMPLED, LossCode.FILE_CAP})
"""Losses that the user requested: reported, but no reason for exit code 3."""

NOTHING_LACKS = frozenset({LossCode.FILE_LISTED_TWICE})
"""Losses that leave nothing out: only the load that caused one reports it, and no later load."""

FILES_NOT_SENT = frozenset(
    {
        CommonLoss.FILE_MISSING,
        CommonLoss.FILE_DAMAGED,
        CommonLoss.FILE_UNSAFE,
        LossCode.FILE_TOO_LARGE,
        LossCode.FILE_CAP,
    }
)

DROPPED = FILES_NOT_SENT | {
    CommonLoss.NEGATIVE_STEP,
    CommonLoss.LARGE_STEP,
    CommonLoss.NO_STEP,
    CommonLoss.DUPLICATE_STEP,
    LossCode.DOWNSAMPLED,
}
"""Losses of points and files that are not in Pluto at all. With other losses, Pluto has them in another
form."""


class LossBook(CountedLosses):
    """Counts losses of one run by reason and series, with the messages for Pluto."""

    def __init__(self, run: RunKey) -> None:
        super().__init__(run, MESSAGES, REQUESTED)
