"""What is known of one load of a run: the state that the events of its journal add up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Fork:
    """Where a run branched off: the parent's run in Pluto, and a step that it has reached."""

    parent_run_id: int
    step: int
    exact: bool = field(default=True, compare=False)
    """Whether Neptune's step is this one; else it was rounded down."""
    is_last: bool = field(default=False, compare=False)
    """Whether it is the parent's last step, as Neptune's is beyond it."""

    @classmethod
    def of(cls, details: Mapping[str, Any]) -> Fork | None:
        """What Pluto tells of a run. Steps up to the parent's own fork step belong to the parent's parent."""
        parent, step = details.get("forkedFromRunId"), details.get("forkStep")
        return None if parent is None or step is None else cls(int(parent), int(step))


@dataclass
class Progress:
    """What the journal says of one generation of a run: of one run in Pluto that it was loaded into."""

    number: int
    external_id: str
    fingerprint: str
    content: str
    """Digest of the options that decide what is sent."""
    chunking: str
    """Digest of the options that decide how metrics are cut into requests."""
    mark: str
    """A random text that the run in Pluto carries too: this journal made it."""
    run_id: int | None = None
    url: str = ""
    fork: Fork | None = None
    """With what the run was created; None if it is no fork of Pluto's."""
    elsewhere: bool = False
    """Another machine has loaded this run whole."""
    sent: dict[str, int] = field(default_factory=dict)
    """Lines of a stream that Pluto has acknowledged."""
    sending: dict[str, int] = field(default_factory=dict)
    """Lines after a request that may or may not have arrived."""
    found: set[str] = field(default_factory=set)
    """Streams of which Pluto once had to tell how much it has."""
    metric_bodies: set[int] = field(default_factory=set)
    """Requests with metrics, by number, that Pluto has acknowledged."""
    metrics_sending: dict[int, float] = field(default_factory=dict)
    """Those that may or may not have arrived, and when they were begun, in seconds since 1970."""
    announcing: set[int] = field(default_factory=set)
    """Files whose announcement may or may not have arrived."""
    signed: dict[int, tuple[str, float]] = field(default_factory=dict)
    """By file: its upload address, and when it was given, in seconds since 1970."""
    announced: set[int] = field(default_factory=set)
    uploaded: set[int] = field(default_factory=set)
    announced_again: Counter[int] = field(default_factory=Counter)
    """By file: how many times more than once it was announced, as its address had expired."""
    reopened: bool = False
    """It was loaded whole, but reading back found something missing that may be sent again.

    All else has arrived, and is not repeated.
    """
    loaded: Mapping[str, Any] | None = None
    """The record that the load ended with; None while it has not ended."""
    proven: bool | None = None
    """Whether reading back agreed; None if the run was not read back."""
