"""A run in Pluto from its creation to its final status."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from neptune_exporter.contract import SinkError
from neptune_exporter.toolkit import pause
from neptune_exporter_pluto.api import CreatedRun, PlutoApi
from neptune_exporter_pluto.config import SECTION, escaped, pieces, section_of
from neptune_exporter_pluto.progress import Fork
from neptune_exporter_pluto.run_metadata import MAX_TAGS, PlutoMetadata
from neptune_exporter_pluto.transport import PlutoRefusedError

LOADING, COMPLETE, SUPERSEDED = "loading", "complete", "superseded"
SUPERSEDED_TAG = "neptune-exporter:superseded"
_POLL = 0.5
_MOST_TRIES = 3
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Found:
    """What the config of an existing run with our external id says."""

    mark: str
    state: str
    fingerprint: str
    status: str
    ended: int | None
    page: str
    """The address of the run in Pluto."""
    marks: frozenset[str]
    """The marks of all journals that ever took the run or superseded it, because merging removes nothing.

    Each mark is in one of a few slots (`mark_slots`), because Pluto keeps every key of a config. If two marks
    share a slot, the earlier journal finds the later mark there, unless its load has ended by then.
    """

    def is_of_others(self, mark: str) -> bool:
        """Whether another journal than that of this mark took the run or superseded it."""
        return self.state == SUPERSEDED or not self.marks | {self.mark} <= {mark, ""}

    @classmethod
    def of(cls, details: Mapping[str, Any]) -> Found:
        section = section_of(details)
        load = section.get("load")
        load = load if isinstance(load, dict) else {}
        held = load.get("marks")
        marks = frozenset(map(str, held.values())) if isinstance(held, dict) else frozenset()
        return cls(
            str(load.get("mark", "")),
            SUPERSEDED if SUPERSEDED in marks else str(load.get("state", "")),
            str(section.get("fingerprint", "")),
            str(load.get("status", "")),
            None if load.get("ended") is None else int(load["ended"]),
            str(load.get("page", "")),
            marks,
        )


def mark_slots(mark: str, created: bool = False) -> dict[str, str]:
    """A mark for the config, beside those of others: one of 18 keys.

    The load that created the run has a key of its own. Its request may be on its way for so long that
    another machine takes the run: the late mark must not replace that machine's.
    """
    if mark == SUPERSEDED:
        return {"given_up": mark}
    return {"created" if created else mark[:1]: mark}


def create(
    api: PlutoApi,
    project: str,
    external_id: str,
    metadata: PlutoMetadata,
    fork: Fork | None,
    patience: float,
) -> tuple[CreatedRun, Fork | None]:
    """Create the run with its times and tags, or find the one that has the external id.

    Sends no config: Pluto would merge it into that of an existing run.

    Returns:
        The run, and the fork with which it was requested: None if Pluto refused the fork.
    """
    body: dict[str, Any] = {
        "runName": metadata.name,
        "projectName": project,
        "externalId": external_id,
        "tags": list(metadata.tags),
    }
    if metadata.created is not None:
        body |= {"createdAt": metadata.created, "updatedAt": metadata.ended}
    what = f"creating run {metadata.name!r} in project {project!r}"
    if fork is None:
        return api.create_run(body, what), None
    forked = body | {
        "forkRunId": fork.parent_run_id,
        "forkStep": fork.step,
        "inheritConfig": False,
        "inheritTags": False,
    }
    # The parent's points are visible some seconds after they were sent; until then Pluto refuses the step.
    deadline = time.monotonic() + patience
    while True:
        try:
            return api.create_run(forked, what), fork
        except PlutoRefusedError as error:
            if error.status != 400 or "fork" not in error.text.lower():
                raise
            if time.monotonic() >= deadline:
                _log.warning("%s: Pluto refuses the fork: %s", what, error)
                return api.create_run(body, what), None
        pause(min(_POLL, max(patience / 20, 0.02)))


def describe(api: PlutoApi, run_id: int, metadata: PlutoMetadata, section: Mapping[str, Any]) -> None:
    """Write the loader's section of the config, the parameters and the notes. May be repeated.

    The section comes first: it says which run this is, and that it is not complete yet.
    """
    for piece in pieces({SECTION: section, **metadata.config}):
        api.merge_config(run_id, piece)
    if metadata.notes:
        api.set_notes(run_id, metadata.notes)


def restore_tags(api: PlutoApi, project: str, run_id: int, tags: Sequence[str]) -> None:
    """Add the tags that a run lacks. Tags that people have added stay, as far as there is room."""
    held = [str(tag) for tag in api.details(project, run_id).get("tags") or []]
    if not set(tags) <= set(held):
        is_grouped = any(tag.startswith("group:") for tag in tags)
        others = [tag for tag in held if tag not in tags and not (is_grouped and tag.startswith("group:"))]
        api.set_tags(run_id, [*tags, *others][:MAX_TAGS])


def finish(api: PlutoApi, project: str, run_id: int, status: str, ended: int | None) -> dict[str, Any]:
    """Set the final status of the run, and check it.

    Pluto sets runs that look abandoned (as every historical run does) to failed, and then ignores a new
    status. Resuming the run first makes Pluto accept it.

    Returns:
        Pluto's details of the run afterwards.

    Raises:
        SinkError: Pluto still shows another status.
    """
    details = api.details(project, run_id)
    for _ in range(_MOST_TRIES):
        if details["status"] == status:
            return details
        api.resume_run(run_id)
        api.set_status(run_id, status, ended)
        details = api.details(project, run_id)
    if details["status"] != status:
        shown = details["status"]
        raise SinkError(f"run {run_id} should be {status} but Pluto shows {shown}; load again to set it")
    return details


def supersede(api: PlutoApi, project: str, run_id: int, reason: str) -> None:
    """Mark a run permanently, so that no machine uses it, not even one that is still loading it and will then
    call it complete."""
    try:
        details = api.details(project, run_id)
    except PlutoRefusedError as error:
        if error.status == 404:
            return  # somebody removed it
        raise
    load = {"state": SUPERSEDED, "reason": escaped(reason), "marks": mark_slots(SUPERSEDED)}
    api.merge_config(run_id, orjson.dumps({SECTION: {"load": load}}))
    tags = [tag for tag in details.get("tags") or [] if tag != SUPERSEDED_TAG][:49]
    api.set_tags(run_id, [*tags, SUPERSEDED_TAG])
    if details["status"] not in ("COMPLETED", "FAILED", "TERMINATED", "CANCELLED"):
        api.set_status(run_id, "CANCELLED", int(time.time() * 1000))
