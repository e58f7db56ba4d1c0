"""What a sink's target holds of a run, in a neutral form that the plugin's author reads back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from neptune_exporter.contract.rows import Step


class LoadedEntry(NamedTuple):
    """One entry of a series, or a file, as the target has it."""

    value: Any
    """A float, a str, a `SampleHistogram`, or the bytes of a file."""
    step: Step | None = None
    """As it was in the dataset: divided by the multiplier that the target has on record."""
    timestamp: datetime | None = None


@dataclass(frozen=True)
class LoadedSample:
    """A run as read back from the target, by the original attribute paths.

    Read it with the target's own means, never with what the sink remembers: where the
    sink translates names, steps or values, translate back by what is documented and
    stored in the target. Leave None what the target has no place for.
    """

    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Plain values. As text may come: datetimes (ISO 8601), NaN and infinities, integers beyond 2**53."""
    points: Mapping[str, Sequence[LoadedEntry]] = field(default_factory=dict)
    texts: Mapping[str, Sequence[LoadedEntry]] = field(default_factory=dict)
    histograms: Mapping[str, Sequence[LoadedEntry]] = field(default_factory=dict)
    files: Mapping[str, Sequence[LoadedEntry]] = field(default_factory=dict)
    """Of all four file types; `value` is the bytes."""
    name: str | None = None
    tags: frozenset[str] | None = None
    """May hold more than the run's own."""
    parent: str | None = None
    """The `target_id` of the run that it is a fork of."""
    fork_step: Step | None = None
    created_at: datetime | None = None
    failed: bool | None = None
    running: bool | None = None
    """Whether the target shows the run as one that has not ended."""
    step_multiplier: Decimal | None = None
    """What the target has on record; None where steps are stored as they are."""
