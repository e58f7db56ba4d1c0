"""Makes a run in Pluto, or finds the existing one, of this machine or of another."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from neptune_exporter.contract import SinkError
from neptune_exporter.model import SysAttribute
from neptune_exporter.sinks.losses import CommonLoss
from neptune_exporter.toolkit import failpoint, pause
from neptune_exporter_pluto import ending
from neptune_exporter_pluto.deciding import Action, Decision, Other, Situation, decide
from neptune_exporter_pluto.forks import wanted_fork
from neptune_exporter_pluto.form.config import SECTION, pieces
from neptune_exporter_pluto.form.losses import LossBook, LossCode
from neptune_exporter_pluto.form.metadata import MAX_TAGS, PlutoMetadata, external_id
from neptune_exporter_pluto.form.section import (
    COMPLETE,
    LOADING,
    SUPERSEDED,
    Found,
    mark_slots,
    opening_section,
)
from neptune_exporter_pluto.service.api import CreatedRun, PlutoApi
from neptune_exporter_pluto.service.transport import PlutoRefusedError
from neptune_exporter_pluto.state.open_run import MOST_GENERATIONS, OpenRun, StartAgainError
from neptune_exporter_pluto.state.progress import Fork, fork_record

_MARKED_WITHIN = 10.0
"""A machine that has just made a run marks it within this many seconds, with its next request."""
_OVERTAKEN_WITHIN = 1.0
_POLL, _FORK_POLL = 0.25, 0.5
_log = logging.getLogger(__name__)


def begin(work: OpenRun) -> None:
    """Record the beginning of the next generation: a new run in Pluto that does not exist yet."""
    before = work.journal.current
    number = 1 if before is None else before.number + 1
    work.journal.addresses.clear()  # of a generation that is given up
    work.journal.note(
        "begin",
        number=number,
        external_id=external_id(work.run.key, number),
        fingerprint=work.run.fingerprint,
        content=work.content_digest,
        chunking=work.chunking,
        mark=secrets.token_hex(8),
    )


def supersede(work: OpenRun, reason: str) -> None:
    """Mark the existing run, if any, as superseded, and begin another generation."""
    if work.now.run_id is not None:
        ending.supersede(work.session.api, work.target.project, work.now.run_id, reason)
    begin(work)


@dataclass(frozen=True)
class Creation:
    """Creates one run in Pluto. Its journal has begun a generation."""

    work: OpenRun
    metadata: PlutoMetadata
    losses: LossBook

    @property
    def _api(self) -> PlutoApi:
        return self.work.session.api

    @property
    def _project(self) -> str:
        return self.work.target.project

    def ensure(self) -> None:
        """Create the run, unless the journal knows it, or another machine has loaded it, which is noted.
        Raises StartAgainError if another machine has marked the existing run too, and SinkError if another
        machine is loading it."""
        if self.work.now.run_id is not None:
            self._go_on()
            return
        fork = wanted_fork(self.work)
        others = self.work.loads()
        for _ in range(MOST_GENERATIONS):
            other = self._of_another(others.get(self.work.now.external_id)) or self._create(fork)
            if other is None:
                return
            may_restart = self.work.session.settings.restart_unfinished
            decision = decide(Situation(other=self._state_of(other), may_restart=may_restart))
            if decision.action is Action.TAKE:
                self.work.journal.note("elsewhere", run_id=other.run_id, url=other.page)
                return
            self._give_up(other, decision)
            begin(self.work)
        raise SinkError(f"{self.work.run.key}: Pluto holds {MOST_GENERATIONS} loads of it")

    def _go_on(self) -> None:
        """Describe again the run that the journal knows, unless another machine has loaded it."""
        now, run_id = self.work.now, self.work.run_id
        if now.elsewhere:
            return
        self._check_ours(run_id)
        self._describe(run_id, now.url)
        if now.reopened:
            self._restore_tags(run_id)
        self._tell_fork(now.fork)

    def _of_another(self, details: Mapping[str, Any] | None) -> Found | None:
        """The run that was found, if it belongs to another machine."""
        found = None if details is None else Found.of(details)
        return None if found is None or found.mark in ("", self.work.now.mark) else found

    def _create(self, fork: Fork | None) -> Found | None:
        """Request the run and record it, unless it turns out to belong to another machine."""
        now = self.work.now
        asked = time.monotonic()
        created, sent = self._request(now.external_id, fork)
        failpoint("pluto.run-created")
        details = self._marked(created, asked)
        found = Found.of(details) if created.resumed else None
        if found is not None and found.mark != now.mark:
            # The request to create it has set its status to RUNNING.
            status = "CANCELLED" if found.state == SUPERSEDED else found.status or "CANCELLED"
            ending.finish(self._api, self._project, created.run_id, status, found.ended)
            return found
        # At once, because Pluto sets every RUNNING run without a recent heartbeat to failed. It skips ended
        # runs.
        self._api.set_status(created.run_id, self.metadata.status, self.metadata.ended)
        if "forkedFromRunId" in details:  # created before a kill: this request forked nothing
            made = Fork.of(details)
            sent = made and (sent or made)
        self.work.journal.note("run", run_id=created.run_id, url=created.url, **fork_record(sent))
        self._tell_fork(sent)
        failpoint("pluto.run-noted")
        return None

    def _request(self, external_id: str, fork: Fork | None) -> tuple[CreatedRun, Fork | None]:
        """Create the run with its times and tags, or find the one that has the external id.

        Sends no config: Pluto would merge it into that of an existing run. Returns the run, and the fork with
        which it was requested: None if Pluto refused the fork.
        """
        metadata, patience = self.metadata, self.work.session.settings.visible_within
        body: dict[str, Any] = {
            "runName": metadata.name,
            "projectName": self._project,
            "externalId": external_id,
            "tags": list(metadata.tags),
        }
        if metadata.created is not None:
            body |= {"createdAt": metadata.created, "updatedAt": metadata.ended}
        what = f"creating run {metadata.name!r} in project {self._project!r}"
        if fork is None:
            return self._api.create_run(body, what), None
        forked = body | {
            "forkRunId": fork.parent_run_id,
            "forkStep": fork.step,
            "inheritConfig": False,
            "inheritTags": False,
        }
        # The parent's points are visible some seconds after they were sent: before, Pluto refuses the step.
        deadline = time.monotonic() + patience
        while True:
            try:
                return self._api.create_run(forked, what), fork
            except PlutoRefusedError as error:
                if error.status != 400 or "fork" not in error.text.lower():
                    raise
                if time.monotonic() >= deadline:
                    _log.warning("%s: Pluto refuses the fork: %s", what, error)
                    return self._api.create_run(body, what), None
            pause(min(_FORK_POLL, max(patience / 20, 0.02)))

    def _state_of(self, found: Found) -> Other:
        if found.state == SUPERSEDED:
            return Other.GIVEN_UP
        if found.state != COMPLETE:
            return Other.UNFINISHED
        same = found.fingerprint == self.work.run.fingerprint
        return Other.WHOLE if same else Other.ANOTHER_EXPORT

    def _give_up(self, other: Found, decision: Decision) -> None:
        """Mark another machine's run as superseded, if that was decided. Raises SinkError if the run is left
        to the other machine."""
        key = self.work.run.key
        if decision.action is Action.LEAVE:
            raise SinkError(
                f"{key}: another machine has begun to load it, as run {other.run_id}; let it finish "
                "there, or give --pluto-restart-unfinished to load it again into another run"
            )
        if decision.action is Action.SUPERSEDE:
            ending.supersede(self._api, self._project, other.run_id, decision.reason)
        if self._state_of(other) is Other.ANOTHER_EXPORT:
            _log.warning(
                "%s: another machine has loaded another export of it, as run %s, which is given up for this",
                key,
                other.run_id,
            )

    def _check_ours(self, run_id: int) -> None:
        """Check that no other machine has superseded, taken over or removed the run."""
        details = self._api.details_if_there(self._project, run_id)
        if details is None:
            raise StartAgainError("somebody has removed what there was of it in Pluto")
        if Found.of(details).is_of_others(self.work.now.mark):
            raise StartAgainError("another machine has given up what there was of it, or loads into it")

    def _marked(self, created: CreatedRun, asked: float) -> dict[str, Any]:
        """Describe the run, and so mark it as this journal's, unless another machine has marked it.

        An existing run without a mark comes from a request of ours whose answer was lost, or another machine
        has just made it and will mark it in a moment. Returns Pluto's details of a run that existed already.

        Args:
            asked: When the run was asked for, by the monotonic clock.
        """
        api = self._api
        patience = self.work.session.settings.visible_within
        marked_within = min(_MARKED_WITHIN, patience)
        if not created.resumed:
            self._describe(created.run_id, created.url, created=True)
            # so slow that another machine may have taken the run
            if time.monotonic() - asked > marked_within / 2:
                try:
                    self._check_ours(created.run_id)
                except StartAgainError:
                    self.work.journal.note("run", run_id=created.run_id, url=created.url)  # to be given up
                    raise
            return {}
        deadline = time.monotonic() + marked_within
        details = api.details(self._project, created.run_id)
        while not (mark := Found.of(details).mark) and time.monotonic() < deadline:
            pause(_POLL)
            details = api.details(self._project, created.run_id)
        if mark in ("", self.work.now.mark):
            self._describe(created.run_id, created.url)
        if not mark:
            pause(min(_OVERTAKEN_WITHIN, patience))
            details = api.details(self._project, created.run_id)
        return details

    def _tell_fork(self, sent: Fork | None) -> None:
        if sent is None and self.work.run.parent() is not None:
            self.losses.add(CommonLoss.FORK_NOT_NATIVE, 1, SysAttribute.FORK_PARENT)
        elif sent is not None and sent.is_last:
            self.losses.add(LossCode.FORK_STEP, 1, SysAttribute.FORK_STEP)
        elif sent is not None and not sent.exact:
            self.losses.add(CommonLoss.FRACTIONAL_STEP, 1, SysAttribute.FORK_STEP)

    def _describe(self, run_id: int, url: str, created: bool = False) -> None:
        """Write the loader's section of the config, the parameters and the notes. May be repeated.

        The section comes first: it says which run this is, and that it is not complete yet. It has the
        address, because only the route of the creation returns that.
        """
        now = self.work.now
        section = opening_section(self.metadata, self.work.multiplier, self.work.session.content_options)
        own = {
            "mark": now.mark,
            "marks": mark_slots(now.mark, created),
            "generation": now.number,
            "page": url,
        }
        section["load"] = {"state": LOADING, **own, **section["load"]}
        for piece in pieces({SECTION: section, **self.metadata.config}):
            self._api.merge_config(run_id, piece)
        if self.metadata.notes:
            self._api.set_notes(run_id, self.metadata.notes)

    def _restore_tags(self, run_id: int) -> None:
        """Add the tags that a run lacks. Tags that people have added stay, as far as there is room."""
        tags = self.metadata.tags
        held = [str(tag) for tag in self._api.details(self._project, run_id).get("tags") or []]
        if not set(tags) <= set(held):
            is_grouped = any(tag.startswith("group:") for tag in tags)
            others = [
                tag for tag in held if tag not in tags and not (is_grouped and tag.startswith("group:"))
            ]
            self._api.set_tags(run_id, [*tags, *others][:MAX_TAGS])
