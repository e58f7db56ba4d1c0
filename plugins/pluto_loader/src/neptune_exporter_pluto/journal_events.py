"""The events of a journal: what each changes in what is known of a load."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from neptune_exporter_pluto.progress import Fork, Progress

Event = Mapping[str, Any]
"""A line of a journal. `e` names the event."""


def begin(progress: Progress) -> Event:
    """A generation begins: nothing is known of it yet but this."""
    return {
        "e": "begin",
        "generation": progress.number,
        "external_id": progress.external_id,
        "fingerprint": progress.fingerprint,
        "content": progress.content,
        "chunking": progress.chunking,
        "mark": progress.mark,
    }


def proven(equal: bool) -> Event:
    """The load was read back."""
    return {"e": "proven", "equal": equal}


def fork_record(fork: Fork | None) -> dict[str, Any]:
    """For the event of a run: a parent's run and a step, or nothing."""
    return {"fork": None if fork is None else [fork.parent_run_id, fork.step, fork.exact, fork.is_last]}


def of_finished(progress: Progress) -> list[Event]:
    """The fewest events that say of a finished load what later commands need."""
    events: list[Event] = [
        begin(progress),
        {"e": "elsewhere" if progress.elsewhere else "run", "run_id": progress.run_id, "url": progress.url}
        | fork_record(progress.fork),
        {"e": "loaded", "result": progress.loaded},
    ]
    if progress.announced_again:
        again = {str(file): count for file, count in progress.announced_again.items()}
        events.append({"e": "announced-again", "files": again})
    if progress.proven is not None:
        events.append(proven(progress.proven))
    return events


def after(progress: Progress | None, event: Event) -> Progress:
    """What is known after an event.

    Args:
        progress: What was known before it; is changed, unless a generation begins.

    Raises:
        ValueError, KeyError, TypeError, AttributeError, OverflowError: it is no event of a journal.
    """
    name = event["e"]
    if name == "begin":
        return Progress(
            event["generation"],
            event["external_id"],
            event["fingerprint"],
            event["content"],
            event["chunking"],
            event["mark"],
        )
    if progress is None:
        raise ValueError(f"a journal does not begin with {name!r}")
    if name in _CHANGES:
        _CHANGES[name](progress, event)
    return progress


def _run(now: Progress, event: Event) -> None:
    now.elsewhere = event["e"] == "elsewhere"
    now.run_id, now.url = event["run_id"], event["url"]
    now.fork = Fork(*event["fork"]) if event.get("fork") is not None else None


def _sending(now: Progress, event: Event) -> None:
    now.sending[event["stream"]] = event["upto"]


def _sent(now: Progress, event: Event) -> None:
    now.sent[event["stream"]] = event["upto"]
    now.sending.pop(event["stream"], None)
    if event.get("found"):
        now.found.add(event["stream"])


def _unsent(now: Progress, event: Event) -> None:
    now.sending.pop(event["stream"], None)


def _chunking(now: Progress, event: Event) -> None:
    now.chunking = event["chunking"]
    _forget_metrics(now)


def _forget_metrics(now: Progress) -> None:
    now.metric_bodies.clear()
    now.metrics_sending.clear()


def _metrics_sending(now: Progress, event: Event) -> None:
    now.metrics_sending[event["body"]] = event["at"]


def _metrics(now: Progress, event: Event) -> None:
    now.metric_bodies.add(event["body"])
    now.metrics_sending.pop(event["body"], None)


def _announcing(now: Progress, event: Event) -> None:
    now.announcing.update(event["files"])


def _not_announced(now: Progress, event: Event) -> None:
    now.announcing.difference_update(event["files"])


def _signed(now: Progress, event: Event) -> None:
    signed = {int(i): (url, event["at"]) for i, url in event["urls"].items()}
    now.announcing.difference_update(signed)
    now.announced_again.update(now.announced.intersection(signed))
    now.signed.update(signed)
    now.announced.update(signed)


def _announced_again(now: Progress, event: Event) -> None:
    now.announced_again.update({int(file): count for file, count in event["files"].items()})


def _uploaded(now: Progress, event: Event) -> None:
    now.uploaded.add(event["file"])
    now.signed.pop(event["file"], None)


def _loaded(now: Progress, event: Event) -> None:
    now.loaded = event["result"]


def _reopened(now: Progress, event: Event) -> None:
    now.loaded, now.proven, now.reopened = None, None, True
    _forget_metrics(now)


def _proven(now: Progress, event: Event) -> None:
    now.proven = event["equal"]


_CHANGES: Mapping[str, Callable[[Progress, Event], None]] = {
    "run": _run,
    "elsewhere": _run,
    "sending": _sending,
    "sent": _sent,
    "unsent": _unsent,
    "chunking": _chunking,
    "metrics-sending": _metrics_sending,
    "metrics": _metrics,
    "announcing": _announcing,
    "not-announced": _not_announced,
    "signed": _signed,
    "announced-again": _announced_again,
    "uploaded": _uploaded,
    "loaded": _loaded,
    "reopened": _reopened,
    "proven": _proven,
}
