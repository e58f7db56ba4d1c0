"""What is known of one load of a run: the events of its journal, and the state that they add up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Event = Mapping[str, Any]
"""A line of a journal. `e` names the event."""


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


_OF_BEGIN = ("number", "external_id", "fingerprint", "content", "chunking", "mark")


def fork_record(fork: Fork | None) -> dict[str, Any]:
    """For the event of a run: a parent's run and a step, or nothing."""
    return {"fork": None if fork is None else [fork.parent_run_id, fork.step, fork.exact, fork.is_last]}


def of_finished(progress: Progress) -> list[Event]:
    """The fewest events that say of a finished load what later commands need."""
    events: list[Event] = [
        {"e": "begin", **{name: getattr(progress, name) for name in _OF_BEGIN}},
        {"e": "elsewhere" if progress.elsewhere else "run", "run_id": progress.run_id, "url": progress.url}
        | fork_record(progress.fork),
        {"e": "loaded", "result": progress.loaded},
    ]
    if progress.announced_again:
        again = {str(file): count for file, count in progress.announced_again.items()}
        events.append({"e": "announced-again", "files": again})
    if progress.proven is not None:
        events.append({"e": "proven", "equal": progress.proven})
    return events


def after(progress: Progress | None, event: Event) -> Progress:
    """What is known after an event. Raises ValueError, KeyError, TypeError, AttributeError or OverflowError
    if it is no event of a journal.

    Args:
        progress: What was known before it; is changed, unless a generation begins.
    """
    name = event["e"]
    if name == "begin":
        return Progress(*(event[name] for name in _OF_BEGIN))
    if progress is None:
        raise ValueError(f"a journal does not begin with {name!r}")
    if name in _CHANGES:
        _CHANGES[name](progress, event)
    return progress


def _run(now: Progress, event: Event) -> None:
    now.elsewhere = event["e"] == "elsewhere"
    now.run_id, now.url = event["run_id"], event["url"]
    now.fork = Fork(*event["fork"]) if event.get("fork") is not None else None


def _sent(now: Progress, event: Event) -> None:
    now.sent[event["stream"]] = event["upto"]
    now.sending.pop(event["stream"], None)
    if event.get("found"):
        now.found.add(event["stream"])


def _chunking(now: Progress, event: Event) -> None:
    now.chunking = event["chunking"]
    _forget_metrics(now)


def _forget_metrics(now: Progress) -> None:
    now.metric_bodies.clear()
    now.metrics_sending.clear()


def _metrics(now: Progress, event: Event) -> None:
    now.metric_bodies.add(event["body"])
    now.metrics_sending.pop(event["body"], None)


def _signed(now: Progress, event: Event) -> None:
    signed = set(event["files"])
    now.announcing -= signed
    now.announced_again.update(now.announced & signed)
    now.announced |= signed


def _loaded(now: Progress, event: Event) -> None:
    now.loaded = event["result"]


def _reopened(now: Progress, event: Event) -> None:
    now.loaded, now.proven, now.reopened = None, None, True
    _forget_metrics(now)


def _proven(now: Progress, event: Event) -> None:
    now.proven = event["equal"]


_CHANGES: Mapping[str, Callable[[Progress, Event], object]] = {
    "run": _run,
    "elsewhere": _run,
    "sending": lambda now, event: now.sending.update({event["stream"]: event["upto"]}),
    "sent": _sent,
    "unsent": lambda now, event: now.sending.pop(event["stream"], None),
    "chunking": _chunking,
    "metrics-sending": lambda now, event: now.metrics_sending.update({event["body"]: event["at"]}),
    "metrics": _metrics,
    "announcing": lambda now, event: now.announcing.update(event["files"]),
    "not-announced": lambda now, event: now.announcing.difference_update(event["files"]),
    "signed": _signed,
    "announced-again": lambda now, event: now.announced_again.update(
        {int(file): count for file, count in event["files"].items()}
    ),
    "uploaded": lambda now, event: now.uploaded.add(event["file"]),
    "loaded": _loaded,
    "reopened": _reopened,
    "proven": _proven,
}
