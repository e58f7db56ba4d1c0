"""A run in Pluto: how it is found, created, described and ended."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from neptune_exporter.contract import SinkError
from neptune_exporter.model import RunKey
from neptune_exporter.toolkit import pause
from neptune_exporter_pluto.form.config import SECTION, escaped, pieces
from neptune_exporter_pluto.form.metadata import IDENTITY, MAX_TAGS, PlutoMetadata, external_id
from neptune_exporter_pluto.form.section import SUPERSEDED, mark_slots
from neptune_exporter_pluto.service.api import CreatedRun, PlutoApi
from neptune_exporter_pluto.service.transport import PlutoRefusedError
from neptune_exporter_pluto.state.progress import Fork

SUPERSEDED_TAG = "neptune-exporter:superseded"
_POLL = 0.5
_MOST_TRIES = 3
_log = logging.getLogger(__name__)


def loads_of(api: PlutoApi, project: str, run: RunKey) -> dict[str, dict[str, Any]]:
    """The details of the runs in a project of Pluto that hold a run, by external id.

    Asking for an external id makes its run RUNNING and writes that into its history. Searching configs
    leaves no trace (recorded from the real API, pluto-server 3e89082); one written a moment ago may not be
    found yet.
    """
    found = api.find_runs(project, f"{SECTION}.{IDENTITY}", external_id(run, 1))
    details = (api.details_if_there(project, run_id) for run_id in found)
    return {str(one["externalId"]): one for one in details if one is not None}


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
    details = api.details_if_there(project, run_id)
    if details is None:
        return
    load = {"state": SUPERSEDED, "reason": escaped(reason), "marks": mark_slots(SUPERSEDED)}
    api.merge_config(run_id, orjson.dumps({SECTION: {"load": load}}))
    tags = [tag for tag in details.get("tags") or [] if tag != SUPERSEDED_TAG][:49]
    api.set_tags(run_id, [*tags, SUPERSEDED_TAG])
    if details["status"] not in ("COMPLETED", "FAILED", "TERMINATED", "CANCELLED"):
        api.set_status(run_id, "CANCELLED", int(time.time() * 1000))
