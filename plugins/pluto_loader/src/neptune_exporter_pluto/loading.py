"""Carries out the decision about a run."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from neptune_exporter.contract import LoadedRun, Loss, SinkError
from neptune_exporter.toolkit import failpoint
from neptune_exporter_pluto.creation import Creation, begin, supersede
from neptune_exporter_pluto.deciding import Action, Decision, Load, Situation, decide
from neptune_exporter_pluto.forks import parent_replaced, wanted_fork
from neptune_exporter_pluto.form.losses import NOTHING_LACKS, LossBook, LossCode
from neptune_exporter_pluto.form.metadata import collect
from neptune_exporter_pluto.form.section import (
    ContentOptions,
    last_step_of,
    loss_record,
    recorded_losses,
    recorded_multiplier,
)
from neptune_exporter_pluto.reading_back import damage, shown
from neptune_exporter_pluto.sending import send
from neptune_exporter_pluto.state.open_run import OpenRun, StartAgainError
from neptune_exporter_pluto.state.progress import Progress

_MOST_ATTEMPTS = 4
_log = logging.getLogger(__name__)


def load(work: OpenRun) -> LoadedRun:
    """Load a run, unless Pluto has it."""
    decision = _decision(work)
    if decision.action is Action.LISTED:
        _log.warning("%s: taken for loaded because %s lists it", work.run.key, work.session.cache.path)
        return LoadedRun("", already_loaded=True)
    if decision.action is Action.SAME:
        work.session.look_at_options(_loaded(work.now))
        return _result(work, already_loaded=True, without=NOTHING_LACKS)
    _prepare(work, decision)
    return _send(work)


def _decision(work: OpenRun) -> Decision:
    situation = _situation(work)
    decision = decide(situation)
    if decision.action is not Action.READ_BACK:
        return decision
    found, wrong = shown(work)
    if wrong:
        _log.warning("%s: Pluto does not show all of it; it is sent again: %s", work.run.key, wrong)
        # Only now, because this reads the run, and most runs are unchanged.
        same_options = not work.now.elsewhere and work.now.content == work.content_digest
        situation = replace(situation, same_options=same_options)
    return decide(replace(situation, shown=found, wrong=wrong))


def _situation(work: OpenRun) -> Situation:
    """What is known without a request to Pluto."""
    now, session = work.journal.current, work.session
    listed = work.line in session.cache
    if now is None:
        ours = listed and session.owners.claim(work.line, work.target, str(work.run.key))
        return Situation(listed=listed, line_is_ours=ours)
    return Situation(
        Load.BEGUN if now.loaded is None else Load.WHOLE,
        listed,
        same_export=now.fingerprint == work.run.fingerprint,
        same_options=now.loaded is not None or now.content == work.content_digest,
        parent_replaced=now.fork is not None and parent_replaced(now.fork, wanted_fork(work)),
    )


def _prepare(work: OpenRun, decision: Decision) -> None:
    """Prepare the journal for what was decided; of a run that is resumed, it says all."""
    if decision.action is Action.NEW:
        begin(work)
    elif decision.action is Action.SUPERSEDE:
        supersede(work, decision.reason)
    elif decision.action is Action.RESEND:
        work.journal.note("reopened")


def _send(work: OpenRun) -> LoadedRun:
    """Create the run if necessary, send what Pluto lacks, and record that it is complete."""
    for _ in range(_MOST_ATTEMPTS):
        try:
            record, sent = _into_pluto(work)
        except StartAgainError as error:
            _log.warning("%s: %s; it is loaded again into another run", work.run.key, error)
            supersede(work, str(error))
            continue
        # The line first: if the journal calls a run loaded and no line names it, a person has removed the
        # line.
        failpoint("pluto.run-shown")
        work.session.owners.claim(work.line, work.target, str(work.run.key))
        work.session.cache.add(work.line)
        failpoint("pluto.run-listed")
        work.journal.note("loaded", result=record)
        failpoint("pluto.run-loaded")
        return replace(_result(work, already_loaded=work.now.elsewhere), sent=sent)
    raise SinkError(
        f"{work.run.key}: {_MOST_ATTEMPTS} times the connection broke in a way that leaves open what Pluto "
        "has taken; the unfinished runs are tagged, load again when the connection is better"
    )


def _into_pluto(work: OpenRun) -> tuple[Mapping[str, Any], bytes | None]:
    """Create the run, and send what `send` sends. Returns the same."""
    losses = LossBook(work.run.key)
    metadata = collect(work.run, work.session.options.name_prefix, losses)
    if work.target.project != work.session.wanted_project(work.run.key.project_id):
        losses.add(LossCode.PROJECT_RENAMED)
    Creation(work, metadata, losses).ensure()
    if work.now.elsewhere:
        return _loaded_elsewhere(work), None
    if work.now.chunking != work.chunking:
        work.journal.note("chunking", chunking=work.chunking)
    return send(work, metadata, losses)


def _loaded_elsewhere(work: OpenRun) -> Mapping[str, Any]:
    """Accept a run that another machine has loaded, if Pluto shows all of it. Raises StartAgainError if Pluto
    does not show all of it."""
    details = work.session.api.details(work.target.project, work.run_id)
    recorded = list(recorded_losses(details))
    record: dict[str, Any] = {
        "counts": {},
        "last_step": last_step_of(details),
        "elsewhere": True,
        "at": time.time(),  # it may have ended just now
        "options": ContentOptions.read(details, work.session.content_options).recorded(),
        "multiplier": str(recorded_multiplier(details)),
        "losses": recorded,
    }
    found = LossBook(work.run.key)
    wrong = damage(work, replace(work.now, loaded=record), found)
    if wrong:
        raise StartAgainError(f"another machine has loaded it, but Pluto does not show it: {wrong[0].item}")
    known = {(loss["reason"], loss["attribute_path"]) for loss in recorded}
    own = map(loss_record, found.losses())
    recorded += [loss for loss in own if (loss["reason"], loss["attribute_path"]) not in known]
    work.session.look_at_options(record)
    return record


def _loaded(now: Progress) -> Mapping[str, Any]:
    assert now.loaded is not None
    return now.loaded


def _result(work: OpenRun, already_loaded: bool, without: Collection[str] = ()) -> LoadedRun:
    """The result of a finished load, as the journal has it, without losses of some reasons."""
    now, record = work.now, _loaded(work.now)
    losses = (Loss(work.run.key, **loss) for loss in record["losses"] if loss["reason"] not in without)
    return LoadedRun(str(now.run_id), now.url or None, already_loaded, dict(record["counts"]), tuple(losses))
