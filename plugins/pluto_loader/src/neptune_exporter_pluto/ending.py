"""The end of a run in Pluto: its final status, or that it is superseded."""

from __future__ import annotations

import time
from typing import Any

import orjson

from neptune_exporter.contract import SinkError
from neptune_exporter_pluto.form.config import SECTION, escaped
from neptune_exporter_pluto.form.section import SUPERSEDED, mark_slots
from neptune_exporter_pluto.service.api import PlutoApi

SUPERSEDED_TAG = "neptune-exporter:superseded"
_MOST_TRIES = 3


def finish(api: PlutoApi, project: str, run_id: int, status: str, ended: int | None) -> dict[str, Any]:
    """Set the final status of the run, and check it.

    Pluto sets runs that look abandoned (as every historical run does) to failed, and then ignores a new
    status. Resuming the run first makes Pluto accept it. Returns Pluto's details of the run afterwards.
    Raises SinkError if Pluto still shows another status.
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
    if details is None:  # somebody has removed it
        return
    load = {"state": SUPERSEDED, "reason": escaped(reason), "marks": mark_slots(SUPERSEDED)}
    api.merge_config(run_id, orjson.dumps({SECTION: {"load": load}}))
    tags = [tag for tag in details.get("tags") or [] if tag != SUPERSEDED_TAG][:49]
    api.set_tags(run_id, [*tags, SUPERSEDED_TAG])
    if details["status"] not in ("COMPLETED", "FAILED", "TERMINATED", "CANCELLED"):
        api.set_status(run_id, "CANCELLED", int(time.time() * 1000))
